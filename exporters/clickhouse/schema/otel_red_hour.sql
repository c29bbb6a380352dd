CREATE TABLE IF NOT EXISTS {derived}_red_hour{on_cluster}
(
    -- Rate, errors and durations of the spans that start in an hour. Several rows of a key are normal: readers sum them up.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `Hour` DateTime CODEC(Delta(4), ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)),
    `StatusCode` LowCardinality(String) CODEC(ZSTD(1)),
    -- Further dimensions as a JSON object of texts; empty without.
    `Dimensions` LowCardinality(String) CODEC(ZSTD(1)),
    -- Spans and their durations in nanoseconds, each as many times as the spans that it stands for.
    `Spans` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    `DurationSum` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    `DurationMin` SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    `DurationMax` SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1)),
    -- Bucket k counts durations above 2^((k-1)/32) up to 2^(k/32) nanoseconds, and bucket -1 those of 0. Most of what is read of long
    -- times: LZ4 is unpacked in less than half the time, for twice the room in the smallest of these tables.
    `DurationSketch` SimpleAggregateFunction(sumMap, Map(Int16, Float64)) CODEC(LZ4)
)
ENGINE = {aggregating_engine}
PARTITION BY toDate(Hour)
ORDER BY (Workspace, ServiceName, Hour, SpanName, SpanKind, StatusCode, Dimensions)
{ttl_by_hour}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
