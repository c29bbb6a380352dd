CREATE TABLE IF NOT EXISTS {database}.`otel_request_executions`{on_cluster}
(
    -- Each row is one execution of a saved request, and what came of it.
    `Workspace` LowCardinality(String),
    `Id` UUID,
    `RequestId` UUID,
    `RequestVersion` UInt64,
    `Name` String,
    `ExecutedAt` DateTime64(9, 'UTC'),
    `ExecutedBy` String,
    -- Of the trace that began with it.
    `TraceId` String,
    `SpanId` String,
    -- Empty for a success, else why it was none, and more about that.
    `Cause` String,
    `Detail` String,
    -- Rule and type of a failure on purpose; empty where nothing failed on purpose.
    `FailureRule` UUID,
    `FailureType` LowCardinality(String),
    -- Of HTTP or of gRPC; 0 without an answer over HTTP.
    `Status` UInt16,
    -- Where it was asked, redirects included, and at which address.
    `Urls` Array(String),
    `Address` String,
    -- Nanoseconds; null where it did not come to that.
    `Dns` Nullable(UInt64),
    `Connect` Nullable(UInt64),
    `Tls` Nullable(UInt64),
    `FirstByte` Nullable(UInt64),
    `Total` UInt64,
    `ReceivedBytes` UInt64,
    `Headers` Array(Tuple(String, String)),
    -- The first part of it, as text.
    `Body` String CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (Workspace, ExecutedAt, Id)
{history_by_executed_at}
SETTINGS index_granularity = 1024{deduplication}
