CREATE TABLE IF NOT EXISTS {database}.`otel_tracing_configs`{on_cluster}
(
    -- Each row is one version of one config, for ever. In force is the highest version, unless it is Deleted. A version is written
    -- once: its insert has a token of its own, and where that fails the earliest row counts.
    `Workspace` LowCardinality(String),
    `Id` UUID,
    `Version` UInt64,
    `Service` String,
    `Enabled` Bool,
    `SamplingRate` Float64,
    `ExcludedPaths` Array(String),
    `PropagateContext` Bool,
    `Comment` String,
    `Deleted` Bool,
    `CreatedAt` DateTime64(9, 'UTC'),
    `CreatedBy` String,
    `UpdatedAt` DateTime64(9, 'UTC'),
    `UpdatedBy` String,
    `WriteId` UUID
)
ENGINE = {engine}
ORDER BY (Workspace, Id, Version)
SETTINGS index_granularity = 8192{deduplication}
