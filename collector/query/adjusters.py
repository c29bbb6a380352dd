"""What is made of a trace's times before it is shown: an ordered list of small functions on copies.

Stored spans are never changed, and rows stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from collector.query.analysis.critical_path import CONSUMER
from collector.query.clock_skew import find_skews
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree


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
    if all(spans.starts):
        return spans
    starts = list(spans.starts)
    order = [row for row, _ in tree.walk()]
    for row in reversed(order):
        parent = tree.parents[row]
        if starts[row] and parent != ROOT and not spans.starts[parent]:
            starts[parent] = min(starts[parent] or starts[row], starts[row])
    for row in order:
        parent = tree.parents[row]
        if not spans.starts[row] and parent != ROOT:
            starts[row] = starts[parent]
    ends = [end if before else max(end, start) for before, start, end in zip(spans.starts, starts, spans.ends, strict=True)]
    return replace(spans, starts=starts, ends=ends)


def without_open_ends(spans: Skeleton, tree: Tree) -> Skeleton:
    """A span that seems not to have ended lasts until the trace's end."""
    unfinished = open_ends(spans, tree)
    if not unfinished:
        return spans
    ends = list(spans.ends)
    for row in unfinished:
        ends[row] = spans.end
    return replace(spans, ends=ends)


def open_ends(spans: Skeleton, tree: Tree) -> list[int]:
    """Rows of spans that have no duration although what they called lasts on: exported before they had ended.

    What a message hands over may well last longer.
    """
    return [
        row
        for row, children in enumerate(tree.children)
        if children
        and not spans.durations[row]
        and any(spans.kinds[child] != CONSUMER and spans.ends[child] > spans.starts[row] for child in children)
    ]


def without_clock_skew(spans: Skeleton, tree: Tree) -> Skeleton:
    """Times by the clock of each tree's root, as far as that can be estimated."""
    skews = find_skews(spans, tree).by_row
    if not any(skews):
        return spans
    return replace(
        spans,
        starts=[max(start - skew, 0) for start, skew in zip(spans.starts, skews, strict=True)],
        ends=[max(end - skew, 0) for end, skew in zip(spans.ends, skews, strict=True)],
    )


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
