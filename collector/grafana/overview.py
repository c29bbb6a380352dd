"""The dashboard of all services of a workspace."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import chosen_among, chosen_by_sql, dashboard, dashboard_link, data_source
from collector.grafana.panels import arranged, graph, number, series_query, table, table_query
from collector.grafana.queries import sql

KINDS: Final = ("Server", "Consumer", "Client", "Producer", "Internal", "Unspecified")
INCOMING: Final = ("Server", "Consumer")
"""Kinds of spans that stand for requests to a service."""

WORKSPACE: Final = chosen_by_sql(
    "workspace", "Workspace", "SELECT DISTINCT Workspace FROM otel_red_minute WHERE $__timeFilter(Minute) ORDER BY Workspace"
)

_CHOSEN: Final = "$__timeFilter(Minute) AND Workspace = ${workspace:sqlstring} AND SpanKind IN (${kind:sqlstring})"
_TO_SERVICE: Final = dashboard_link("Open the service", "service", service="${__value.raw:percentencode}")
_TO_OPERATION: Final = dashboard_link(
    "Open the operation",
    "service",
    service="${__data.fields.Service:percentencode}",
    operation="${__value.raw:percentencode}",
)


def _query(text: str) -> str:
    return sql(text.replace("<chosen>", _CHOSEN))


_NUMBERS: Final = (
    number(
        "Services",
        table_query(_query("SELECT uniqExact(ServiceName) AS services FROM otel_red_minute WHERE <chosen>")),
        unit="short",
    ),
    number(
        "Requests per second",
        table_query(
            _query("SELECT sum(Spans) / greatest($__toTime - $__fromTime, 1) AS rate FROM otel_red_minute WHERE <chosen>")
        ),
        unit="reqps",
    ),
    number(
        "Failed",
        table_query(
            _query("SELECT sumIf(Spans, StatusCode = 'Error') / sum(Spans) AS failed FROM otel_red_minute WHERE <chosen>")
        ),
        unit="percentunit",
        limits=(0.01, 0.05),
    ),
    number(
        "95th percentile",
        table_query(_query("WITH <sketch> SELECT <p95> AS p95 FROM otel_red_minute WHERE <chosen>")),
        unit="ns",
    ),
)
_GRAPHS: Final = (
    graph(
        "Requests per second by service",
        series_query(
            _query("""
                SELECT $__timeInterval(Minute) AS time, ServiceName AS service, sum(Spans) / $__interval_s AS rate
                FROM otel_red_minute WHERE <chosen> GROUP BY time, service ORDER BY time""")
        ),
        unit="reqps",
        name="${__field.labels.service}",
        interval="1m",
    ),
    graph(
        "Failed by service",
        series_query(
            _query("""
                SELECT $__timeInterval(Minute) AS time, ServiceName AS service,
                    sumIf(Spans, StatusCode = 'Error') / sum(Spans) AS failed
                FROM otel_red_minute WHERE <chosen> GROUP BY time, service ORDER BY time""")
        ),
        unit="percentunit",
        name="${__field.labels.service}",
        interval="1m",
    ),
    graph(
        "95th percentile by service",
        series_query(
            _query("""
                WITH <sketch>
                SELECT $__timeInterval(Minute) AS time, ServiceName AS service, <p95> AS p95
                FROM otel_red_minute WHERE <chosen> GROUP BY time, service ORDER BY time""")
        ),
        unit="ns",
        name="${__field.labels.service}",
        interval="1m",
    ),
)
_SERVICES: Final = table(
    "Services",
    table_query(
        _query("""
            WITH <sketch>
            SELECT ServiceName AS Service, sum(Spans) / greatest($__toTime - $__fromTime, 1) AS Rate,
                sumIf(Spans, StatusCode = 'Error') / sum(Spans) AS Failed, <p50> AS P50, <p95> AS P95, <p99> AS P99
            FROM otel_red_minute WHERE <chosen> GROUP BY Service ORDER BY Rate DESC LIMIT 1000""")
    ),
    units={"Rate": "reqps", "Failed": "percentunit", "P50": "ns", "P95": "ns", "P99": "ns"},
    links={"Service": [_TO_SERVICE]},
)
_FAILING: Final = table(
    "Most failing operations",
    table_query(
        _query("""
            SELECT ServiceName AS Service, SpanName AS Operation, sumIf(Spans, StatusCode = 'Error') AS Errors,
                Errors / sum(Spans) AS Failed
            FROM otel_red_minute WHERE <chosen> GROUP BY Service, Operation HAVING Errors > 0 ORDER BY Errors DESC LIMIT 20""")
    ),
    units={"Errors": "short", "Failed": "percentunit"},
    links={"Service": [_TO_SERVICE], "Operation": [_TO_OPERATION]},
    width=12,
)
_SLOWEST: Final = table(
    "Slowest operations",
    table_query(
        _query("""
            WITH <sketch>
            SELECT ServiceName AS Service, SpanName AS Operation, sum(Spans) AS Requests, <p95> AS P95
            FROM otel_red_minute WHERE <chosen> GROUP BY Service, Operation ORDER BY P95 DESC LIMIT 20""")
    ),
    units={"Requests": "short", "P95": "ns"},
    links={"Service": [_TO_SERVICE], "Operation": [_TO_OPERATION]},
    width=12,
)

OVERVIEW: Final = dashboard(
    "overview",
    "Spanhouse: overview",
    "Rate, errors and durations of all services in a workspace, from the table that red_metrics fills.",
    variables=[
        data_source("grafana-clickhouse-datasource"),
        WORKSPACE,
        chosen_among("kind", "Kind", KINDS, INCOMING),
    ],
    panels=arranged(_NUMBERS, _GRAPHS, [_SERVICES], [_FAILING, _SLOWEST]),
)
