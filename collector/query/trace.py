"""One trace by its id."""

from __future__ import annotations

import re
from typing import Final

from collector.query.spans import SELECTED, Spans, from_result
from collector.query.store import DEFAULT_WORKSPACE, SpanStore, Statement

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
# The companion's DateTime columns end in 2106; a start beyond that may lie anywhere in them.
_END_OF_DATETIME: Final = 2**32


def parse_trace_id(text: str) -> str:
    """32 lower-case hex digits. 16 digits are padded on the left with zeros; dashes, as in a UUID, are taken out.

    Raises:
        ValueError: anything else, and the all-zero id, which no trace has.
    """
    digits = text.strip().lower().replace("-", "")
    if not _TRACE_ID.fullmatch(digits) or not digits.strip("0"):
        raise ValueError("16 or 32 hexadecimal digits are needed, not all of them zero")
    return digits.zfill(32)


def bounds_statement(store: SpanStore, trace_id: str, workspace: str) -> Statement:
    """First and last second in which spans of the trace start: columns `Start`, `End` (0 and 0 for an unknown trace)."""
    return Statement(
        f"SELECT toUnixTimestamp(min(Start)) AS Start, toUnixTimestamp(max(End)) AS End FROM {store.bounds_table}"  # noqa: S608 - the name is checked
        " WHERE TraceId = {trace_id:String} AND Workspace = {workspace:String}",
        {"trace_id": trace_id, "workspace": workspace},
    )


def spans_statement(store: SpanStore, trace_id: str, workspace: str, bounds: tuple[int, int] | None, limit: int) -> Statement:
    """All columns of the trace's spans, the earliest first; within `bounds` in whole seconds, both ends included."""
    conditions = ["TraceId = {trace_id:String}", "Workspace = {workspace:String}"]
    parameters: dict[str, object] = {"trace_id": trace_id, "workspace": workspace, "limit": limit}
    if bounds:
        conditions.append(
            "(Timestamp >= fromUnixTimestamp64Second({first:Int64}) AND Timestamp < fromUnixTimestamp64Second({last:Int64})"
            " OR Timestamp >= fromUnixTimestamp64Second({end_of_datetime:Int64}))"
        )
        parameters |= {"first": bounds[0], "last": bounds[1] + 1, "end_of_datetime": _END_OF_DATETIME}
    return Statement(
        f"SELECT {SELECTED} FROM {store.spans_table} WHERE {' AND '.join(conditions)}"  # noqa: S608 - as above, and values are bound
        " ORDER BY Timestamp, SpanId LIMIT {limit:UInt64}",
        parameters,
    )


async def find_trace(
    store: SpanStore, trace_id: str, *, workspace: str = DEFAULT_WORKSPACE, max_spans: int = 100_000
) -> Spans | None:
    """The trace's spans, or None when the workspace has no such trace.

    Args:
        trace_id: 32 hex digits, see `parse_trace_id`.
        max_spans: of a larger trace the earliest so many, with `complete` False.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    found = await store.fetch(bounds_statement(store, trace_id, workspace))
    first, last = found.columns["Start"][0], found.columns["End"][0]
    # Without a companion row the trace is looked up by its id alone: another writer may have had no such view.
    bounds = (first, last) if last else None
    result = await store.fetch(spans_statement(store, trace_id, workspace, bounds, max_spans + 1))
    if not result.row_count:
        return None
    complete = result.row_count <= max_spans
    if not complete:
        result = type(result)({name: values[:max_spans] for name, values in result.columns.items()}, max_spans)
    return from_result(trace_id, result, complete=complete)
