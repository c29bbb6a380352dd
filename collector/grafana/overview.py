"""The dashboard of all services of a workspace."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import dashboard, dashboard_link, data_source
from collector.grafana.panels import arranged, number, table, table_query
from collector.grafana.red import KIND, PERCENTILES, WORKSPACE, red_graphs

_TO_SERVICE: Final = dashboard_link("Open the service", "service", service="${__value.raw:percentencode}")
_TO_OPERATION: Final = dashboard_link(
    "Open the operation",
    "service",
    service="${__data.fields.Service:percentencode}",
    operation="${__value.raw:percentencode}",
)


_NUMBERS: Final = (
    number(
        "Services",
        table_query("SELECT uniqExact(ServiceName) AS services FROM otel_red_minute WHERE <of_workspace>"),
        unit="short",
    ),
    number(
        "Requests per second",
        table_query("SELECT sum(Spans) / <seconds> AS rate FROM otel_red_minute WHERE <of_workspace>"),
        unit="reqps",
    ),
    number(
        "Failed",
        table_query("SELECT <failed> AS failed FROM otel_red_minute WHERE <of_workspace>"),
        unit="percentunit",
        limits=(0.01, 0.05),
    ),
    number(
        "95th percentile",
        table_query("WITH <sketch> SELECT <p95> AS p95 FROM otel_red_minute WHERE <of_workspace>"),
        unit="ns",
    ),
)
_GRAPHS: Final = red_graphs("ServiceName", "service", "of_workspace")
_SERVICES: Final = table(
    "Services",
    table_query("""
        WITH <sketch>
        SELECT ServiceName AS Service, sum(Spans) / <seconds> AS Rate, <failed> AS Failed,
            <p50> AS P50, <p95> AS P95, <p99> AS P99
        FROM otel_red_minute WHERE <of_workspace> GROUP BY Service ORDER BY Rate DESC LIMIT 1000"""),
    units={"Rate": "reqps", "Failed": "percentunit", **PERCENTILES},
    links={"Service": [_TO_SERVICE]},
)
_FAILING: Final = table(
    "Most failing operations",
    table_query("""
        SELECT ServiceName AS Service, SpanName AS Operation, sumIf(Spans, StatusCode = 'Error') AS Errors,
            Errors / sum(Spans) AS Failed
        FROM otel_red_minute WHERE <of_workspace>
        GROUP BY Service, Operation HAVING Errors > 0 ORDER BY Errors DESC LIMIT 20"""),
    units={"Errors": "short", "Failed": "percentunit"},
    links={"Service": [_TO_SERVICE], "Operation": [_TO_OPERATION]},
    width=12,
)
_SLOWEST: Final = table(
    "Slowest operations",
    table_query("""
        WITH <sketch>
        SELECT ServiceName AS Service, SpanName AS Operation, sum(Spans) AS Requests, <p95> AS P95
        FROM otel_red_minute WHERE <of_workspace> GROUP BY Service, Operation ORDER BY P95 DESC LIMIT 20"""),
    units={"Requests": "short", "P95": "ns"},
    links={"Service": [_TO_SERVICE], "Operation": [_TO_OPERATION]},
    width=12,
)

OVERVIEW: Final = dashboard(
    "overview",
    "Spanhouse: overview",
    "Rate, errors and durations of all services in a workspace, from the table that red_metrics fills.",
    variables=[data_source("grafana-clickhouse-datasource"), WORKSPACE, KIND],
    panels=arranged(_NUMBERS, _GRAPHS, [_SERVICES], [_FAILING, _SLOWEST]),
)
