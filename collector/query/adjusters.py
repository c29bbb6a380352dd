"""What is made of a trace's times before it is shown: an ordered list of small functions on copies.

Stored spans are never changed, and rows stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.clock_skew import find_skews
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree
from proto.call_kernels import CONSUMER


@dataclass(frozen=True, slots=True)
class Adjuster:
    """One function of the list.

    Attributes:
        name: as it is asked for.
        description: one sentence.
        always: whether it is applied without being asked for.
        apply: the trace with other times; the same object when there is nothing to adjust.
    """

    name: str
    description: str
    always: bool
    apply: Callable[[Skeleton, Tree], Skeleton]


def without_missing_starts(spans: Skeleton, tree: Tree) -> Skeleton:
    """A start of 0 is no time at all: a child takes its parent's, a root the earliest of what is below it."""
    if spans.table["start"].all():
        return spans
    starts = list(spans.starts)
    order = tree.order.tolist()
    for row in reversed(order):
        parent = tree.parents[row]
        if starts[row] and parent != ROOT and not spans.starts[parent]:
            starts[parent] = min(starts[parent] or starts[row], starts[row])
    for row in order:
        parent = tree.parents[row]
        if not spans.starts[row] and parent != ROOT:
            starts[row] = starts[parent]
    found = np.array(starts, np.uint64)
    ends = spans.table["end"]
    return spans.with_times(found, np.where(spans.table["start"] > 0, ends, np.maximum(ends, found)))


def without_open_ends(spans: Skeleton, tree: Tree) -> Skeleton:
    """A span that seems not to have ended lasts until the trace's end."""
    unfinished = open_ends(spans, tree)
    if not len(unfinished):
        return spans
    ends = spans.table["end"].copy()
    ends[unfinished] = spans.end
    return spans.with_times(spans.table["start"], ends)


def open_ends(spans: Skeleton, tree: Tree) -> NDArray[np.intp]:
    """Rows of spans that have no duration although what they called lasts on: exported before they had ended.

    What a message hands over may well last longer.
    """
    table, parents = spans.table, tree.nodes["parent"]
    children = np.flatnonzero((parents != ROOT) & (table["kind"] != CONSUMER))
    above = parents[children]
    lasts_on = (table["duration"][above] == 0) & (table["end"][children] > table["start"][above])
    return np.unique(above[lasts_on]).astype(np.intp)


def without_clock_skew(spans: Skeleton, tree: Tree) -> Skeleton:
    """Times by the clock of each tree's root, as far as that can be estimated."""
    skews = find_skews(spans, tree).by_row
    if not skews.any():
        return spans
    return spans.with_times(_earlier(spans.table["start"], skews), _earlier(spans.table["end"], skews))


def _earlier(times: NDArray[np.uint64], skews: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Times less skews, 0 where nothing is left."""
    ahead = np.maximum(skews, 0).astype(np.uint64)
    behind = np.maximum(-skews, 0).astype(np.uint64)
    return times - np.minimum(times, ahead) + behind


ADJUSTERS: Final = (
    Adjuster(
        "missing-start",
        "A span without a start takes its parent's, and a root the earliest start below it.",
        always=True,
        apply=without_missing_starts,
    ),
    Adjuster(
        "open-end", "A span without a duration whose children last on lasts until the trace's end.", False, without_open_ends
    ),
    Adjuster("clock-skew", "Times are shown by the clock of the root's host.", False, without_clock_skew),
)
"""In the order in which they are applied."""
