"""How many spans of traces have a parent that is not stored."""

from __future__ import annotations

from collections.abc import Sequence

from collector.query.bounds import Bounds, find_bounds
from collector.query.store import IDENTITY, SpanStore, Statement


def orphans_statement(store: SpanStore, trace_ids: Sequence[str], workspace: str, bounds: Bounds | None) -> Statement:
    """A row for each trace that has such spans, each span counted once."""
    within = f" AND {bounds.condition}" if bounds else ""
    spans = f"FROM {store.spans_table} WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}"
    return Statement(
        f"SELECT TraceId, uniqExact({IDENTITY}) AS Orphans {spans}"
        f" AND ParentSpanId != '' AND (TraceId, ParentSpanId) NOT IN (SELECT TraceId, SpanId {spans}) GROUP BY TraceId",
        {"trace_ids": list(trace_ids), "workspace": workspace, **(bounds.parameters if bounds else {})},
    )


async def count_orphans(store: SpanStore, trace_ids: Sequence[str], *, workspace: str) -> dict[str, int]:
    """Traces and how many such spans each has; those that have none are left out.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if not trace_ids:
        return {}
    bounds = await find_bounds(store, trace_ids, workspace)
    columns = (await store.fetch(orphans_statement(store, trace_ids, workspace, bounds))).columns
    return dict(zip(columns["TraceId"], columns["Orphans"], strict=True))
