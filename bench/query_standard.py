"""What the readers of the standard table ask: Grafana's data source and dashboards."""

from __future__ import annotations

from typing import Final

from bench.query_sql import Sample, starts_within
from bench.query_store import STANDARD

STANDARD_SPANS: Final = f"{STANDARD}.otel_traces"
STANDARD_COMPANION: Final = f"{STANDARD}.otel_traces_trace_id_ts"


def standard_trace(sample: Sample) -> str:
    """What Grafana asks for one trace."""

    def pairs(column: str) -> str:
        return f"arrayMap(key -> map('key', key, 'value', {column}[key]), mapKeys({column}))"

    within = f"FROM {STANDARD_COMPANION} WHERE TraceId = '{sample['id']}'"
    return f"""
        WITH '{sample["id"]}' AS trace_id,
            (SELECT min(Start) {within}) AS trace_start, (SELECT max(End) + 1 {within}) AS trace_end
        SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID, ServiceName AS serviceName,
            SpanName AS operationName, toUnixTimestamp64Nano(Timestamp) * 0.000001 AS startTime, Duration * 0.000001 AS duration,
            {pairs("SpanAttributes")} AS tags, {pairs("ResourceAttributes")} AS serviceTags,
            if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode,
            arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Nano(timestamp) * 0.000001),
                arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes))),
                `Events.Name`, `Events.Timestamp`, `Events.Attributes`) AS logs,
            SpanKind AS kind, StatusMessage AS statusMessage, TraceState AS traceState
        FROM {STANDARD_SPANS} WHERE traceID = trace_id AND Timestamp >= trace_start AND Timestamp <= trace_end"""


def standard_list(condition: str, start: int, end: int, *, roots: bool = True) -> str:
    """Grafana's list of traces."""
    root = "AND ( ParentSpanId = '' ) " if roots else ""
    return (
        "SELECT TraceId AS traceID, ServiceName AS serviceName, SpanName AS operationName, Timestamp AS startTime,"
        f" Duration * 0.000001 AS duration FROM {STANDARD_SPANS} WHERE ( {starts_within('Timestamp', start, end)} ) {root}"
        f"AND ( Duration > 0 ) AND ( {condition} ) ORDER BY Timestamp DESC, Duration DESC LIMIT 20"
    )


def standard_edges(start: int, end: int) -> str:
    """The edges of Grafana's node graph."""
    starts = starts_within("Timestamp", start, end)
    return f"""
        WITH parents AS (SELECT TraceId, SpanId, ServiceName FROM {STANDARD_SPANS} WHERE {starts}),
            children AS (
                SELECT TraceId, ParentSpanId, ServiceName, Duration, StatusCode FROM {STANDARD_SPANS}
                WHERE {starts} AND ParentSpanId != '')
        SELECT concat(p.ServiceName, '->', c.ServiceName) AS id, p.ServiceName AS source, c.ServiceName AS target,
            count() AS mainstat, avg(c.Duration) * 0.000001 AS secondarystat, countIf(c.StatusCode = 'Error') AS errors
        FROM children AS c INNER JOIN parents AS p ON c.TraceId = p.TraceId AND c.ParentSpanId = p.SpanId
        WHERE p.ServiceName != c.ServiceName GROUP BY source, target ORDER BY mainstat DESC"""


def standard_latencies(condition: str, start: int, end: int) -> str:
    """The same with quantiles that are estimated, over all rows."""
    return (
        "SELECT ServiceName, count(), countIf(StatusCode = 'Error'), quantiles(0.5, 0.95, 0.99)(Duration)"
        f" FROM {STANDARD_SPANS} WHERE {starts_within('Timestamp', start, end)} {condition} GROUP BY ServiceName"
    )
