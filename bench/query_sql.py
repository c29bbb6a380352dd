"""SQL of our tables that answers what the API answers, by hand and in as few statements as can be.

Which parts of the tables are read is said in it, ids stand in it as literals, and nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from bench.query_store import DATABASE, DAY_NS, START_NS
from collector.query.store import IDENTITY

HOUR_NS: Final = 3_600 * 10**9
DAY: Final = (START_NS + DAY_NS, START_NS + 2 * DAY_NS)
HOUR: Final = (START_NS + DAY_NS + 13 * HOUR_NS, START_NS + DAY_NS + 14 * HOUR_NS)
"""The time ranges that are asked about, nanoseconds."""
SPANS: Final = f"{DATABASE}.otel_traces"
COMPANION: Final = f"{DATABASE}.otel_traces_trace_id_ts"

Sample = Mapping[str, Any]


def starts_within(column: str, start: int, end: int) -> str:
    """The condition that a time lies in [start, end), nanoseconds."""
    return f"{column} >= fromUnixTimestamp64Nano({start}) AND {column} < fromUnixTimestamp64Nano({end})"


def sql_text(value: str) -> str:
    """A text as ClickHouse reads it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def within(start: int, end: int) -> str:
    """The condition that a span starts in [start, end), nanoseconds."""
    return f"Workspace = 'default' AND {starts_within('Timestamp', start, end)}"


def of_service(sample: Sample) -> str:
    """The condition that a span is of a service."""
    return f"ServiceName = {sql_text(sample['service'])}"


def has_attribute(sample: Sample) -> str:
    """The condition that a span has an attribute of its own."""
    return f"SpanAttributes[{sql_text(sample['key'])}] = {sql_text(sample['value'])}"


def services(limit: int) -> str:
    """The services with the most spans in the hour: `service`."""
    return (
        f"SELECT ServiceName AS service FROM {SPANS} WHERE {starts_within('Timestamp', *HOUR)} AND ServiceName != ''"
        f" GROUP BY service ORDER BY count() DESC LIMIT {limit}"
    )


def attribute_pairs(which: Literal["rare", "common"]) -> str:
    """Attributes of spans in the hour, those of one trace alone or the most frequent of two keys: `key`, `value`."""
    chosen = {
        "rare": "HAVING uniqExact(TraceId) = 1 ORDER BY cityHash64(key, value) LIMIT 20",
        "common": "ORDER BY count() DESC LIMIT 1 BY key LIMIT 2",
    }[which]
    return (
        "SELECT key, value FROM (SELECT arrayJoin(SpanAttributes) AS pair, pair.1 AS key, pair.2 AS value, TraceId"
        f" FROM {SPANS} WHERE {starts_within('Timestamp', *HOUR)}) WHERE value != '' GROUP BY key, value {chosen}"
    )


def ids(start: int, end: int, count: int = 25) -> str:
    """Some traces of a time range: `id`, and the `start` of each."""
    return (
        f"SELECT TraceId AS id, toUnixTimestamp64Nano(min(Timestamp)) AS start FROM {SPANS}"
        f" WHERE {starts_within('Timestamp', start, end)} GROUP BY TraceId ORDER BY cityHash64(TraceId) LIMIT {count}"
    )


def one_trace(selected: str) -> Callable[[Sample], str]:
    """All spans of a trace, with those columns."""

    def sql(sample: Sample) -> str:
        # The bounds of what a trace's spans lie within are asked for in the same statement.
        return f"""
            WITH (SELECT (min(Start), max(End)) FROM {COMPANION} WHERE TraceId = '{sample["id"]}' AND Workspace = 'default') AS b
            SELECT {selected} FROM {SPANS}
            WHERE TraceId = '{sample["id"]}' AND Workspace = 'default' AND Timestamp >= b.1 AND Timestamp < b.2 + 1
            ORDER BY Timestamp, SpanId"""

    return sql


def found(condition: str, start: int, end: int) -> str:
    """One page of hits with the total, in one statement; a span that its client sent twice counts once."""
    fitting = f"Workspace = 'default' AND TraceId != '' AND {starts_within('Timestamp', start, end)} AND {condition}"
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
        FROM (
            SELECT TraceId, Workspace, Timestamp, SpanId, ParentSpanId, ServiceName, SpanName, Duration, StatusCode,
                SpanAttributes
            FROM {SPANS}
            WHERE Workspace = 'default' AND TraceId IN (SELECT arrayJoin(ids)) AND Timestamp >= b.1 AND Timestamp < b.2 + 1
            LIMIT 1 BY TraceId, {IDENTITY}
        )
        GROUP BY TraceId"""


def _calls(start: int, end: int) -> str:
    """Calls of whole hours from the table of hours, else of minutes, those that came later from a table of their own."""
    sources = {"hour": "Hour"} if start % HOUR_NS == end % HOUR_NS == 0 else {"minute": "Minute", "settled": "Minute"}
    columns = (
        "Client, Server, ConnectionType, Node, Calls, FailedCalls, ClientDurationSum, ServerDurationSum, ClientDurationSketch,"
        " ServerDurationSketch"
    )
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {DATABASE}.otel_topology_{name} WHERE Workspace = 'default'"
        f" AND {time} >= toDateTime({start // 10**9}) AND {time} < toDateTime({end // 10**9})"
        for name, time in sources.items()
    )


def edges(start: int, end: int) -> str:
    """Calls between services from our tables of calls."""
    return f"""
        SELECT Client, Server, ConnectionType, Node, sum(Calls) AS Called, sum(FailedCalls), sum(ClientDurationSum),
            sum(ServerDurationSum), sumMap(ClientDurationSketch), sumMap(ServerDurationSketch)
        FROM ({_calls(start, end)}) GROUP BY Client, Server, ConnectionType, Node ORDER BY Called DESC LIMIT 1001"""


def node_graph(start: int, end: int) -> str:
    """What Grafana's node graph shows of calls, from our tables of calls."""
    return f"""
        SELECT concat(Client, '->', Server) AS id, Client AS source, Server AS target, sum(Calls) AS mainstat,
            sum(ServerDurationSum) / mainstat * 0.000001 AS secondarystat, sum(FailedCalls) AS errors
        FROM ({_calls(start, end)}) GROUP BY source, target ORDER BY mainstat DESC"""


def latencies(condition: str, start: int, end: int) -> str:
    return f"""
        SELECT ServiceName, count(), countIf(StatusCode = 'Error'), min(Duration), max(Duration), avg(Duration),
            quantilesExactInclusive(0.5, 0.95, 0.99)(Duration)
        FROM (
            SELECT ServiceName, StatusCode, Duration FROM {SPANS}
            WHERE Workspace = 'default' AND {starts_within("Timestamp", start, end)} {condition}
            LIMIT 1 BY cityHash64(TraceId, SpanId, SpanKind, ServiceName, Timestamp, Duration, SpanName)
        )
        GROUP BY ServiceName ORDER BY ServiceName LIMIT 101"""


def tags(start: int, end: int) -> str:
    """Keys of attributes, from our table of these."""
    hours = f"Hour >= toDateTime({start // 10**9 // 3600 * 3600}) AND Hour <= toDateTime({(end - 1) // 10**9 // 3600 * 3600})"
    return (
        f"SELECT Key, groupUniqArray(Level) FROM {DATABASE}.otel_traces_tags WHERE Workspace = 'default' AND {hours}"
        " GROUP BY Key ORDER BY Key LIMIT 101"
    )
