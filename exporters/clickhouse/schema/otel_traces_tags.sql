CREATE TABLE IF NOT EXISTS {spans_table}_tags{on_cluster}
(
    -- Attributes of spans by the hour in which those start, in UTC, to complete what somebody types: not all, but enough.
    -- Several rows of a key are normal.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    -- What has the attribute: span, resource, scope, event or link.
    `Level` LowCardinality(String) CODEC(ZSTD(1)),
    `Key` LowCardinality(String) CODEC(ZSTD(1)),
    `Hour` DateTime CODEC(Delta(4), ZSTD(1)),
    -- Some of its values, without long ones.
    `SomeValues` SimpleAggregateFunction(groupUniqArrayArray(1000), Array(String)) CODEC(ZSTD(1))
)
ENGINE = {aggregating_engine}
PARTITION BY toDate(Hour)
ORDER BY (Workspace, Level, Key, Hour)
{ttl_by_hour}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
