"""The dashboard of one service: its operations, and its traces."""

from __future__ import annotations

from typing import Final

from collector.grafana.model import chosen_by_sql, dashboard, data_source, explore_link, link, written
from collector.grafana.panels import (
    arranged,
    graph,
    heading,
    heat_map,
    series_query,
    table,
    table_query,
    trace_query,
    trace_view,
)
from collector.grafana.red import KIND, PERCENTILES, WORKSPACE, red_graphs
from collector.sketch import BUCKETS_PER_DOUBLING

_SERVICE: Final = chosen_by_sql(
    "service",
    "Service",
    "SELECT DISTINCT ServiceName FROM otel_red_minute"
    " WHERE $__timeFilter(Minute) AND Workspace = ${workspace:sqlstring} ORDER BY ServiceName",
)
_OPERATION: Final = chosen_by_sql(
    "operation",
    "Operation",
    "SELECT DISTINCT SpanName FROM otel_red_minute WHERE $__timeFilter(Minute) AND Workspace = ${workspace:sqlstring}"
    " AND ServiceName IN (${service:sqlstring}) AND SpanKind IN (${kind:sqlstring}) ORDER BY SpanName LIMIT 1000",
    several=True,
)
_SHORTEST, _LONGEST = 14, 38
"""Ranges of the heat map reach from 2^14 ns, 16 us, to 2^38 ns, 275 s; the first and the last take what lies beyond."""

_SHOW: Final = link(
    "Show below",
    "/d/spanhouse-service?${__url_time_range}&${datasource:queryparam}&${workspace:queryparam}&${service:queryparam}"
    "&${operation:queryparam}&${kind:queryparam}&${jaeger:queryparam}&${tempo:queryparam}&var-trace=${__value.raw}",
)
_TRACE_LINKS: Final = {
    "Trace": [
        _SHOW,
        explore_link("Open in Jaeger", "jaeger", {"query": "${__value.raw}"}),
        explore_link("Open in Tempo", "tempo", {"query": "${__value.raw}", "queryType": "traceql"}),
    ]
}


def _octaves() -> str:
    """Columns of the heat map, each named by its upper bound in nanoseconds."""
    return ", ".join(f"Octaves[{octave}] AS `{2**octave}`" for octave in range(_SHORTEST, _LONGEST + 1))


_GRAPHS: Final = red_graphs("SpanName", "operation", "of_service")
_DURATIONS: Final = (
    heat_map(
        "Durations",
        table_query(f"""
            WITH arrayMap(
                    bucket -> toUInt8(least(greatest(ceil(bucket / {BUCKETS_PER_DOUBLING}), {_SHORTEST}), {_LONGEST})),
                    mapKeys(DurationSketch)) AS Bounds,
                sumMap(Bounds, mapValues(DurationSketch)) AS Totals, mapFromArrays(Totals.1, Totals.2) AS Octaves
            SELECT $__timeInterval(Minute) AS time, {_octaves()}
            FROM otel_red_minute WHERE <of_service> GROUP BY time ORDER BY time"""),  # noqa: S608 - constants
        description="How many spans took how long. The bounds are powers of two.",
        interval="1m",
        width=16,
    ),
    graph(
        "Percentiles",
        series_query("""
            WITH <sketch>
            SELECT $__timeInterval(Minute) AS time, <p50> AS p50, <p95> AS p95, <p99> AS p99
            FROM otel_red_minute WHERE <of_service> GROUP BY time ORDER BY time"""),
        unit="ns",
        interval="1m",
    ),
)
_SLOWEST: Final = table(
    "Slowest operations",
    table_query("""
        WITH <sketch>
        SELECT SpanName AS Operation, SpanKind AS Kind, sum(Spans) AS Requests, <p50> AS P50, <p95> AS P95, <p99> AS P99
        FROM otel_red_minute WHERE <of_service> GROUP BY Operation, Kind ORDER BY P95 DESC LIMIT 100"""),
    units={"Requests": "short", **PERCENTILES},
    width=12,
)
_FAILING: Final = table(
    "Most failing operations",
    table_query("""
        SELECT SpanName AS Operation, SpanKind AS Kind, sumIf(Spans, StatusCode = 'Error') AS Errors,
            Errors / sum(Spans) AS Failed
        FROM otel_red_minute WHERE <of_service> GROUP BY Operation, Kind HAVING Errors > 0 ORDER BY Errors DESC LIMIT 100"""),
    units={"Errors": "short", "Failed": "percentunit"},
    width=12,
)
_ERRORS: Final = table(
    "What went wrong",
    table_query("""
        SELECT SpanName AS Operation, StatusMessage AS Message, count() AS Spans, max(Timestamp) AS Latest,
            argMax(TraceId, Timestamp) AS Trace
        FROM otel_traces WHERE <spans_of_service> AND StatusCode = 'Error'
        GROUP BY Operation, Message ORDER BY Spans DESC LIMIT 100"""),
    units={"Spans": "short"},
    links=_TRACE_LINKS,
    description="Of stored spans, with the latest trace for each message.",
)
_TRACES: Final = tuple(
    table(
        title,
        table_query(f"""
            SELECT Timestamp AS Start, TraceId AS Trace, SpanName AS Operation, Duration, StatusCode AS Status
            FROM otel_traces WHERE <spans_of_service>{condition} ORDER BY {order} DESC LIMIT 100"""),  # noqa: S608 - constants
        units={"Duration": "ns"},
        links=_TRACE_LINKS,
        width=12,
        height=11,
    )
    for title, condition, order in (
        ("Slowest traces", "", "Duration"),
        ("Latest failed traces", " AND StatusCode = 'Error'", "Timestamp"),
    )
)
_TRACE: Final = trace_view(
    "Trace",
    # As the plugin asks for a trace by its id.
    trace_query("""
        WITH lower(${trace:sqlstring}) AS id,
            (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = id) AS first,
            (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = id) AS last
        SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID, ServiceName AS serviceName,
            SpanName AS operationName, multiply(toUnixTimestamp64Nano(Timestamp), 0.000001) AS startTime,
            multiply(Duration, 0.000001) AS duration,
            arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags,
            arrayMap(key -> map('key', key, 'value', ResourceAttributes[key]), mapKeys(ResourceAttributes)) AS serviceTags,
            if(StatusCode = 'Error', 2, 0) AS statusCode, StatusMessage AS statusMessage, SpanKind AS kind,
            TraceState AS traceState,
            arrayMap((name, time, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(time)),
                    arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)))
                ::Tuple(name String, timestamp String, fields Array(Map(String, String))),
                `Events.Name`, `Events.Timestamp`, `Events.Attributes`) AS logs,
            arrayMap((trace, span, attributes) -> tuple(trace, span,
                    arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)))
                ::Tuple(traceID String, spanID String, tags Array(Map(String, String))),
                `Links.TraceId`, `Links.SpanId`, `Links.Attributes`) AS references
        FROM otel_traces
        WHERE TraceId = id AND Timestamp >= first AND Timestamp <= last AND Workspace = ${workspace:sqlstring}
        ORDER BY Timestamp"""),
    description="The trace whose id is in the field above. Click an id in a table to see it here.",
)

SERVICE: Final = dashboard(
    "service",
    "Spanhouse: service",
    "Rate, errors and durations of a service by operation, and its traces.",
    variables=[
        data_source("grafana-clickhouse-datasource"),
        WORKSPACE,
        _SERVICE,
        KIND,
        _OPERATION,
        data_source("jaeger", name="jaeger", label="Jaeger"),
        data_source("tempo", name="tempo", label="Tempo"),
        written("trace", "Trace id"),
    ],
    panels=arranged(
        [heading("Operations")],
        _GRAPHS,
        _DURATIONS,
        [_SLOWEST, _FAILING],
        [heading("Traces")],
        _TRACES,
        [_ERRORS],
        [_TRACE],
    ),
)
