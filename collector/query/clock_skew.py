"""How far the clocks of a trace's hosts seem to be apart, from the calls between them.

A call bounds what the callee's clock can be ahead by: the server must not start before its client, nor end after it. The bounds
of all calls between two clocks are intersected; only where that leaves no room for clocks that agree is an offset assumed, in the
middle of what is left. Stored times are never changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from collector.query.analysis.critical_path import CONSUMER, PRODUCER
from collector.query.skeleton import Skeleton
from collector.query.tree import CLIENT, ROOT, SERVER, Tree, TreeWarning


class Skews(NamedTuple):
    """Estimates for one trace.

    Attributes:
        by_row: how far the clock of each span is ahead of its root's, nanoseconds; 0 where they may agree, below 0 when behind.
        warnings: one for each two clocks that do not agree, at the first span by the second clock.
    """

    by_row: list[int]
    warnings: list[TreeWarning]


def find_skews(spans: Skeleton, tree: Tree) -> Skews:
    """Estimates from all pairs of a client and its server. Cost is linear.

    Spans of one host have one clock; of a host that is not known, those of one process. What a message hands over, and spans that
    last longer than their parents, are taken to be where they say they are.
    """
    clocks = [host or process for host, process in zip(spans.hosts, spans.processes, strict=True)]
    offsets = _offsets(spans, tree, clocks)
    by_row = [0] * len(spans)
    if not offsets:
        # As usual.
        return Skews(by_row, [])
    warnings = []
    told = set()
    for row, _ in tree.walk():
        parent = tree.parents[row]
        if parent == ROOT:
            continue
        pair = clocks[parent], clocks[row]
        if pair[0] == pair[1]:
            by_row[row] = by_row[parent]
        elif _is_a_call(spans, parent, row):
            by_row[row] = by_row[parent] + offsets.get(pair, 0)
            if pair in offsets and pair not in told:
                told.add(pair)
                warnings.append(_warning(spans, parent, row, offsets[pair]))
    return Skews(by_row, warnings)


def _is_a_call(spans: Skeleton, parent: int, row: int) -> bool:
    handed_over = spans.kinds[parent] == PRODUCER and spans.kinds[row] == CONSUMER
    return not handed_over and spans.durations[row] <= spans.durations[parent]


def _offsets(spans: Skeleton, tree: Tree, clocks: list[Hashable]) -> dict[tuple[Hashable, Hashable], int]:
    """(caller's clock, callee's clock) → how far the second is ahead, for those that cannot agree; nanoseconds."""
    bounds: dict[tuple[Hashable, Hashable], tuple[int, int]] = {}
    for row, parent in enumerate(tree.parents):
        if parent == ROOT or spans.kinds[parent] != CLIENT or spans.kinds[row] != SERVER or clocks[parent] == clocks[row]:
            continue
        if not spans.starts[parent] or not spans.starts[row] or not _is_a_call(spans, parent, row):
            continue
        low, high = spans.ends[row] - spans.ends[parent], spans.starts[row] - spans.starts[parent]
        pair = clocks[parent], clocks[row]
        if (clocks[row], clocks[parent]) in bounds:
            pair, low, high = (clocks[row], clocks[parent]), -high, -low
        least, most = bounds.get(pair, (low, high))
        bounds[pair] = max(least, low), min(most, high)
    offsets = {}
    for (caller, callee), (least, most) in bounds.items():
        # Where least exceeds most, the calls contradict each other: no one offset explains them.
        if least <= most and not least <= 0 <= most:
            offsets[caller, callee] = (least + most) // 2
            offsets[callee, caller] = -offsets[caller, callee]
    return offsets


def _warning(spans: Skeleton, parent: int, row: int, offset: int) -> TreeWarning:
    here, there = (spans.hosts[each] or f"the service {spans.services[each]}" for each in (row, parent))
    side = "ahead of" if offset > 0 else "behind"
    return TreeWarning(row, "clock-skew", f"The clock of {here} seems to be {abs(offset)} ns {side} that of {there}.")
