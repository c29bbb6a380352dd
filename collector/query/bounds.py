"""Between which seconds the spans of traces start: what keeps a look-up by id from touching every partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from collector.query.store import SpanStore, Statement

# The companion's columns are DateTime, which ends in 2106: its last value means that or later.
LAST_SECOND: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds since 1970, both included."""

    first: int
    last: int

    @property
    def condition(self) -> str:
        """Condition on `Timestamp`; `parameters` binds its names."""
        return (
            "Timestamp >= fromUnixTimestamp64Nano({first_nanosecond:Int64})"
            " AND Timestamp < fromUnixTimestamp64Nano({end_nanosecond:Int64})"
        )

    @property
    def parameters(self) -> dict[str, object]:
        return {"first_nanosecond": self.first * 10**9, "end_nanosecond": (self.last + 1) * 10**9}


def bounds_statement(store: SpanStore, trace_ids: Sequence[str], workspace: str) -> Statement:
    """Number of the traces that are known, and the first and last second in which their spans start."""
    return Statement(
        "SELECT uniqExact(TraceId) AS Known, toUnixTimestamp(min(Start)) AS First,"  # noqa: S608 - the name is checked
        f" toUnixTimestamp(max(End)) AS Last FROM {store.bounds_table}"
        " WHERE TraceId IN {trace_ids:Array(String)} AND Workspace = {workspace:String}",
        {"trace_ids": list(trace_ids), "workspace": workspace},
    )


async def known_traces(store: SpanStore, trace_ids: Sequence[str], workspace: str) -> frozenset[str]:
    """Those of the traces of which a workspace has spans.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = Statement(
        f"SELECT DISTINCT TraceId FROM {store.bounds_table}"  # noqa: S608 - the name is checked
        " WHERE TraceId IN {trace_ids:Array(String)} AND Workspace = {workspace:String}",
        {"trace_ids": list(trace_ids), "workspace": workspace},
    )
    return frozenset((await store.fetch(statement)).columns["TraceId"])


async def find_bounds(store: SpanStore, trace_ids: Sequence[str], workspace: str) -> Bounds | None:
    """Bounds of all the traces together; None when they cannot be trusted.

    That is so when the companion lacks one of the traces (another writer may have no such view), or when a time did not fit its
    columns: at their end, or wrapped around to before the beginning.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    result = await store.fetch(bounds_statement(store, trace_ids, workspace))
    (row,) = result.rows()
    if row["Known"] < len(trace_ids) or row["Last"] >= LAST_SECOND or row["First"] > row["Last"]:
        return None
    return Bounds(row["First"], row["Last"])
