CREATE TABLE IF NOT EXISTS {database}.`otel_load_test_runs`{on_cluster}
(
    -- A run has a row from its start, and another one from its end on, which is the one that counts.
    `Workspace` LowCardinality(String),
    `Id` UUID,
    `LoadTestId` UUID,
    `LoadTestVersion` UInt64,
    `Name` String,
    -- The test as it was then, as JSON.
    `Body` String CODEC(ZSTD(1)),
    `StartedAt` DateTime64(9, 'UTC'),
    `StartedBy` String,
    -- running, completed, stopped, cancelled, interrupted or failed.
    `State` LowCardinality(String),
    `Reason` String,
    `Unanswered` UInt64,
    -- 1970 while it runs.
    `EndedAt` DateTime64(9, 'UTC'),
    -- Who cancelled it.
    `EndedBy` String
)
ENGINE = {engine}
ORDER BY (Workspace, Id)
{history_by_started_at}
SETTINGS index_granularity = 1024{deduplication}
