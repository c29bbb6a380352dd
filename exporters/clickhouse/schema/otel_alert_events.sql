CREATE TABLE IF NOT EXISTS {derived}_alert_events{on_cluster}
(
    -- All that ever happened to alerts, in one order: entry n + 1 is written by one insert, and of several that try it at once the
    -- first counts. The last row of an alert says how it is.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    `Entry` UInt64 CODEC(Delta(8), ZSTD(1)),
    `At` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    -- The rule as it was then.
    `RuleId` UUID CODEC(ZSTD(1)),
    `RuleName` LowCardinality(String) CODEC(ZSTD(1)),
    `Severity` LowCardinality(String) CODEC(ZSTD(1)),
    `AlertId` UUID CODEC(ZSTD(1)),
    -- The labels by which the rule tells its alerts apart, as a JSON object.
    `Group` String CODEC(ZSTD(1)),
    `Status` LowCardinality(String) CODEC(ZSTD(1)),
    -- Who did it; empty where it came about by itself.
    `By` String CODEC(ZSTD(1)),
    -- What the next evaluation goes on from, as a JSON object.
    `State` String CODEC(ZSTD(3)),
    -- What is sent to the channels, as a JSON object; empty where nobody is told.
    `Event` String CODEC(ZSTD(3)),
    `Channels` Array(String) CODEC(ZSTD(1)),
    -- Who wrote the entry.
    `WriteId` UUID CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY Entry
SETTINGS index_granularity = 8192{deduplication}
