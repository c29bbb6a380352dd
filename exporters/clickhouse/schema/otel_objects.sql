CREATE TABLE IF NOT EXISTS {database}.`otel_objects`{on_cluster}
(
    -- What people say while collectors run: alert rules, channels, annotations, saved requests, and so on. Each row is one version
    -- of one object and is never changed. In force is the highest version, unless it is Deleted. A version is written once: its
    -- insert has a token of its own, and where that fails the earliest row counts.
    `Workspace` LowCardinality(String),
    `Kind` LowCardinality(String),
    `Id` UUID,
    `Version` UInt64,
    -- What lists of objects are sorted by.
    `Name` String,
    -- What the object is about, such as a trace; empty for nothing in particular.
    `Subject` String,
    `Body` String CODEC(ZSTD(1)),
    -- When it may be forgotten; 1970 for never. Later versions do not have earlier times.
    `ExpiresAt` DateTime('UTC'),
    `Deleted` Bool,
    `CreatedAt` DateTime64(9, 'UTC'),
    `CreatedBy` String,
    `UpdatedAt` DateTime64(9, 'UTC'),
    `UpdatedBy` String,
    `WriteId` UUID,
    INDEX idx_subject Subject TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = {engine}
ORDER BY (Workspace, Kind, Id, Version)
TTL ExpiresAt DELETE WHERE ExpiresAt > toDateTime(0, 'UTC')
SETTINGS index_granularity = 1024{deduplication}
