CREATE MATERIALIZED VIEW IF NOT EXISTS {derived}_topology_settled_hour_mv{on_cluster}
TO {derived}_topology_hour
AS SELECT
    Workspace,
    toStartOfHour(Minute, 'UTC') AS Hour,
    Client,
    Server,
    ConnectionType,
    Node,
    sum(settled.Calls) AS Calls,
    sum(settled.FailedCalls) AS FailedCalls,
    sum(settled.ClientDurationSum) AS ClientDurationSum,
    min(settled.ClientDurationMin) AS ClientDurationMin,
    max(settled.ClientDurationMax) AS ClientDurationMax,
    sumMap(settled.ClientDurationSketch) AS ClientDurationSketch,
    sum(settled.ServerDurationSum) AS ServerDurationSum,
    min(settled.ServerDurationMin) AS ServerDurationMin,
    max(settled.ServerDurationMax) AS ServerDurationMax,
    sumMap(settled.ServerDurationSketch) AS ServerDurationSketch
FROM {derived}_topology_settled AS settled
GROUP BY Workspace, Hour, Client, Server, ConnectionType, Node
