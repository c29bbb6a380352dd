"""One trace by its id."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from collector.memory import collector_paused
from collector.query.bounds import Bounds, find_bounds
from collector.query.skeleton import Skeleton
from collector.query.skeleton_rows import SELECTED_SKELETON, SELECTED_WITH_CONTENT, in_order, skeleton_of
from collector.query.span_rows import SELECTED, SpanRows
from collector.query.spans import Spans, none_of
from collector.query.store import MAX_TIMESTAMP, SpanStore, Statement
from exporters.clickhouse.wire import Answer, parse_blocks

MAX_SPANS: Final = 100_000
_CALENDAR_END: Final = 2**32 * 10**9
"""Nanoseconds."""
_MAX_COPIES: Final = 10
"""A span may have been stored several times, because its client sent it again: a window reads so many of each at most."""
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
EARLIEST_FIRST: Final = " ORDER BY Timestamp, SpanId"


def parse_trace_id(text: str) -> str:
    """32 lower-case hex digits. 16 digits are padded on the left with zeros; dashes, as in a UUID, are taken out.

    Raises:
        ValueError: anything else, and the all-zero id, which no trace has.
    """
    digits = text.strip().lower().replace("-", "")
    if not _TRACE_ID.fullmatch(digits) or not digits.strip("0"):
        raise ValueError("16 or 32 hexadecimal digits are needed, not all of them zero")
    return digits.zfill(32)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which spans of a trace are asked for.

    Attributes:
        first, last: starts in nanoseconds, both included; None for no such end.
        span_id: of all of them; None for any.
    """

    first: int | None = None
    last: int | None = None
    span_id: str | None = None

    @property
    def condition(self) -> str:
        """Condition on the table's columns; `parameters` binds its names."""
        # Partitions are days of a calendar that ends. Times beyond wrap around there, so that no partition may be left out where
        # such times are asked for.
        prunes = self.last is not None and self.last < _CALENDAR_END
        form = "Timestamp {} fromUnixTimestamp64Nano({})" if prunes else "toUnixTimestamp64Nano(Timestamp) {} {}"
        conditions = []
        if self.first is not None:
            conditions.append(form.format(">=", "{narrowed_first:Int64}"))
        if self.last is not None:
            conditions.append(form.format("<=", "{narrowed_last:Int64}"))
        if self.span_id is not None:
            conditions.append("SpanId = {narrowed_span_id:String}")
        return " AND ".join(conditions) or "true"

    @property
    def parameters(self) -> dict[str, object]:
        times = {"narrowed_first": self.first, "narrowed_last": self.last}
        given: dict[str, object] = {name: min(time, MAX_TIMESTAMP) for name, time in times.items() if time is not None}
        return given if self.span_id is None else {**given, "narrowed_span_id": self.span_id}


ALL_SPANS: Final = Narrowing()


def spans_statement(
    store: SpanStore,
    selected: str,
    trace_id: str,
    workspace: str,
    bounds: Bounds | None,
    narrowed: Narrowing,
    limit: int,
    *,
    order: str = EARLIEST_FIRST,
) -> Statement:
    """Columns of those of the trace's spans that lie within both `bounds` and `narrowed`.

    Args:
        order: EARLIEST_FIRST, or '' for any.
    """
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"SELECT {selected} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
        f" WHERE TraceId = {{trace_id:String}} AND Workspace = {{workspace:String}}{within} AND {narrowed.condition}"
        f"{order} LIMIT {{limit:UInt64}}",
        {
            "trace_id": trace_id,
            "workspace": workspace,
            "limit": limit,
            **(bounds.parameters if bounds else {}),
            **narrowed.parameters,
        },
    )


def existence_statement(store: SpanStore, trace_id: str, workspace: str) -> Statement:
    """A row if the workspace has a span of the trace."""
    return Statement(
        f"SELECT 1 AS One FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
        " WHERE TraceId = {trace_id:String} AND Workspace = {workspace:String} LIMIT 1",
        {"trace_id": trace_id, "workspace": workspace},
    )


async def find_trace(
    store: SpanStore, trace_id: str, *, workspace: str, max_spans: int = MAX_SPANS, narrowed: Narrowing = ALL_SPANS
) -> Spans | None:
    """The trace's spans, or None when the workspace has no such trace.

    Args:
        trace_id: 32 hex digits, see `parse_trace_id`.
        max_spans: of a larger trace the earliest so many, with `complete` False.
        narrowed: which of its spans.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    bounds = await find_bounds(store, [trace_id], workspace)
    if bounds is None and not await _exists(store, trace_id, workspace):
        return None

    async def read(within: Bounds | None, order: str = "") -> Spans | None:
        statement = spans_statement(store, SELECTED, trace_id, workspace, within, narrowed, max_spans + 1, order=order)
        # Large traces take a while: not on the event loop.
        return await asyncio.to_thread(_spans, trace_id, await store.fetch_native(statement), max_spans)

    # They are put in order here, which costs less, unless not all of them are wanted.
    found = await read(bounds)
    if found is None and bounds:
        # A time that wrapped around in the companion looks like any other.
        bounds = None
        found = await read(bounds)
    if found is not None and not found.complete:
        found = await read(bounds, EARLIEST_FIRST)
    return found


def _spans(trace_id: str, answer: Answer, max_spans: int) -> Spans | None:
    with collector_paused():
        rows = SpanRows(parse_blocks(answer))
        count = len(rows)
        return rows.spans(trace_id, range(min(count, max_spans)), complete=count <= max_spans) if count else None


async def find_skeleton(
    store: SpanStore, trace_id: str, *, workspace: str, max_spans: int = MAX_SPANS, narrowed: Narrowing = ALL_SPANS
) -> Skeleton | None:
    """As `find_trace`, but only what a tree needs."""
    bounds = await find_bounds(store, [trace_id], workspace)
    if bounds is None and not await _exists(store, trace_id, workspace):
        return None

    async def read(selected: str, limit: int, order: str, within: Bounds | None) -> _Read | None:
        statement = spans_statement(store, selected, trace_id, workspace, within, narrowed, limit, order=order)
        return await asyncio.to_thread(_read, trace_id, await store.fetch_native(statement))

    # To put very many in order costs the store more than it costs here. It has to where not all of them are wanted.
    limit, order = max_spans + 1, ""
    found = await read(SELECTED_SKELETON, limit, order, bounds)
    if found is None and bounds:
        # As for `find_trace`.
        bounds = None
        found = await read(SELECTED_SKELETON, limit, order, bounds)
    complete = found is None or found.rows <= max_spans
    if not complete:
        limit, order = max_spans, EARLIEST_FIRST
        found = await read(SELECTED_SKELETON, limit, order, bounds)
    if found is not None and len(found.spans) < found.rows:
        # Some agree in all that was read. Only their attributes say whether those are spans that were sent twice.
        found = await read(SELECTED_WITH_CONTENT, limit, order, bounds)
    return replace(found.spans, complete=complete) if found else None


class _Read(NamedTuple):
    """Spans in order, each identity once, and from how many rows."""

    spans: Skeleton
    rows: int


def _read(trace_id: str, answer: Answer) -> _Read | None:
    columns = parse_blocks(answer)
    if not columns:
        return None
    stored = skeleton_of(trace_id, columns, complete=True)
    return _Read(in_order(stored), len(stored))


async def _exists(store: SpanStore, trace_id: str, workspace: str) -> bool:
    """Known in a third of the time that it takes to look for all that there is of spans."""
    return (await store.fetch(existence_statement(store, trace_id, workspace))).row_count > 0


async def find_window(store: SpanStore, skeleton: Skeleton, rows: range, *, workspace: str) -> Spans:
    """All that is known of the spans in consecutive rows of a trace, in this order; without those that have gone since.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    # Rows stand by start; a start before 1970 reads as 0, and is no bound.
    starts = skeleton.table["start"]
    narrowed = Narrowing(int(starts[rows[0]]) or None, int(starts[rows[-1]])) if rows else ALL_SPANS
    limit = len(skeleton) if rows else 0
    statement = spans_statement(store, SELECTED, skeleton.trace_id, workspace, None, narrowed, limit * _MAX_COPIES)
    answer = await store.fetch_native(statement)

    def pick() -> Spans:
        found = SpanRows(parse_blocks(answer))
        if not len(found):
            return none_of(skeleton)
        spans = found.spans(skeleton.trace_id, range(len(found)), complete=skeleton.complete)
        wanted = set(skeleton.take(rows).identities())
        # The skeleton has contents only where they tell spans apart.
        return spans.take(
            [row for row, identity in enumerate(spans.identities()) if identity in wanted or (*identity[:-1], 0) in wanted]
        )

    return await asyncio.to_thread(pick)
