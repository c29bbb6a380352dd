"""The dashboard of calls between services."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import chosen_by_sql, dashboard, dashboard_link, data_source
from collector.grafana.panels import arranged, graph, node_graph, series_query, table, table_query
from collector.grafana.red import PERCENTILES

_WORKSPACE: Final = chosen_by_sql(
    "workspace", "Workspace", "SELECT DISTINCT Workspace FROM otel_topology_minute WHERE $__timeFilter(Minute) ORDER BY Workspace"
)
_SERVICE: Final = chosen_by_sql(
    "service",
    "Service",
    "SELECT DISTINCT arrayJoin([Client, Server]) AS service FROM otel_topology_minute"
    " WHERE $__timeFilter(Minute) AND Workspace = ${workspace:sqlstring} ORDER BY service",
    several=True,
)
_RATE: Final = "sum(Calls) / <seconds>"
# A client or server without spans is a node of its own, apart from a service of the same name.
_CLIENT: Final = "concat(if(Node = 'user', 'user', 'service'), ':', Client)"
_SERVER: Final = "concat(if(Node IN ('', 'user'), 'service', Node), ':', Server)"

_MAP: Final = node_graph(
    "Calls between services",
    table_query(f"""
        WITH <sketch>
        SELECT id, substring(id, position(id, ':') + 1) AS title, substring(id, 1, position(id, ':') - 1) AS subtitle,
            {_RATE} AS mainstat, <p95> AS secondarystat,
            if(sum(Calls) = 0, 1, 1 - sum(FailedCalls) / sum(Calls)) AS arc__well, 1 - arc__well AS arc__failed
        FROM
        (
            SELECT {_SERVER} AS id, Calls, FailedCalls, DurationSketch FROM <calls>
            UNION ALL SELECT {_CLIENT}, 0, 0, map() FROM <calls>
        )
        GROUP BY id ORDER BY mainstat DESC LIMIT 500"""),  # noqa: S608 - constants
    table_query(f"""
        WITH <sketch>
        SELECT concat(source, ' ', target, ' ', ConnectionType) AS id, {_CLIENT} AS source, {_SERVER} AS target,
            {_RATE} AS mainstat, <p95> AS secondarystat, sum(FailedCalls) / sum(Calls) AS detail__failed,
            if(detail__failed > 0.05, 'red', if(detail__failed > 0.01, 'orange', 'gray')) AS color
        FROM <calls> GROUP BY source, target, ConnectionType ORDER BY mainstat DESC LIMIT 1000"""),  # noqa: S608 - constants
    links=[dashboard_link("Open the service", "service", service="${__data.fields.title:percentencode}")],
    description="Calls per second, and the 95th percentile of how long they took.",
    height=16,
)
_EDGES: Final = table(
    "Calls",
    table_query(f"""
        WITH <sketch>
        SELECT Client, Server, ConnectionType AS Connection, {_RATE} AS Rate, sum(FailedCalls) / sum(Calls) AS Failed,
            <p50> AS P50, <p95> AS P95, <p99> AS P99
        FROM <calls> GROUP BY Client, Server, Connection ORDER BY Rate DESC LIMIT 1000"""),  # noqa: S608 - constants
    units={"Rate": "reqps", "Failed": "percentunit", **PERCENTILES},
    links={
        side: [dashboard_link("Open the service", "service", service="${__value.raw:percentencode}")]
        for side in ("Client", "Server")
    },
)
_MOST_USED: Final = "(Client, Server) IN (SELECT Client, Server FROM <calls> GROUP BY ALL ORDER BY sum(Calls) DESC LIMIT 10)"
_GRAPHS: Final = tuple(
    graph(
        title,
        series_query(f"""
            WITH <sketch>
            SELECT $__timeInterval(Minute) AS time, concat(Client, ' to ', Server) AS edge, {expression} AS value
            FROM <calls> WHERE {_MOST_USED} GROUP BY time, edge ORDER BY time"""),  # noqa: S608 - constants
        unit=unit,
        name="${__field.labels.edge}",
        interval="1m",
        description="The ten pairs with the most calls.",
    )
    for title, expression, unit in (
        ("Calls per second", "sum(Calls) / $__interval_s", "reqps"),
        ("Failed", "sum(FailedCalls) / sum(Calls)", "percentunit"),
        ("95th percentile", "<p95>", "ns"),
    )
)

TOPOLOGY: Final = dashboard(
    "topology",
    "Spanhouse: topology",
    "Which services call which, from the tables that topology fills. A call whose sides came apart shows up when it is settled.",
    variables=[data_source("grafana-clickhouse-datasource"), _WORKSPACE, _SERVICE],
    panels=arranged([_MAP], _GRAPHS, [_EDGES]),
)
