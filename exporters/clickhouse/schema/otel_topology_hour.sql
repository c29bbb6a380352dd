CREATE TABLE IF NOT EXISTS {derived}_topology_hour{on_cluster}
(
    -- Calls between services by the hour in which the called span starts, whenever their sides came. Several rows of a key are normal:
    -- readers sum them up.
    `Workspace` LowCardinality(String) CODEC(ZSTD(1)),
    `Hour` DateTime CODEC(Delta(4), ZSTD(1)),
    `Client` LowCardinality(String) CODEC(ZSTD(1)),
    `Server` LowCardinality(String) CODEC(ZSTD(1)),
    -- As the Collector's service graph has it: empty, messaging_system, database or virtual_node.
    `ConnectionType` LowCardinality(String) CODEC(ZSTD(1)),
    -- Which side has no spans: user (the client), database, messaging or external (the server); empty for none.
    `Node` LowCardinality(String) CODEC(ZSTD(1)),
    -- Calls and their durations in nanoseconds, each as many times as the calls that it stands for. What a side that has no
    -- spans would tell is 0 or empty; of a database the client tells.
    `Calls` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    `FailedCalls` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    -- Sketches are those of the table of rate, errors and durations.
    `ClientDurationSum` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    `ClientDurationMin` SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    `ClientDurationMax` SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1)),
    `ClientDurationSketch` SimpleAggregateFunction(sumMap, Map(Int16, Float64)) CODEC(ZSTD(1)),
    `ServerDurationSum` SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    `ServerDurationMin` SimpleAggregateFunction(min, UInt64) CODEC(T64, ZSTD(1)),
    `ServerDurationMax` SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1)),
    `ServerDurationSketch` SimpleAggregateFunction(sumMap, Map(Int16, Float64)) CODEC(ZSTD(1))
)
ENGINE = {aggregating_engine}
PARTITION BY toDate(Hour)
ORDER BY (Workspace, Hour, Client, Server, ConnectionType, Node)
{ttl_by_hour}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1{deduplication}
