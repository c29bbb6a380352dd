"""One trace by its id."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from collector.query.bounds import Bounds, find_bounds
from collector.query.spans import SELECTED, Spans, from_result
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.client import QueryResult

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")


def parse_trace_id(text: str) -> str:
    """32 lower-case hex digits. 16 digits are padded on the left with zeros; dashes, as in a UUID, are taken out.

    Raises:
        ValueError: anything else, and the all-zero id, which no trace has.
    """
    digits = text.strip().lower().replace("-", "")
    if not _TRACE_ID.fullmatch(digits) or not digits.strip("0"):
        raise ValueError("16 or 32 hexadecimal digits are needed, not all of them zero")
    return digits.zfill(32)


def spans_statement(store: SpanStore, trace_id: str, workspace: str, bounds: Bounds | None, limit: int) -> Statement:
    """All columns of the trace's spans, the earliest first."""
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"SELECT {SELECTED} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
        f" WHERE TraceId = {{trace_id:String}} AND Workspace = {{workspace:String}}{within}"
        " ORDER BY Timestamp, SpanId LIMIT {limit:UInt64}",
        {"trace_id": trace_id, "workspace": workspace, "limit": limit, **(bounds.parameters if bounds else {})},
    )


async def find_trace(store: SpanStore, trace_id: str, *, workspace: str, max_spans: int = 100_000) -> Spans | None:
    """The trace's spans, or None when the workspace has no such trace.

    Args:
        trace_id: 32 hex digits, see `parse_trace_id`.
        max_spans: of a larger trace the earliest so many, with `complete` False.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    bounds = await find_bounds(store, [trace_id], workspace)
    result = await store.fetch(spans_statement(store, trace_id, workspace, bounds, max_spans + 1))
    if bounds and not result.row_count:
        # A time that wrapped around in the companion looks like any other.
        result = await store.fetch(spans_statement(store, trace_id, workspace, None, max_spans + 1))
    if not result.row_count:
        return None
    complete = result.row_count <= max_spans
    if not complete:
        result = QueryResult({name: values[:max_spans] for name, values in result.columns.items()}, max_spans)
    # Large traces take a while: not on the event loop.
    return await asyncio.to_thread(from_result, trace_id, result, complete=complete)
