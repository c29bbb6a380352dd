"""The critical path as Uber's CRISP defines it: a set of spans, and inclusive and exclusive time by call path.

Children are cut to their parents, save for those that look like the other side of a remote call, whose clock may be off. A path
is a span, its child that ended last, and before that each child that happened before the one taken last; recursively. Sums need
not be the root's duration. `critical_path.py` has the definition whose segments tile it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.tree import CLIENT, ROOT, SERVER, Tree

_REMOTE_EXCESS_PERCENT: Final = 101
"""A remote child is kept whole when its duration is at most so much of its parent's."""
_OVERLAP_PERCENT: Final = 1
"""Calls that follow each other may overlap by less than so much of their parent's duration."""


class CrispSpan(NamedTuple):
    """One span on the path; nanoseconds. The exclusive time leaves out what its children on the path take, and is at least 0."""

    row: int
    inclusive: int
    exclusive: int


class CallPath(NamedTuple):
    """All spans on the path that were called in the same way; nanoseconds.

    Attributes:
        parent: position of the caller's call path in the list, -1 for the root's.
        inclusive: sum of the spans' durations.
        exclusive: that less the durations of their children on the path, at least 0. It is cut to 0 here rather than by span, so
            that two spans of one call path can cancel each other.
        frequency: number of spans.
        worst: row of the span with the most exclusive time.
    """

    parent: int
    service: str
    operation: str
    inclusive: int
    exclusive: int
    frequency: int
    worst: int


@dataclass(frozen=True, slots=True)
class CrispPath:
    """The path of one root: its spans, parents before children, and their call paths in the same order."""

    root: int
    spans: list[CrispSpan]
    call_paths: list[CallPath]


class _Window(NamedTuple):
    """A span's time after the clean-up; of a remote child the duration may be less than from start to end."""

    start: int
    end: int
    duration: int


def find_crisp_paths(spans: Skeleton, tree: Tree) -> list[CrispPath]:
    """The path of every true root, which is one that names no parent. Cost is n log n for n spans."""
    return [_path_of(spans, tree, root) for root in tree.roots if not spans.parent_span_ids[root]]


def _path_of(spans: Skeleton, tree: Tree, root: int) -> CrispPath:
    windows = {root: _Window(spans.starts[root], spans.starts[root] + spans.durations[root], spans.durations[root])}
    order = []
    exclusive: dict[int, int] = {}
    stack = [root]
    while stack:
        row = stack.pop()
        order.append(row)
        called = _called(spans, tree, windows, row)
        exclusive[row] = windows[row].duration - sum(windows[child].duration for child in called)
        stack.extend(called)
    return CrispPath(
        root,
        [CrispSpan(row, windows[row].duration, max(exclusive[row], 0)) for row in order],
        _call_paths(spans, tree, order, windows, exclusive),
    )


def _called(spans: Skeleton, tree: Tree, windows: dict[int, _Window], row: int) -> list[int]:
    """Children on the path, the latest first."""
    parent = windows[row]
    children = []
    for child in tree.children[row]:
        window = _clean(spans, tree, parent, child)
        if window is not None:
            windows[child] = window
            children.append(child)
    # Of equal ends the one that stands last comes first, as in the reversed stable sort of the original.
    children.sort(key=lambda child: windows[child].end)
    children.reverse()
    events = sorted(time for child in children for time in windows[child][:2])
    called: list[int] = []
    for child in children:
        if not called or _happens_before(windows[child], windows[called[-1]], parent.duration, events):
            called.append(child)
    return called


def _clean(spans: Skeleton, tree: Tree, parent: _Window, child: int) -> _Window | None:
    """What the clean-up leaves of a child; None when it is dropped, as is one that covers its parent on both sides."""
    start, duration = spans.starts[child], spans.durations[child]
    end = start + duration
    if _is_remote(spans, tree, child) and duration * 100 <= parent.duration * _REMOTE_EXCESS_PERCENT:
        return _Window(start, end, min(duration, parent.duration))
    if start >= parent.start and end <= parent.end:
        return _Window(start, end, duration)
    if start < parent.start < end <= parent.end:
        return _Window(parent.start, end, end - parent.start)
    if parent.start <= start < parent.end < end:
        return _Window(start, parent.end, parent.end - start)
    return None


def _is_remote(spans: Skeleton, tree: Tree, child: int) -> bool:
    """Whether parent and child look like both sides of one call."""
    row = tree.parents[child]
    if len(tree.children[row]) != 1:
        return False
    kinds, hosts, caller = spans.kinds, spans.hosts, tree.parents[row]
    if hosts[row] and hosts[child] and hosts[row] != hosts[child]:
        return True
    if kinds[child] != SERVER:
        return False
    return kinds[row] == CLIENT or (kinds[row] != SERVER and caller != ROOT and kinds[caller] == SERVER)


def _happens_before(child: _Window, last: _Window, parent_duration: int, events: list[int]) -> bool:
    if child.end < last.start:
        return True
    if not (child.end < last.end and child.start < last.start):
        return False
    small = (child.end - last.start) * 100 < parent_duration * _OVERLAP_PERCENT
    # The start of the one and the end of the other must be all that happens while they overlap.
    return small and bisect_right(events, child.end) - bisect_left(events, last.start) == 2


def _call_paths(
    spans: Skeleton, tree: Tree, order: list[int], windows: dict[int, _Window], exclusive: dict[int, int]
) -> list[CallPath]:
    positions: dict[tuple[int, str, str], int] = {}
    position_of: dict[int, int] = {}
    members: list[list[int]] = []
    for row in order:
        caller = position_of.get(tree.parents[row], -1)
        position = positions.setdefault((caller, spans.services[row], spans.names[row]), len(positions))
        position_of[row] = position
        if position == len(members):
            members.append([])
        members[position].append(row)
    return [
        CallPath(
            *key,
            inclusive=sum(windows[row].duration for row in rows),
            exclusive=max(sum(exclusive[row] for row in rows), 0),
            frequency=len(rows),
            worst=max(rows, key=exclusive.__getitem__),
        )
        for key, rows in zip(positions, members, strict=True)
    ]
