CREATE TABLE IF NOT EXISTS {spans_table}_trace_id_ts{on_cluster}
(
    `TraceId` String CODEC(ZSTD(1)),
    `Start` DateTime CODEC(Delta(4), ZSTD(1)),
    `End` DateTime CODEC(Delta(4), ZSTD(1)),
    `Workspace` LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toDate(Start)
-- A look-up reads whole granules of each part, of which it wants one row: they are small.
ORDER BY (TraceId, Start)
{ttl_by_start}
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1{deduplication}
