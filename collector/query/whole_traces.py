"""Several traces with all their spans, for clients that want a search to answer with those."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from collector.query.bounds import Bounds, find_bounds
from collector.query.native_values import strings_of
from collector.query.search import Hit
from collector.query.span_rows import SELECTED, SpanRows
from collector.query.spans import Spans
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.wire import parse_blocks


def first_that_fit(hits: Sequence[Hit], max_spans: int) -> int:
    """How many of the first hits have no more than so many spans together; at least one, which may have more."""
    total = 0
    for number, hit in enumerate(hits):
        total += hit.span_count
        if total > max_spans and number:
            return number
    return len(hits)


def whole_traces_statement(
    store: SpanStore, trace_ids: Sequence[str], workspace: str, bounds: Bounds | None, max_spans: int
) -> Statement:
    """Of each trace the earliest `max_spans` spans plus one more, trace after trace."""
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"SELECT TraceId, {SELECTED} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
        f" WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}"
        " ORDER BY TraceId, Timestamp, SpanId LIMIT {limit:UInt64} BY TraceId",
        {
            "trace_ids": list(trace_ids),
            "workspace": workspace,
            "limit": max_spans + 1,
            **(bounds.parameters if bounds else {}),
        },
    )


async def find_whole_traces(store: SpanStore, trace_ids: Sequence[str], *, workspace: str, max_spans: int) -> list[Spans]:
    """The spans of each trace, in the order of the ids; without those that the workspace does not have.

    Args:
        trace_ids: 32 hex digits each, no two equal.
        max_spans: of a larger trace the earliest so many, with `complete` False.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if not trace_ids:
        return []
    bounds = await find_bounds(store, trace_ids, workspace)
    answer = await store.fetch_native(whole_traces_statement(store, trace_ids, workspace, bounds, max_spans))

    def read() -> list[Spans]:
        columns = parse_blocks(answer)
        found = {}
        if columns:
            all_rows, ids = SpanRows(columns), strings_of(columns["TraceId"])
            for trace_id, group in groupby(range(len(ids)), ids.__getitem__):
                rows = list(group)
                found[trace_id] = all_rows.spans(trace_id, rows[:max_spans], complete=len(rows) <= max_spans)
        return [found[trace_id] for trace_id in trace_ids if trace_id in found]

    # Large traces take a while: not on the event loop.
    return await asyncio.to_thread(read)
