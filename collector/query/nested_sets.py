"""Where spans stand in the trees of their traces, as two numbers each: those of a span enclose those of all that is below it.

Pages that put many traces into one tree read who is above whom from these numbers, which Tempo calls the nested set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.bounds import Bounds, find_bounds
from collector.query.hits import SpanKey
from collector.query.skeleton_rows import SELECTED_SKELETON, in_order, skeleton_of
from collector.query.store import SpanStore, Statement
from collector.query.tree import ROOT, Tree, build_tree
from exporters.clickhouse.wire import Answer, parse_blocks
from proto.distinct import distinct
from proto.texts import Texts

TRUE_ROOT = -1
UNKNOWN = 0


class NestedSet(NamedTuple):
    """The numbers of a span, counted from 1 through all of its trace.

    Attributes:
        left, right: those of whatever is below it lie between.
        parent: the `left` of its parent; TRUE_ROOT where it has none, UNKNOWN where that has not been stored.
    """

    left: int
    right: int
    parent: int


def nested_sets(tree: Tree, parent_ids: NDArray[np.uint64]) -> list[NestedSet]:
    """The numbers of each span, by row; `parent_ids` are 0 for none, of shape (spans,)."""
    order = tree.order
    depths = tree.nodes["depth"][order].astype(np.int64)
    parents = tree.nodes["parent"]
    sizes = [1] * len(order)
    for row in reversed(order.tolist()):
        if (parent := tree.parents[row]) != ROOT:
            sizes[parent] += sizes[row]
    left = np.empty(len(order), np.int64)
    # Before a span at depth d as many have been left as were entered, but for the d above it.
    left[order] = 2 * np.arange(len(order)) - depths + 1
    right = left + 2 * np.array(sizes, np.int64) - 1
    tops = np.where(parent_ids == 0, TRUE_ROOT, UNKNOWN)
    above = np.where(parents == ROOT, tops, left[parents])
    return [NestedSet(*numbers) for numbers in zip(left.tolist(), right.tolist(), above.tolist(), strict=True)]


def trees_statement(store: SpanStore, trace_ids: Sequence[str], workspace: str, bounds: Bounds | None, most: int) -> Statement:
    """What the trees of these traces need, of each its earliest `most` spans."""
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"SELECT TraceId, {SELECTED_SKELETON} FROM {store.spans_table}"  # noqa: S608 - the name is checked, values are bound
        f" WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}"
        " ORDER BY TraceId, Timestamp, SpanId LIMIT {most:UInt64} BY TraceId",
        {"trace_ids": list(trace_ids), "workspace": workspace, "most": most, **(bounds.parameters if bounds else {})},
    )


async def find_nested_sets(
    store: SpanStore, trace_ids: Sequence[str], *, workspace: str, max_spans: int
) -> Mapping[SpanKey, NestedSet]:
    """The numbers of all spans of these traces.

    Args:
        max_spans: of a larger trace the earliest so many are numbered.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if not trace_ids:
        return {}
    bounds = await find_bounds(store, trace_ids, workspace)
    answer = await store.fetch_native(trees_statement(store, trace_ids, workspace, bounds, max_spans))
    return await asyncio.to_thread(_numbered, answer)


def _numbered(answer: Answer) -> dict[SpanKey, NestedSet]:
    columns = parse_blocks(answer)
    if not columns:
        return {}
    trace_ids = columns["TraceId"]
    assert isinstance(trace_ids, Texts)  # noqa: S101 - the column is a String
    codes, texts = distinct(trace_ids)
    stored = skeleton_of("", columns, complete=True)
    found: dict[SpanKey, NestedSet] = {}
    for code, text in enumerate(texts):
        spans = in_order(stored.take(np.flatnonzero(codes == code)))
        numbers = nested_sets(build_tree(spans), spans.table["parent_span_id"])
        keys = zip(spans.span_ids, spans.services, spans.starts, strict=True)
        found |= {(text.decode(), *key): number for key, number in zip(keys, numbers, strict=True)}
    return found
