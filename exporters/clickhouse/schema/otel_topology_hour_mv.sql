CREATE MATERIALIZED VIEW IF NOT EXISTS {derived}_topology_hour_mv{on_cluster}
TO {derived}_topology_hour
AS SELECT
    Workspace,
    toStartOfHour(Minute, 'UTC') AS Hour,
    Client,
    Server,
    ConnectionType,
    Node,
    sum(minutes.Calls) AS Calls,
    sum(minutes.FailedCalls) AS FailedCalls,
    sum(minutes.ClientDurationSum) AS ClientDurationSum,
    min(minutes.ClientDurationMin) AS ClientDurationMin,
    max(minutes.ClientDurationMax) AS ClientDurationMax,
    sumMap(minutes.ClientDurationSketch) AS ClientDurationSketch,
    sum(minutes.ServerDurationSum) AS ServerDurationSum,
    min(minutes.ServerDurationMin) AS ServerDurationMin,
    max(minutes.ServerDurationMax) AS ServerDurationMax,
    sumMap(minutes.ServerDurationSketch) AS ServerDurationSketch
FROM {derived}_topology_minute AS minutes
GROUP BY Workspace, Hour, Client, Server, ConnectionType, Node
