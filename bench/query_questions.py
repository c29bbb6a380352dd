"""What is asked of the stored spans, in three ways: of our API, in SQL of our tables, and of the standard table by its readers.

The SQL beside the API answers the same, in as few statements as can be and by hand: which parts of the tables are read is said in
it, ids stand in it as literals, and nothing is checked. The standard readers are Grafana's data source and dashboards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from bench.query_store import DATABASE, DAY_NS, END_NS, LARGE_AT_NS, STANDARD, START_NS
from collector.query.skeleton import SELECTED_SKELETON
from collector.query.spans import SELECTED

HOUR_NS: Final = 3_600 * 10**9
SPANS: Final = f"{DATABASE}.otel_traces"
COMPANION: Final = f"{DATABASE}.otel_traces_trace_id_ts"
STANDARD_SPANS: Final = f"{STANDARD}.otel_traces"
STANDARD_COMPANION: Final = f"{STANDARD}.otel_traces_trace_id_ts"

Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked, of samples that differ.

    Attributes:
        name: for the report.
        samples: makes those to ask about; a query, of which each row is one.
        path: of our API.
        ours: SQL of our tables with the same answer.
        standard: what readers of the standard table ask; None where they have no such question.
        p95_ms: which the API must stay below, warm; None where there is no such bound.
        answers: the statuses of the API's answers.
    """

    name: str
    samples: str
    path: Callable[[Sample], str]
    ours: Callable[[Sample], str]
    standard: Callable[[Sample], str] | None = None
    p95_ms: float | None = None
    answers: int = 200


def _time(column: str, start: int, end: int) -> str:
    return f"{column} >= fromUnixTimestamp64Nano({start}) AND {column} < fromUnixTimestamp64Nano({end})"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _path(path: str, **parameters: object) -> str:
    return f"/api/v1{path}?{urlencode(parameters)}" if parameters else f"/api/v1{path}"


# A trace by its id.


def _ids(start: int, end: int, count: int = 25) -> str:
    return (
        f"SELECT TraceId AS id, toUnixTimestamp64Nano(min(Timestamp)) AS start FROM {SPANS}"
        f" WHERE {_time('Timestamp', start, end)} GROUP BY TraceId ORDER BY cityHash64(TraceId) LIMIT {count}"
    )


def _one_trace(selected: str) -> Callable[[Sample], str]:
    def sql(sample: Sample) -> str:
        # The bounds of what a trace's spans lie within are asked for in the same statement.
        return f"""
            WITH (SELECT (min(Start), max(End)) FROM {COMPANION} WHERE TraceId = '{sample["id"]}' AND Workspace = 'default') AS b
            SELECT {selected} FROM {SPANS}
            WHERE TraceId = '{sample["id"]}' AND Workspace = 'default' AND Timestamp >= b.1 AND Timestamp < b.2 + 1
            ORDER BY Timestamp, SpanId"""

    return sql


def _grafana_trace(sample: Sample) -> str:
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


def _by_id(name: str, start: int, *, ranged: bool = False) -> Question:
    def path(sample: Sample) -> str:
        if not ranged:
            return _path(f"/traces/{sample['id']}")
        return _path(f"/traces/{sample['id']}", start=sample["start"] - HOUR_NS, end=sample["start"] + HOUR_NS)

    return Question(name, _ids(start, start + HOUR_NS), path, _one_trace(SELECTED), _grafana_trace, 50)


_UNKNOWN: Final = "SELECT lower(hex(cityHash64(number)) || hex(cityHash64(number, 1))) AS id FROM numbers(25)"
_LARGE: Final = (
    f"SELECT TraceId AS id FROM {SPANS} WHERE {_time('Timestamp', LARGE_AT_NS, LARGE_AT_NS + HOUR_NS)}"
    " GROUP BY TraceId ORDER BY count() DESC LIMIT 1"
)


# Searches.


def _found(condition: str, start: int, end: int) -> str:
    """One page of hits with the total, in one statement."""
    fitting = f"Workspace = 'default' AND TraceId != '' AND {_time('Timestamp', start, end)} AND {condition}"
    page = f"""
        SELECT groupArray(TraceId), any(Total) FROM (
            SELECT TraceId, Total FROM (
                SELECT TraceId, max(Timestamp) AS Last, count() OVER () AS Total FROM {SPANS} WHERE {fitting} GROUP BY TraceId
            ) ORDER BY Last DESC, TraceId LIMIT 21)"""
    return f"""
        WITH ({page}) AS page, arraySlice(page.1, 1, 20) AS ids,
            (SELECT (min(Start), max(End)) FROM {COMPANION} WHERE TraceId IN (SELECT arrayJoin(ids))) AS b
        SELECT TraceId, page.2 AS Total, min(Timestamp) AS First, max(toUnixTimestamp64Nano(Timestamp) + Duration) AS Last,
            sumMap(map(ServiceName, 1)) AS Spans, sumMap(map(ServiceName, toUInt64(StatusCode = 'Error'))) AS Errors,
            argMinIf((ServiceName, SpanName), Timestamp, ParentSpanId = '') AS Root, countIf({fitting}) AS Matched,
            arraySlice(
                arraySort(groupArrayIf((Timestamp, SpanId, ServiceName, SpanName, Duration, StatusCode), {fitting})), 1, 10
            ) AS MatchedSpans
        FROM {SPANS}
        WHERE Workspace = 'default' AND TraceId IN (SELECT arrayJoin(ids)) AND Timestamp >= b.1 AND Timestamp < b.2 + 1
        GROUP BY TraceId"""


def _listed(condition: str, start: int, end: int, *, roots: bool = True) -> str:
    """Grafana's list of traces."""
    root = "AND ( ParentSpanId = '' ) " if roots else ""
    return (
        "SELECT TraceId AS traceID, ServiceName AS serviceName, SpanName AS operationName, Timestamp AS startTime,"
        f" Duration * 0.000001 AS duration FROM {STANDARD_SPANS} WHERE ( {_time('Timestamp', start, end)} ) {root}"
        f"AND ( Duration > 0 ) AND ( {condition} ) ORDER BY Timestamp DESC, Duration DESC LIMIT 20"
    )


DAY: Final = (START_NS + DAY_NS, START_NS + 2 * DAY_NS)
HOUR: Final = (START_NS + DAY_NS + 13 * HOUR_NS, START_NS + DAY_NS + 14 * HOUR_NS)
_SERVICES: Final = (
    f"SELECT ServiceName AS service FROM {SPANS} WHERE {_time('Timestamp', *HOUR)} AND ServiceName != ''"
    " GROUP BY service ORDER BY count() DESC LIMIT 20"
)
_ONCE: Final = "SELECT 1 AS once"


def _pairs(which: str) -> str:
    return (
        "SELECT key, value FROM (SELECT arrayJoin(SpanAttributes) AS pair, pair.1 AS key, pair.2 AS value, TraceId"
        f" FROM {SPANS} WHERE {_time('Timestamp', *HOUR)}) WHERE value != '' GROUP BY key, value {which}"
    )


_RARE: Final = _pairs("HAVING uniqExact(TraceId) = 1 ORDER BY cityHash64(key, value) LIMIT 20")
_COMMON: Final = _pairs("ORDER BY count() DESC LIMIT 5")


def _attribute(name: str, samples: str, limit_ms: float | None) -> Question:
    def has(sample: Sample) -> str:
        key, value = _text(sample["key"]), _text(sample["value"])
        of_resource = f"(NOT mapContains(SpanAttributes, {key}) AND ResourceAttributes[{key}] = {value})"
        return f"(SpanAttributes[{key}] = {value} OR {of_resource})"

    def of_span(sample: Sample) -> str:
        return f"SpanAttributes[{_text(sample['key'])}] = {_text(sample['value'])}"

    def query(sample: Sample) -> str:
        value = sample["value"].replace("\\", "\\\\").replace('"', '\\"')
        return f'"{sample["key"]}" = "{value}"'

    return Question(
        name,
        samples,
        lambda sample: _path("/traces", start=DAY[0], end=DAY[1], q=query(sample)),
        lambda sample: _found(has(sample), *DAY),
        lambda sample: _listed(of_span(sample), *DAY, roots=False),
        limit_ms,
    )


# Topology.

_EDGES: Final = " UNION ALL ".join(
    "SELECT Client, Server, ConnectionType, Node, Calls, FailedCalls, ClientDurationSum, ServerDurationSum, ClientDurationSketch,"
    f" ServerDurationSketch FROM {DATABASE}.otel_topology_{name} WHERE Workspace = 'default' AND Minute >= toDateTime({{start}})"
    " AND Minute < toDateTime({end})"
    for name in ("minute", "settled")
)


def _edges(start: int, end: int) -> str:
    rows = _EDGES.format(start=start // 10**9, end=end // 10**9)
    return f"""
        SELECT Client, Server, ConnectionType, Node, sum(Calls) AS Called, sum(FailedCalls), sum(ClientDurationSum),
            sum(ServerDurationSum), sumMap(ClientDurationSketch), sumMap(ServerDurationSketch)
        FROM ({rows}) GROUP BY Client, Server, ConnectionType, Node ORDER BY Called DESC LIMIT 1001"""


def _self_join(start: int, end: int) -> str:
    """The edges of Grafana's node graph."""
    return f"""
        WITH parents AS (SELECT TraceId, SpanId, ServiceName FROM {STANDARD_SPANS} WHERE {_time("Timestamp", start, end)}),
            children AS (
                SELECT TraceId, ParentSpanId, ServiceName, Duration, StatusCode FROM {STANDARD_SPANS}
                WHERE {_time("Timestamp", start, end)} AND ParentSpanId != '')
        SELECT concat(p.ServiceName, '->', c.ServiceName) AS id, p.ServiceName AS source, c.ServiceName AS target,
            count() AS mainstat, avg(c.Duration) * 0.000001 AS secondarystat, countIf(c.StatusCode = 'Error') AS errors
        FROM children AS c INNER JOIN parents AS p ON c.TraceId = p.TraceId AND c.ParentSpanId = p.SpanId
        WHERE p.ServiceName != c.ServiceName GROUP BY source, target ORDER BY mainstat DESC"""


def _topology(name: str, start: int, end: int) -> Question:
    return Question(
        name,
        _ONCE,
        lambda _: _path("/topology", start=start, end=end),
        lambda _: _edges(start, end),
        lambda _: _self_join(start, end),
    )


def _latencies(condition: str, start: int, end: int) -> str:
    return f"""
        SELECT ServiceName, count(), countIf(StatusCode = 'Error'), min(Duration), max(Duration), avg(Duration),
            quantilesExactInclusive(0.5, 0.95, 0.99)(Duration)
        FROM (
            SELECT ServiceName, StatusCode, Duration FROM {SPANS}
            WHERE Workspace = 'default' AND {_time("Timestamp", start, end)} {condition}
            LIMIT 1 BY cityHash64(TraceId, SpanId, SpanKind, ServiceName, Timestamp, Duration, SpanName)
        )
        GROUP BY ServiceName ORDER BY ServiceName LIMIT 101"""


def _standard_latencies(condition: str, start: int, end: int) -> str:
    return (
        "SELECT ServiceName, count(), countIf(StatusCode = 'Error'), quantiles(0.5, 0.95, 0.99)(Duration)"
        f" FROM {STANDARD_SPANS} WHERE {_time('Timestamp', start, end)} {condition} GROUP BY ServiceName"
    )


def _of_service(sample: Sample) -> str:
    return f"ServiceName = {_text(sample['service'])}"


def _within(start: int, end: int) -> str:
    return f"Workspace = 'default' AND {_time('Timestamp', start, end)}"


def _tags(start: int, end: int) -> str:
    hours = f"Hour >= toDateTime({start // 10**9 // 3600 * 3600}) AND Hour <= toDateTime({(end - 1) // 10**9 // 3600 * 3600})"
    return (
        f"SELECT Key, groupUniqArray(Level) FROM {DATABASE}.otel_traces_tags WHERE Workspace = 'default' AND {hours}"
        " GROUP BY Key ORDER BY Key LIMIT 101"
    )


QUESTIONS: Final[Sequence[Question]] = (
    _by_id("trace by id, old", START_NS),
    _by_id("trace by id, new", END_NS - HOUR_NS),
    _by_id("trace by id, new, within 2 h", END_NS - 2 * HOUR_NS, ranged=True),
    Question(
        "trace by id, unknown",
        _UNKNOWN,
        lambda sample: _path(f"/traces/{sample['id']}"),
        _one_trace(SELECTED),
        _grafana_trace,
        50,
        404,
    ),
    Question(
        "search: service, 1 h",
        _SERVICES,
        lambda sample: _path("/traces", start=HOUR[0], end=HOUR[1], service=sample["service"]),
        lambda sample: _found(_of_service(sample), *HOUR),
        lambda sample: _listed(_of_service(sample), *HOUR),
        150,
    ),
    _attribute("search: rare attribute, 1 day", _RARE, 500),
    _attribute("search: common attribute, 1 day", _COMMON, None),
    Question(
        "search: over 2 s, 1 day",
        _ONCE,
        lambda _: _path("/traces", start=DAY[0], end=DAY[1], minDuration="2s"),
        lambda _: _found("Duration >= 2000000000", *DAY),
        lambda _: _listed("Duration >= 2000000000", *DAY),
    ),
    Question(
        "search: errors, 1 h",
        _ONCE,
        lambda _: _path("/traces", start=HOUR[0], end=HOUR[1], status="error"),
        lambda _: _found("StatusCode = 'Error'", *HOUR),
        lambda _: _listed("StatusCode = 'Error'", *HOUR, roots=False),
    ),
    Question(
        "search: everything, 1 h",
        _ONCE,
        lambda _: _path("/traces", start=HOUR[0], end=HOUR[1]),
        lambda _: _found("true", *HOUR),
        lambda _: _listed("true", *HOUR),
    ),
    Question(
        "latencies of all services, 1 h",
        _ONCE,
        lambda _: _path("/latencies", start=HOUR[0], end=HOUR[1]),
        lambda _: _latencies("", *HOUR),
        lambda _: _standard_latencies("", *HOUR),
    ),
    Question(
        "latencies of a service, 1 day",
        _SERVICES,
        lambda sample: _path("/latencies", start=DAY[0], end=DAY[1], service=sample["service"]),
        lambda sample: _latencies(f"AND {_of_service(sample)}", *DAY),
        lambda sample: _standard_latencies(f"AND {_of_service(sample)}", *DAY),
    ),
    Question(
        "services, 1 day",
        _ONCE,
        lambda _: _path("/services", start=DAY[0], end=DAY[1]),
        lambda _: (
            f"SELECT ServiceName, count(), max(Timestamp) FROM {SPANS} WHERE {_within(*DAY)}"
            " GROUP BY ServiceName ORDER BY ServiceName LIMIT 101"
        ),
        lambda _: f"SELECT ServiceName, count() FROM {STANDARD_SPANS} WHERE {_time('Timestamp', *DAY)} GROUP BY ServiceName",
    ),
    Question(
        "operations of a service, 1 day",
        _SERVICES,
        lambda sample: _path(f"/services/{quote(sample['service'], safe='')}/operations", start=DAY[0], end=DAY[1]),
        lambda sample: (
            f"SELECT SpanName, SpanKind FROM {SPANS} WHERE {_within(*DAY)} AND {_of_service(sample)}"
            " GROUP BY SpanName, SpanKind ORDER BY SpanName, SpanKind LIMIT 10001"
        ),
        lambda sample: (
            f"SELECT DISTINCT SpanName FROM {STANDARD_SPANS} WHERE {_time('Timestamp', *DAY)} AND {_of_service(sample)}"
        ),
    ),
    Question(
        "keys of attributes, 6 h",
        _ONCE,
        lambda _: _path("/tags", start=HOUR[1] - 6 * HOUR_NS, end=HOUR[1]),
        lambda _: _tags(HOUR[1] - 6 * HOUR_NS, HOUR[1]),
        lambda _: (
            f"SELECT DISTINCT arrayJoin(mapKeys(SpanAttributes)) AS key FROM {STANDARD_SPANS}"
            f" WHERE {_time('Timestamp', HOUR[1] - 6 * HOUR_NS, HOUR[1])} LIMIT 1000"
        ),
    ),
    _topology("topology, 1 h", *HOUR),
    _topology("topology, 1 day", *DAY),
    Question(
        "waterfall, 100,000 spans",
        _LARGE,
        lambda sample: _path(f"/traces/{sample['id']}/waterfall", limit=1000),
        _one_trace(SELECTED_SKELETON),
    ),
    Question(
        "critical path, 100,000 spans",
        _LARGE,
        lambda sample: _path(f"/traces/{sample['id']}/critical-path"),
        _one_trace(SELECTED_SKELETON),
    ),
)
