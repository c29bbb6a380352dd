"""What the end of a root span was waiting for, instant by instant.

From the end of a root backwards: the child that finished last before the instant explained so far is what the parent was
waiting for; the time between is the parent's own. Calls that follow each other may overlap by a small tolerance, because clocks
are coarse. Work that a message hands over (producer to consumer) was not waited for. Times are integer nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree
from collector.query.waterfall import self_times_of

PRODUCER: Final = 4
CONSUMER: Final = 5
DEFAULT_TOLERANCE: Final = Fraction(1, 100)

Overflow = Literal["clip", "ignore"]
"""What to make of a child that ends after its parent: cut it to the parent, or hold that it was not waited for."""


class Segment(NamedTuple):
    """From `start` to `end` the root waited for the span of `row` itself.

    Attributes:
        uncertain: the span, or one that it lies in, ends after its parent, so that it may not have been waited for.
    """

    row: int
    start: int
    end: int
    uncertain: bool


class Share(NamedTuple):
    """What one span has to do with its root's duration; nanoseconds.

    Attributes:
        on_path: length of its segments.
        self_time: of its duration, what no child covers.
        drag: how much sooner its parent would end if the span took no time; 0 off the path.
        slack: how much later it could have ended without delaying its parent; 0 on the path.
        saving: how much sooner the root would end if the span took no time: its drag, or less where something above it has less.
        rival: row of the sibling that its parent would wait for then, ROOT where there is none.
    """

    row: int
    on_path: int
    self_time: int
    drag: int
    slack: int
    saving: int
    rival: int


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


@dataclass(frozen=True, slots=True)
class Calls:
    """A trace as the walk sees it; all lists by row.

    Attributes:
        starts, ends: nanoseconds; no end lies before its start.
        allowances: how far successive children of a span may overlap, and how far one may outlive the span.
        outlives: whether a span ends after its parent by more than that parent's allowance.
        children: those that can have held up their parent, by (start, span id, row).
        excluded: the other children, with the reason.
    """

    starts: list[int]
    ends: list[int]
    allowances: list[int]
    outlives: list[bool]
    children: list[list[int]]
    excluded: dict[int, str]


@dataclass(slots=True)
class _Frame:
    """A span on the path whose time down to `until` is explained."""

    row: int
    begin: int
    until: int
    uncertain: bool
    waiting: list[int]
    """Rows of children, the next one to take last."""


def find_critical_path(
    spans: Skeleton, tree: Tree, *, tolerance: Fraction = DEFAULT_TOLERANCE, overflow: Overflow = "clip"
) -> CriticalPath:
    """The critical path of every root. Cost is n log n for n spans, whatever the depth or the fan-out.

    Args:
        tolerance: how far successive calls may overlap, as a share of their parent's duration.
    """
    calls = calls_of(spans, tree, tolerance, overflow)
    self_times = self_times_of(spans, tree)
    # Trees share no span, so that one list serves the walks of all roots, and another what is compared after them.
    cut_ends, stops = list(calls.ends), list(calls.ends)
    roots = []
    for root in tree.roots:
        segments = walk_back(calls, cut_ends, root, calls.ends[root])
        roots.append(RootPath(root, segments, _shares_of(calls, stops, tree, self_times, root, segments)))
    return CriticalPath(roots, calls.excluded)


def calls_of(spans: Skeleton, tree: Tree, tolerance: Fraction, overflow: Overflow) -> Calls:
    """Which children can have held up their parents, and which cannot."""
    starts, kinds = spans.starts, spans.kinds
    ends = [start + duration for start, duration in zip(starts, spans.durations, strict=True)]
    allowances = [duration * tolerance.numerator // tolerance.denominator for duration in spans.durations]
    outlives = [
        parent != ROOT and end - ends[parent] > allowances[parent] for end, parent in zip(ends, tree.parents, strict=True)
    ]
    children: list[list[int]] = [[] for _ in ends]
    excluded = {}
    # Two stable sorts make no tuple for each span, which the garbage collector would have to look at.
    for row in sorted(sorted(range(len(starts)), key=spans.span_ids.__getitem__), key=starts.__getitem__):
        parent = tree.parents[row]
        if parent == ROOT:
            continue
        if kinds[parent] == PRODUCER and kinds[row] == CONSUMER:
            excluded[row] = "producer-consumer"
        elif starts[row] > ends[parent] or ends[row] < starts[parent]:
            excluded[row] = "outside-parent"
        elif overflow == "ignore" and outlives[row]:
            excluded[row] = "outlives-parent"
        else:
            children[parent].append(row)
    return Calls(starts, ends, allowances, outlives, children, excluded)


def walk_back(calls: Calls, cut_ends: list[int], row: int, until: int) -> list[Segment]:
    """Segments of a span from an instant back to its start, the latest first. Each span may be reached once with one list.

    Args:
        cut_ends: by row; of what is reached they are cut further.
        until: from where the time of the span is to be explained, its end or earlier.
    """
    segments: list[Segment] = []
    stack = [_frame(calls, cut_ends, row, calls.starts[row], uncertain=False)]
    stack[0].until = until
    while stack:
        frame = stack[-1]
        child = _next_child(calls, cut_ends, frame) if frame.waiting else ROOT
        if child == ROOT:
            if frame.begin < frame.until:
                segments.append(Segment(frame.row, frame.begin, frame.until, frame.uncertain))
            stack.pop()
            continue
        end = cut_ends[child]
        if end < frame.until:
            segments.append(Segment(frame.row, end, frame.until, frame.uncertain))
        frame.until = max(calls.starts[child], frame.begin)
        uncertain = frame.uncertain or calls.outlives[child]
        if calls.children[child]:
            stack.append(_frame(calls, cut_ends, child, frame.until, uncertain=uncertain))
        elif frame.until < end:
            segments.append(Segment(child, frame.until, end, uncertain))
    return segments


def _next_child(calls: Calls, cut_ends: list[int], frame: _Frame) -> int:
    """The child that was waited for next, its end cut to what is not explained yet; ROOT when the rest is the span's own time."""
    while frame.waiting:
        row = frame.waiting.pop()
        if calls.starts[row] < frame.until and cut_ends[row] - frame.until <= calls.allowances[frame.row]:
            cut_ends[row] = min(cut_ends[row], frame.until)
            return row
    return ROOT


def _frame(calls: Calls, cut_ends: list[int], row: int, begin: int, *, uncertain: bool) -> _Frame:
    """Begin with a span at its cut end, and cut the ends of its children to that."""
    end = cut_ends[row]
    waiting = []
    for child in reversed(calls.children[row]):
        cut_end = cut_ends[child] = min(cut_ends[child], end)
        if begin < cut_end and calls.starts[child] < cut_end:
            waiting.append(child)
    # The latest end is taken first; of equal ends the one with the earliest start, then the smaller id.
    waiting.sort(key=cut_ends.__getitem__)
    return _Frame(row, begin, end, uncertain, waiting)


def _shares_of(
    calls: Calls, stops: list[int], tree: Tree, self_times: list[int], root: int, segments: list[Segment]
) -> list[Share]:
    """Drag and slack of the root and of everything below it that can have held it up, each cut to its ancestors' times."""
    on_path: dict[int, int] = {}
    for segment in segments:
        on_path[segment.row] = on_path.get(segment.row, 0) + segment.end - segment.start
    starts, ends, children = calls.starts, calls.ends, calls.children
    # A span is on the path when it or something below it has a segment.
    touched = set(on_path)
    for row in on_path:
        parent = tree.parents[row]
        while parent != ROOT and parent not in touched:
            touched.add(parent)
            parent = tree.parents[parent]
    begin, end = starts[root], ends[root]
    shares = [Share(root, on_path.get(root, 0), self_times[root], end - begin, 0, end - begin, ROOT)]
    stack = [(root, begin, end, end - begin)]
    while stack:
        parent, begin, limit, parent_saving = stack.pop()
        siblings = []
        earliest_start = limit
        for child in children[parent]:
            start, stop = max(starts[child], begin), min(ends[child], limit)
            if start < stop:
                siblings.append(child)
                stops[child] = stop
                earliest_start = min(earliest_start, start)
        siblings.sort(key=stops.__getitem__)
        for index in range(len(siblings) - 1, -1, -1):
            child = siblings[index]
            start, stop = max(starts[child], begin), stops[child]
            drag = slack = saving = 0
            rival = ROOT
            if child in touched:
                drag = stop - start
                if index and stop - stops[siblings[index - 1]] < drag:
                    rival = siblings[index - 1]
                    drag = stop - stops[rival]
                saving = min(drag, parent_saving)
                # What ends before this one may last until this one ends.
                limit = stop
            else:
                slack = max(limit - (stop - start) - earliest_start, 0)
            shares.append(Share(child, on_path.get(child, 0), self_times[child], drag, slack, saving, rival))
            if children[child]:
                stack.append((child, start, stop, saving))
    shares.sort(key=itemgetter(0))
    return shares
