"""Links between spans across traces: those that a trace's spans have, and those that lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from collector.query.store import START, SpanStore, Statement, time_range


class LinkedSpans(NamedTuple):
    """One link; ids are hex.

    Attributes:
        trace_id, span_id, service, name, start: of the span that has the link.
        to_trace_id, to_span_id: of what it leads to, wherever that is.
    """

    trace_id: str
    span_id: str
    service: str
    name: str
    start: int
    to_trace_id: str
    to_span_id: str


@dataclass(frozen=True, slots=True)
class Links:
    """Links from and to a trace, by the start of the span that has the link.

    Attributes:
        complete: whether there were no more than were asked for, either way.
    """

    outgoing: list[LinkedSpans]
    incoming: list[LinkedSpans]
    complete: bool


_COLUMNS = f"TraceId, SpanId, ServiceName, SpanName, {START} AS Start, ToTraceId, ToSpanId"
_JOIN = " ARRAY JOIN `Links.TraceId` AS ToTraceId, `Links.SpanId` AS ToSpanId WHERE Workspace = {workspace:String}"
_ORDER = " ORDER BY Start, TraceId, SpanId, ToTraceId, ToSpanId LIMIT {limit:UInt64}"


def outgoing_statement(store: SpanStore, trace_id: str, workspace: str, start: int, end: int, limit: int) -> Statement:
    """Links of the trace's spans that start in [start, end), nanoseconds."""
    condition, parameters = time_range(start, end)
    return Statement(
        f"SELECT DISTINCT {_COLUMNS} FROM {store.spans_table}{_JOIN}"  # noqa: S608 - the name is checked, values are bound
        f" AND {condition} AND TraceId = {{trace_id:String}}{_ORDER}",
        {**parameters, "trace_id": trace_id, "workspace": workspace, "limit": limit},
    )


def incoming_statement(store: SpanStore, trace_id: str, workspace: str, start: int, end: int, limit: int) -> Statement:
    """Links to the trace of spans that start in [start, end), nanoseconds; those of its own spans are not among them."""
    condition, parameters = time_range(start, end)
    return Statement(
        f"SELECT DISTINCT {_COLUMNS} FROM {store.spans_table}{_JOIN}"  # noqa: S608 - the name is checked, values are bound
        f" AND {condition} AND TraceId != {{trace_id:String}}"
        f" AND has(`Links.TraceId`, {{trace_id:String}}) AND ToTraceId = {{trace_id:String}}{_ORDER}",
        {**parameters, "trace_id": trace_id, "workspace": workspace, "limit": limit},
    )


async def find_links(
    store: SpanStore, trace_id: str, *, within: tuple[int, int], incoming_within: tuple[int, int], limit: int, workspace: str
) -> Links:
    """Links from and to a trace, so many of each at most.

    Args:
        within: [start, end) of the trace's own spans, nanoseconds.
        incoming_within: [start, end) of the spans that may have links to it. No index knows those: the whole range is read.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    both = []
    for statement in (
        outgoing_statement(store, trace_id, workspace, *within, limit + 1),
        incoming_statement(store, trace_id, workspace, *incoming_within, limit + 1),
    ):
        result = await store.fetch(statement)
        both.append([LinkedSpans(*values) for values in zip(*result.columns.values(), strict=True)])
    return Links(both[0][:limit], both[1][:limit], all(len(links) <= limit for links in both))
