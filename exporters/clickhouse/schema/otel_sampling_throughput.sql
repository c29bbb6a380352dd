CREATE TABLE IF NOT EXISTS {derived}_sampling_throughput{on_cluster}
(
    -- Root spans whose clients say that they sampled them, by ten seconds in which they start. Several rows of a key are normal.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `Bucket` DateTime CODEC(Delta(4), ZSTD(1)),
    -- With which they were sampled, as the client tells it.
    `Probability` LowCardinality(String) CODEC(ZSTD(1)),
    -- Without those that only a guaranteed minimum has let through.
    `Traces` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1))
)
ENGINE = {aggregating_engine}
PARTITION BY toDate(Bucket)
ORDER BY (Bucket, Workspace, ServiceName, SpanName, Probability)
TTL Bucket + toIntervalDay(1)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
