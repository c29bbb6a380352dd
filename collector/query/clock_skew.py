"""How far the clocks of a trace's hosts seem to be apart, from the calls between them.

A call bounds what the callee's clock can be ahead by: the server must not start before its client, nor end after it. The bounds
of all calls between two clocks are intersected; only where that leaves no room for clocks that agree is an offset assumed, in the
middle of what is left. Stored times are never changed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.durations import show_duration
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree, TreeWarning
from proto.call_kernels import CLIENT, CONSUMER, PRODUCER, SERVER
from proto.spans import Table, records
from proto.trace_tree_kernels import add_down

_LATEST: Final = 2**63
"""Nanoseconds: no clock shows such a time, and differences of those before it have a sign."""

Rows = NDArray[np.intp]


class Skews(NamedTuple):
    """Estimates for one trace.

    Attributes:
        by_row: how far the clock of each span is ahead of its root's, nanoseconds; 0 where they may agree, below 0 when behind.
            Shape (spans,).
        warnings: one for each two clocks that do not agree, at the first span by the second clock.
    """

    by_row: NDArray[np.int64]
    warnings: list[TreeWarning]


class _Links(NamedTuple):
    """The spans that have a parent.

    Attributes:
        rows, parents: of the spans and of their parents; shapes (links,).
        pairs: a number for the clocks of parent and span, in this order; -1 where they have the same.
        are_calls: whether the parent waited for the span as far as can be seen.
    """

    rows: Rows
    parents: Rows
    pairs: NDArray[np.int64]
    are_calls: NDArray[np.bool_]


def find_skews(spans: Skeleton, tree: Tree) -> Skews:
    """Estimates from all pairs of a client and its server. Cost is that of a sort.

    Spans of one host have one clock; of a host that is not known, those of one process. What a message hands over, and spans that
    last longer than their parents, are taken to be where they say they are.
    """
    none = Skews(np.zeros(len(spans), np.int64), [])
    table = spans.table
    rows = np.flatnonzero(tree.nodes["parent"] != ROOT)
    parents = tree.nodes["parent"][rows].astype(np.intp)
    remote = (table["kind"][parents] == CLIENT) & (table["kind"][rows] == SERVER)
    if not remote.any():
        return none
    clocks, count = _clocks(spans)
    pairs = np.where(clocks[parents] == clocks[rows], -1, clocks[parents] * count + clocks[rows])
    handed_over = (table["kind"][parents] == PRODUCER) & (table["kind"][rows] == CONSUMER)
    links = _Links(rows, parents, pairs, ~handed_over & (table["duration"][rows] <= table["duration"][parents]))
    offsets = _offsets(table, links, remote, count)
    if not offsets:
        # As usual.
        return none
    return _carried(spans, tree, links, offsets)


def _clocks(spans: Skeleton) -> tuple[NDArray[np.int64], int]:
    """A number for the clock of each span, and how many numbers there are."""
    hosts = spans.table["host"].astype(np.int64)
    unknown = np.array([not text for text in spans.host_texts])[hosts]
    processes, places = np.unique(spans.table["process"], return_inverse=True)
    return np.where(unknown, len(spans.host_texts) + places, hosts), len(spans.host_texts) + len(processes)


def _offsets(table: Table, links: _Links, remote: NDArray[np.bool_], count: int) -> dict[int, int]:
    """Pair of clocks → how far the second is ahead of the first, for those that cannot agree; nanoseconds."""
    rows, parents = links.rows, links.parents
    bounding = remote & links.are_calls & (links.pairs >= 0) & (table["start"][parents] > 0) & (table["start"][rows] > 0)
    for times in (table["start"], table["end"]):
        bounding &= np.maximum(times[parents], times[rows]) < _LATEST
    if not bounding.any():
        return {}
    rows, parents, pairs = rows[bounding], parents[bounding], links.pairs[bounding]
    starts, ends = table["start"].astype(np.int64), table["end"].astype(np.int64)
    lows, highs = ends[rows] - ends[parents], starts[rows] - starts[parents]
    # Calls back bound the same offset, the other way round.
    reverse = pairs % count * count + pairs // count
    is_back = reverse < pairs
    lows, highs = np.where(is_back, -highs, lows), np.where(is_back, -lows, highs)
    both_ways, firsts, places = np.unique(np.minimum(pairs, reverse), return_index=True, return_inverse=True)
    order = np.argsort(places, kind="stable")
    begins = np.searchsorted(places[order], np.arange(len(both_ways)))
    least, most = np.maximum.reduceat(lows[order], begins), np.minimum.reduceat(highs[order], begins)
    offsets: dict[int, int] = {}
    # Where least exceeds most, the calls contradict each other: no one offset explains them.
    for place in np.flatnonzero((least <= most) & ((least > 0) | (most < 0))).tolist():
        first, middle = firsts[place], int(least[place]) + int(most[place])
        # Halves are rounded as the first call between the two sees them.
        offset = -(-middle // 2) if is_back[first] else middle // 2
        pair = int(both_ways[place])
        offsets |= {pair: offset, pair % count * count + pair // count: -offset}
    return offsets


def _carried(spans: Skeleton, tree: Tree, links: _Links, offsets: dict[int, int]) -> Skews:
    """The offsets between two clocks each, added up from the roots down."""
    steps, cut = np.zeros(len(spans), np.int64), np.zeros(len(spans), np.bool_)
    cut[links.rows] = (links.pairs >= 0) & ~links.are_calls
    pairs = np.full(len(spans), -1, np.int64)
    pairs[links.rows] = np.where(links.are_calls, links.pairs, -1)
    by_row = np.zeros(len(spans), np.int64)
    found, firsts, places = np.unique(pairs[tree.order], return_index=True, return_inverse=True)
    steps[tree.order] = np.array([offsets.get(pair, 0) for pair in found.tolist()])[places]
    warnings = [
        _warning(spans, tree, int(tree.order[first]), offsets[pair])
        for pair, first in zip(found.tolist(), firsts.tolist(), strict=True)
        if pair in offsets
    ]
    add_down(by_row, steps, cut, records(tree.nodes), tree.order)
    return Skews(by_row, warnings)


def _warning(spans: Skeleton, tree: Tree, row: int, offset: int) -> TreeWarning:
    here, there = (_clock_text(spans, each) for each in (row, int(tree.nodes["parent"][row])))
    side = "ahead of" if offset > 0 else "behind"
    return TreeWarning(row, "clock-skew", f"The clock of {here} seems to be {show_duration(abs(offset))} {side} that of {there}.")


def _clock_text(spans: Skeleton, row: int) -> str:
    span = spans.table[row]
    return spans.host_texts[span["host"]] or f"the service {spans.service_texts[span['service']]}"
