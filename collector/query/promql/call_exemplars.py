"""Spans that show what series of calls are made of: the called span, or its caller where the metric tells what that saw.

They are looked for among the slowest spans that were called in each stretch of time: who called them, their parents say. Calls of
what has no spans, such as databases, have no exemplars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from collector.calls import BY_USER, CONNECTIONS, DIRECT, MESSAGING, NODES, VIRTUAL
from collector.query.promql.expressions import Matcher
from collector.query.promql.families import Metric
from collector.query.promql.loading import matching_condition
from collector.query.store import DURATION, ERROR, STATUS_CODES, SpanStore, Statement, time_range

_MOST_CALLED: Final = 10
"""Spans of a service that are looked at in each stretch, of those that failed and of the others."""
_LONGEST_CALL: Final = 3_600 * 10**9
"""A caller starts at most so many nanoseconds before what it called."""
_FAILED: Final = f"StatusCode = '{STATUS_CODES[ERROR]}'"
_COUNTS_FAILURES: Final = "_failed"


class Told(NamedTuple):
    """A span that a series of calls may show; `stretch` and `failed` say among which others it is one of the slowest."""

    labels: Sequence[str]
    trace_id: str
    span_id: str
    time: int
    length: int
    stretch: int
    failed: bool


def calls_statement(
    store: SpanStore, metric: Metric, matchers: Sequence[Matcher], *, start: int, end: int, stretch: int, workspace: str
) -> Statement:
    """A row for each call: `Labels`, `TraceId`, `Stretch`, `Failed`, and id, start and length of both of its spans."""
    condition, parameters = matching_condition(metric, matchers)
    called, of_called = matching_condition(metric, [matcher for matcher in matchers if matcher.label == "server"])
    within, times = time_range(start, end)
    before, caller_times = time_range(max(start - _LONGEST_CALL, 0), end, "caller_")
    read = f"FROM {store.spans_table} WHERE Workspace = {{workspace:String}} AND ServiceName != ''"
    callees = (
        "SELECT TraceId, SpanId, ParentSpanId, ServiceName AS Server, SpanKind AS Kind, toUnixTimestamp64Nano(Timestamp) AS Time,"
        f" {DURATION} AS Length, {_FAILED} AS CalleeFailed,"
        " intDiv(toUnixTimestamp64Nano(Timestamp) - {start:Int64}, {stretch:Int64}) AS Stretch"
        f" {read} AND {within} AND TraceId != '' AND SpanKind IN ('Server', 'Consumer') AND {called}"
        f" ORDER BY Length DESC, TraceId, SpanId LIMIT {_MOST_CALLED} BY Server, Stretch, CalleeFailed"
    )
    callers = (
        "SELECT TraceId, SpanId AS CallerId, ServiceName AS Caller, SpanKind = 'Producer' AS Produces,"  # noqa: S608 - as below
        f" toUnixTimestamp64Nano(Timestamp) AS CallerTime, {DURATION} AS CallerLength, {_FAILED} AS CallerFailed"
        f" {read} AND {before} AND (TraceId, SpanId) IN (SELECT TraceId, ParentSpanId FROM callees)"
    )
    by_user = "ParentSpanId = '' AND Kind = 'Server'"
    direct, messaging, virtual = (f"'{CONNECTIONS[which]}'" for which in (DIRECT, MESSAGING, VIRTUAL))
    calls = (
        f"SELECT *, if({by_user}, '{NODES[BY_USER]}', Caller) AS Client,"  # noqa: S608 - as below
        f" multiIf({by_user}, {virtual}, Produces OR Kind = 'Consumer', {messaging}, {direct}) AS ConnectionType,"
        " CalleeFailed OR CallerFailed AS Failed"
        f" FROM callees LEFT JOIN ({callers}) AS callers ON callees.TraceId = callers.TraceId"
        " AND callees.ParentSpanId = callers.CallerId WHERE Client != '' AND Client != Server"
    )
    labels = ", ".join(f"toString({expression})" for expression in metric.labels.values())
    return Statement(
        f"WITH callees AS ({callees})"  # noqa: S608 - names are checked, values are bound
        f" SELECT [{labels}] AS Labels, TraceId, Stretch, Failed, SpanId, Time, Length, CallerId, CallerTime, CallerLength"
        f" FROM ({calls}) WHERE {condition}",
        {**parameters, **of_called, **times, **caller_times, "workspace": workspace, "stretch": stretch},
    )


async def find_calls(
    store: SpanStore, metric: Metric, matchers: Sequence[Matcher], *, start: int, end: int, stretch: int, workspace: str
) -> list[dict[str, Any]]:
    """Some of the calls whose called spans start in [start, end): rows of `calls_statement`.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = calls_statement(store, metric, matchers, start=start, end=end, stretch=stretch, workspace=workspace)
    return list((await store.fetch(statement)).rows())


def slowest_told(metric: Metric, calls: Sequence[dict[str, Any]]) -> Iterator[Told]:
    """Of the calls that a metric tells of, the slowest of each stretch that has failed, and the slowest of the others."""
    of_caller = "client" in metric.family
    found: dict[tuple[object, ...], Told] = {}
    for call in calls:
        if (of_caller and not call["CallerId"]) or (metric.family.endswith(_COUNTS_FAILURES) and not call["Failed"]):
            continue
        span = ("CallerId", "CallerTime", "CallerLength") if of_caller else ("SpanId", "Time", "Length")
        span_id, time, length = (call[name] for name in span)
        told = Told(call["Labels"], call["TraceId"], span_id, time, length, call["Stretch"], call["Failed"])
        key = (*told.labels, told.stretch, told.failed)
        if key not in found or found[key].length < told.length:
            found[key] = told
    yield from found.values()
