CREATE TABLE IF NOT EXISTS {derived}_sampling_probabilities{on_cluster}
(
    -- What adaptive sampling has decided, round by round. A round is written once, by one insert: whichever collector is first.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    -- The end of the interval that was reckoned with last.
    `Round` DateTime CODEC(Delta(4), ZSTD(1)),
    `Probability` Float64 CODEC(ZSTD(1)),
    `Obeyed` Bool CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (Round, Workspace, ServiceName, SpanName)
TTL Round + toIntervalDay(1)
SETTINGS index_granularity = 8192{deduplication}
