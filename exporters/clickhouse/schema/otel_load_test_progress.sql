CREATE TABLE IF NOT EXISTS {database}.`otel_load_test_progress`{on_cluster}
(
    -- What became of requests of a run within about a second. A row may be there twice; it is told by its Number.
    `Workspace` LowCardinality(String),
    `RunId` UUID,
    `Number` UInt32,
    -- Seconds from the start of the run to the end of the interval, and its length.
    `At` Float64,
    `Seconds` Float64,
    `Sent` UInt64,
    `Succeeded` UInt64,
    `Failures` Map(String, UInt64),
    -- Of failures on purpose, by type.
    `Injected` Map(String, UInt64),
    `Examples` Array(Tuple(String, String)),
    `Statuses` Map(UInt16, UInt64),
    `ReceivedBytes` UInt64,
    `InFlight` UInt64,
    -- Requests that were answered or timed out: sketches of their times, and sums and maxima in nanoseconds.
    `Measured` UInt64,
    `Response` Map(Int16, Float64),
    `ResponseSum` UInt64,
    `ResponseMax` UInt64,
    `Service` Map(Int16, Float64),
    `ServiceSum` UInt64,
    `ServiceMax` UInt64,
    -- Trace, response time in nanoseconds, and cause of a failure.
    `Slowest` Array(Tuple(String, UInt64, String)),
    `Failed` Array(Tuple(String, UInt64, String)),
    -- When the row was written: how long ago tells whether somebody still looks after the run.
    `WrittenAt` DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = {engine}
ORDER BY (Workspace, RunId, Number)
{history_by_written_at}
SETTINGS index_granularity = 1024{deduplication}
