"""A fair sample of the traces that a search finds, with the skeletons of all their spans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from collector.query.bounds import find_bounds
from collector.query.conditions import TraceSearch
from collector.query.ranking import DRAWN, sample_statement
from collector.query.skeleton import Skeleton
from collector.query.skeleton_rows import SELECTED_WITH_CONTENT, skeleton_from_result
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.client import QueryResult

MOST_SPANS_OF_TRACE: Final = 20_000
"""A larger trace is left out."""
MOST_SPANS: Final = 100_000
"""Of all traces together: of the sample, the first ones that have no more."""


@dataclass(frozen=True, slots=True)
class SampledTrace:
    """A whole trace.

    Attributes:
        weights: by row, how many spans each stands for.
    """

    spans: Skeleton
    weights: list[float]


@dataclass(frozen=True, slots=True)
class TraceSample:
    """Some traces that a search finds.

    Attributes:
        total: how many it finds, at least, since of very many not all are looked at (`ranking.MOST_MEASURED`).
        total_is_exact: whether it finds no more.
        too_large: ids of those of the sample that were left out because they have more than MOST_SPANS_OF_TRACE spans.
    """

    traces: list[SampledTrace]
    total: int
    total_is_exact: bool
    too_large: list[str]


async def sample_traces(store: SpanStore, search: TraceSearch, count: int) -> TraceSample:
    """At most so many of the traces that a search finds.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    (drawn,) = (await store.fetch(sample_statement(store, search, count))).rows()
    trace_ids: list[str] = drawn["TraceIds"]
    if not trace_ids:
        return TraceSample([], 0, not drawn["Cut"], [])
    bounds = await find_bounds(store, trace_ids, search.workspace)
    within = f" AND {bounds.condition}" if bounds else ""
    result = await store.fetch(
        Statement(
            f"SELECT TraceId, AdjustedCount, {SELECTED_WITH_CONTENT} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
            f" WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}"
            f" ORDER BY {DRAWN} LIMIT {MOST_SPANS_OF_TRACE + 1} BY TraceId LIMIT {MOST_SPANS + 1}",
            {"trace_ids": trace_ids, "workspace": search.workspace, **(bounds.parameters if bounds else {})},
        )
    )
    # Many spans take a while: not on the event loop.
    traces, too_large = await asyncio.to_thread(_read, result)
    return TraceSample(traces, drawn["Total"], not drawn["Cut"], too_large)


def _read(result: QueryResult) -> tuple[list[SampledTrace], list[str]]:
    traces, too_large = [], []
    for trace_id, part in _parts(result):
        if part.row_count > MOST_SPANS_OF_TRACE:
            too_large.append(trace_id)
        else:
            spans = skeleton_from_result(trace_id, part)
            weight_of = dict(zip(part.columns["SpanId"], part.columns["AdjustedCount"], strict=True))
            traces.append(SampledTrace(spans, [weight_of[span_id] for span_id in spans.span_ids]))
    return traces, too_large


def _parts(result: QueryResult) -> Iterator[tuple[str, QueryResult]]:
    """The rows of each trace, without the last one where that is not all there."""
    end = result.row_count
    for trace_id, group in groupby(range(end), result.columns["TraceId"].__getitem__):
        rows = list(group)
        is_cut = end > MOST_SPANS and rows[-1] == end - 1 and len(rows) <= MOST_SPANS_OF_TRACE
        if not is_cut:
            taken = slice(rows[0], rows[-1] + 1)
            yield trace_id, QueryResult({name: values[taken] for name, values in result.columns.items()}, len(rows))
