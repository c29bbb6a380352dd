CREATE TABLE IF NOT EXISTS {derived}_alert_deliveries{on_cluster}
(
    -- What became of each alert event at each channel. The last row counts: the first says that it will be tried again, if the
    -- first attempt fails, and the last one what came of it.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    -- When this was so, and when the first attempt was.
    `At` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `StartedAt` DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    -- The event's idempotency key.
    `EventKey` String CODEC(ZSTD(1)),
    `RuleId` UUID CODEC(ZSTD(1)),
    `AlertId` UUID CODEC(ZSTD(1)),
    -- What happened to the alert.
    `What` LowCardinality(String) CODEC(ZSTD(1)),
    `ChannelId` String CODEC(ZSTD(1)),
    `ChannelName` String CODEC(ZSTD(1)),
    `ChannelType` LowCardinality(String) CODEC(ZSTD(1)),
    `Outcome` LowCardinality(String) CODEC(ZSTD(1)),
    -- Why the last attempt failed, from a small fixed set; empty where it did not.
    `Reason` LowCardinality(String) CODEC(ZSTD(1)),
    -- What the other side said, and its HTTP status or SMTP code.
    `Answer` String CODEC(ZSTD(1)),
    `Status` UInt16 CODEC(ZSTD(1)),
    `Attempts` UInt32 CODEC(ZSTD(1)),
    INDEX idx_event_key EventKey TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = {engine}
ORDER BY (Workspace, At)
TTL toDateTime(At) + toIntervalDay(90)
SETTINGS index_granularity = 1024{deduplication}
