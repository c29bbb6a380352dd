"""The critical path as Jaeger's page draws it, so that pictures match; computed on nanoseconds.

Children are cut to their parents first, parents before children. Then, from the end of a root backwards, it is always the child
that finished last strictly before the instant explained so far: there is no tolerance, so that the earlier of two calls that
follow each other to the nanosecond is passed over. `critical_path.py` has the definition that does better.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.query.analysis.critical_path import Segment
from collector.query.skeleton import Skeleton
from collector.query.tree import Tree
from proto.call_kernels import CONSUMER, PRODUCER


@dataclass(slots=True)
class _Visit:
    """A span on the path whose time down to `until` is explained."""

    row: int
    until: int
    waiting: list[int]
    """Children, the next one to look at last."""
    entered: bool = False


def find_jaeger_path(spans: Skeleton, tree: Tree) -> dict[int, list[Segment]]:
    """Root → its segments, the latest first. A root that names a parent has none: Jaeger drops its whole tree.

    Cost is n log n for n spans, whatever the depth or the fan-out.
    """
    return {root: [] if spans.parent_span_ids[root] else _walk(spans, tree, root) for root in tree.roots}


def _walk(spans: Skeleton, tree: Tree, root: int) -> list[Segment]:
    windows = {root: (spans.starts[root], spans.starts[root] + spans.durations[root])}
    segments: list[Segment] = []
    stack = [_enter(spans, tree, windows, root)]
    while stack:
        visit = stack[-1]
        child = _last_finished(windows, visit)
        if child is not None:
            end = windows[child][1]
            if end < visit.until:
                segments.append(Segment(visit.row, end, visit.until, uncertain=False))
            stack.append(_enter(spans, tree, windows, child))
            continue
        start = windows[visit.row][0]
        if start < visit.until:
            segments.append(Segment(visit.row, start, visit.until, uncertain=False))
        stack.pop()
        if stack:
            stack[-1].until = start
    return segments


def _enter(spans: Skeleton, tree: Tree, windows: dict[int, tuple[int, int]], row: int) -> _Visit:
    """Cut the children of a span to it, leave out those outside and consumers of a producer, and begin at the span's end."""
    start, end = windows[row]
    waiting = []
    for child in tree.children[row]:
        child_start, child_end = spans.starts[child], spans.starts[child] + spans.durations[child]
        handed_over = spans.kinds[row] == PRODUCER and spans.kinds[child] == CONSUMER
        if not handed_over and child_start < end and child_end > start:
            windows[child] = max(child_start, start), min(child_end, end)
            waiting.append(child)
    # The latest end is taken first; of equal ends the one that stands first, which is the earliest start.
    waiting.reverse()
    waiting.sort(key=lambda child: windows[child][1])
    return _Visit(row, end, waiting)


def _last_finished(windows: dict[int, tuple[int, int]], visit: _Visit) -> int | None:
    """On first entry any child may be the last; after that only one that ends strictly before what is explained."""
    while visit.waiting:
        child = visit.waiting.pop()
        if not visit.entered or windows[child][1] < visit.until:
            visit.entered = True
            return child
    return None
