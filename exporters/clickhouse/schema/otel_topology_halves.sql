CREATE TABLE IF NOT EXISTS {derived}_topology_halves{on_cluster}
(
    -- Sides of calls, for as long as the other side may come. When they came here:
    `Arrived` DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1)),
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    -- Of the caller's trace id and span id.
    `Key` UInt64 CODEC(NONE),
    -- 0: the caller; 1: whose parent it is; 2: who links to it.
    `Side` UInt8 CODEC(ZSTD(1)),
    `Service` LowCardinality(String) CODEC(ZSTD(1)),
    -- As OTLP numbers them.
    `Kind` UInt8 CODEC(ZSTD(1)),
    `Minute` DateTime CODEC(Delta(4), ZSTD(1)),
    `Duration` UInt64 CODEC(T64, ZSTD(1)),
    `Weight` Float64 CODEC(ZSTD(1)),
    `Failed` Bool CODEC(ZSTD(1)),
    -- Of a caller: whether somebody whom it called came with it, and whom it says that it called.
    `Matched` Bool CODEC(ZSTD(1)),
    `Peer` LowCardinality(String) CODEC(ZSTD(1))
)
ENGINE = {engine}
PARTITION BY toStartOfHour(Arrived)
ORDER BY (toStartOfMinute(Arrived), Side)
TTL Arrived + toIntervalHour(1)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
