"""What the end of a root span was waiting for, instant by instant.

From the end of a root backwards: the child that finished last before the instant explained so far is what the parent was
waiting for; the time between is the parent's own. Calls that follow each other may overlap by a small tolerance, because clocks
are coarse. Work that a message hands over (producer to consumer) was not waited for. Times are integer nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from collector.query.spans import Spans
from collector.query.tree import Tree
from collector.query.waterfall import self_times_of

PRODUCER: Final = 4
CONSUMER: Final = 5
DEFAULT_TOLERANCE: Final = Fraction(1, 100)

Overflow = Literal["clip", "ignore"]
"""What to make of a child that ends after its parent: cut it to the parent, or hold that it was not waited for."""


@dataclass(frozen=True, slots=True)
class Segment:
    """From `start` to `end` the root waited for the span of `row` itself.

    Attributes:
        uncertain: the span, or one that it lies in, ends after its parent, so that it may not have been waited for.
    """

    row: int
    start: int
    end: int
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Share:
    """What one span has to do with its root's duration; nanoseconds.

    Attributes:
        on_path: length of its segments.
        self_time: of its duration, what no child covers.
        drag: how much sooner the root would end if the span took no time; 0 off the path.
        slack: how much later it could have ended without delaying its parent; 0 on the path.
    """

    row: int
    on_path: int
    self_time: int
    drag: int
    slack: int


@dataclass(frozen=True, slots=True)
class RootPath:
    """The critical path of one root.

    Attributes:
        segments: the latest first; together they tile the root's time without gap or overlap.
        shares: of all spans whose time was compared, in order of rows.
    """

    root: int
    segments: list[Segment]
    shares: list[Share]


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The critical paths of all roots of a trace.

    Attributes:
        excluded: rows that were left out with everything below them, and why: `producer-consumer`, `outside-parent` or
            `outlives-parent`.
    """

    roots: list[RootPath]
    excluded: dict[int, str]


@dataclass(slots=True)
class _Frame:
    """A span on the path whose time down to `until` is explained."""

    row: int
    begin: int
    until: int
    uncertain: bool
    waiting: list[tuple[int, int]]
    """Children as (row, end cut to the span's), the next one to take last."""


def find_critical_path(
    spans: Spans, tree: Tree, *, tolerance: Fraction = DEFAULT_TOLERANCE, overflow: Overflow = "clip"
) -> CriticalPath:
    """The critical path of every root. Cost is n log n for n spans, whatever the depth or the fan-out.

    Args:
        tolerance: how far successive calls may overlap, as a share of their parent's duration.
    """
    excluded: dict[int, str] = {}
    self_times = self_times_of(spans, tree)
    walk = _Walk(spans, tree, tolerance, overflow, excluded, self_times)
    roots = [walk.path(root) for root in tree.roots]
    return CriticalPath(roots, dict(sorted(excluded.items())))


class _Walk:
    def __init__(
        self,
        spans: Spans,
        tree: Tree,
        tolerance: Fraction,
        overflow: Overflow,
        excluded: dict[int, str],
        self_times: list[int],
    ) -> None:
        self._spans = spans
        self._tree = tree
        self._tolerance = tolerance
        self._overflow = overflow
        self._excluded = excluded
        self._self_times = self_times

    def path(self, root: int) -> RootPath:
        begin = self._spans.starts[root]
        end = begin + self._spans.durations[root]
        segments = self._segments(root, begin, end)
        on_path: dict[int, int] = {}
        for segment in segments:
            on_path[segment.row] = on_path.get(segment.row, 0) + segment.end - segment.start
        return RootPath(root, segments, self._shares(root, begin, end, on_path))

    def _segments(self, root: int, begin: int, end: int) -> list[Segment]:
        segments: list[Segment] = []
        stack = [self._frame(root, begin, end, uncertain=False)]
        while stack:
            frame = stack[-1]
            child = self._next_child(frame)
            if child is None:
                if frame.begin < frame.until:
                    segments.append(Segment(frame.row, frame.begin, frame.until, frame.uncertain))
                stack.pop()
                continue
            row, end = child
            if end < frame.until:
                segments.append(Segment(frame.row, end, frame.until, frame.uncertain))
            frame.until = max(self._spans.starts[row], frame.begin)
            stack.append(self._frame(row, frame.until, end, uncertain=frame.uncertain or self._outlives(row)))
        return segments

    def _next_child(self, frame: _Frame) -> tuple[int, int] | None:
        """The child that was waited for next, with its end; None when the rest is the span's own time."""
        allowance = self._allowance(frame.row)
        while frame.waiting:
            row, end = frame.waiting.pop()
            if self._spans.starts[row] >= frame.until:
                continue
            if end <= frame.until:
                return row, end
            if end - frame.until <= allowance:
                return row, frame.until
        return None

    def _frame(self, row: int, begin: int, end: int, *, uncertain: bool) -> _Frame:
        starts, span_ids = self._spans.starts, self._spans.span_ids
        waiting = []
        for child in self._waited_for(row):
            cut_end = min(starts[child] + self._spans.durations[child], end)
            if max(starts[child], begin) < cut_end:
                waiting.append((child, cut_end))
        # The latest end is taken first, then the earliest start, then the smaller id.
        waiting.sort(key=lambda item: (-item[1], starts[item[0]], span_ids[item[0]], item[0]), reverse=True)
        return _Frame(row, begin, end, uncertain, waiting)

    def _waited_for(self, row: int) -> list[int]:
        """Children that can have held up the span; the others are noted with their reason."""
        children = []
        for child in self._tree.children[row]:
            reason = self._reason_to_exclude(row, child)
            if reason:
                self._excluded[child] = reason
            else:
                children.append(child)
        return children

    def _reason_to_exclude(self, parent: int, child: int) -> str:
        spans = self._spans
        if spans.kinds[parent] == PRODUCER and spans.kinds[child] == CONSUMER:
            return "producer-consumer"
        parent_start, child_start = spans.starts[parent], spans.starts[child]
        if child_start > parent_start + spans.durations[parent] or child_start + spans.durations[child] < parent_start:
            return "outside-parent"
        if self._overflow == "ignore" and self._outlives(child):
            return "outlives-parent"
        return ""

    def _outlives(self, row: int) -> bool:
        """Whether a span ends after its parent by more than the tolerance."""
        spans, parent = self._spans, self._tree.parents[row]
        excess = spans.starts[row] + spans.durations[row] - spans.starts[parent] - spans.durations[parent]
        return excess > self._allowance(parent)

    def _allowance(self, row: int) -> int:
        """Whole nanoseconds that the tolerance comes to for the children of a span."""
        return self._spans.durations[row] * self._tolerance.numerator // self._tolerance.denominator

    def _shares(self, root: int, begin: int, end: int, on_path: dict[int, int]) -> list[Share]:
        """Drag and slack of the root and of everything below it that counts, each cut to its ancestors' times."""
        # A span is on the path when it or something below it has a segment.
        touched = set(on_path)
        for row in on_path:
            parent = self._tree.parents[row]
            while parent >= 0 and parent not in touched:
                touched.add(parent)
                parent = self._tree.parents[parent]
        shares = [Share(root, on_path.get(root, 0), self._self_times[root], end - begin, 0)]
        stack = [(root, begin, end)]
        while stack:
            parent, parent_begin, parent_end = stack.pop()
            siblings = []
            for child in self._waited_for(parent):
                start = max(self._spans.starts[child], parent_begin)
                stop = min(self._spans.starts[child] + self._spans.durations[child], parent_end)
                if start < stop:
                    siblings.append((stop, start, child))
            siblings.sort()
            earliest_start = min((start for _, start, _ in siblings), default=0)
            limit = parent_end
            for index in range(len(siblings) - 1, -1, -1):
                stop, start, child = siblings[index]
                stack.append((child, start, stop))
                own = stop - start
                drag = slack = 0
                if child in touched:
                    drag = min(own, stop - siblings[index - 1][0]) if index else own
                    limit = stop
                else:
                    slack = max(limit - own - earliest_start, 0)
                shares.append(Share(child, on_path.get(child, 0), self._self_times[child], drag, slack))
        shares.sort(key=lambda share: share.row)
        return shares
