"""The waterfall of a trace: its spans in drawing order with everything that a bar needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR
from collector.query.tree import Tree


class Bar(NamedTuple):
    """One row of a waterfall; times in nanoseconds.

    Attributes:
        row: of the span in the trace.
        depth: 0 for a root.
        offset: from the start of the trace to the start of the span.
        self_time: of the duration, what no child covers.
        descendants: spans below, at any depth.
        errors_below: how many of those have failed.
    """

    row: int
    depth: int
    offset: int
    duration: int
    self_time: int
    descendants: int
    errors_below: int


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace's header and bars, parents before children and siblings by start.

    Attributes:
        root: row of the span that names the trace (`naming_root`).
        start, duration: nanoseconds; the duration is from the earliest start to the latest end.
        depth: number of levels.
        services: number of spans by service, in order of the services' names.
    """

    root: int
    start: int
    duration: int
    depth: int
    services: dict[str, int]
    error_count: int
    bars: list[Bar]


def build_waterfall(spans: Skeleton, tree: Tree) -> Waterfall:
    """The waterfall of a trace with at least one span."""
    order = list(tree.walk())
    descendants = [0] * len(spans)
    errors_below = [0] * len(spans)
    for row, _ in reversed(order):
        parent = tree.parents[row]
        if parent >= 0:
            descendants[parent] += descendants[row] + 1
            errors_below[parent] += errors_below[row] + (spans.status_codes[row] == ERROR)
    self_times = self_times_of(spans, tree)
    bars = [
        Bar(
            row,
            depth,
            max(spans.starts[row] - spans.start, 0),
            spans.durations[row],
            self_times[row],
            descendants[row],
            errors_below[row],
        )
        for row, depth in order
    ]
    counts: dict[str, int] = {}
    for service in sorted(spans.services):
        counts[service] = counts.get(service, 0) + 1
    return Waterfall(
        root=naming_root(tree),
        start=spans.start,
        duration=max(spans.end - spans.start, 0),
        depth=1 + max(depth for _, depth in order),
        services=counts,
        error_count=spans.error_count,
        bars=bars,
    )


def naming_root(tree: Tree) -> int:
    """Row of the span that names the trace: the earliest without a parent id, else the earliest root."""
    return next((row for row in tree.roots if row not in tree.missing_parents), tree.roots[0])


def self_times_of(spans: Skeleton, tree: Tree) -> list[int]:
    """For each span its duration minus the union of its children's times, each cut to the span; nanoseconds."""
    self_times = []
    for row, children in enumerate(tree.children):
        start, end = spans.starts[row], spans.starts[row] + spans.durations[row]
        covered = 0
        reached = start
        # Children stand by start, so that one pass merges them.
        for child in children:
            child_start = max(spans.starts[child], reached)
            child_end = min(spans.starts[child] + spans.durations[child], end)
            if child_start < child_end:
                covered += child_end - child_start
                reached = child_end
        self_times.append(end - start - covered)
    return self_times
