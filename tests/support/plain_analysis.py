"""What is made of a trace, in plain Python, one span after the other: the definitions that kernels are held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR

ROOT = -1
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5


class Forest(NamedTuple):
    """Rows of parents, of children by (start, row), and of roots; what is unusual, as (row, kind)."""

    parents: list[int]
    children: list[list[int]]
    roots: list[int]
    unusual: set[tuple[int, str]]

    def walk(self) -> Iterator[tuple[int, int]]:
        """(row, depth) of every span, parents before children."""
        stack = [(row, 0) for row in reversed(self.roots)]
        while stack:
            row, depth = stack.pop()
            yield row, depth
            stack += [(child, depth + 1) for child in reversed(self.children[row])]


def forest_of(spans: Skeleton) -> Forest:
    rows_by_id: dict[str, list[int]] = {}
    for row, span_id in enumerate(spans.span_ids):
        if span_id:
            rows_by_id.setdefault(span_id, []).append(row)
    unusual = {(row, "ends-before-start") for row in range(len(spans)) if spans.ends[row] < spans.starts[row]}
    parents = [ROOT] * len(spans)
    for row, (span_id, parent_id) in enumerate(zip(spans.span_ids, spans.parent_span_ids, strict=True)):
        sharers = rows_by_id.get(span_id, [])
        clients = [other for other in sharers if spans.kinds[other] == CLIENT and other != row]
        if spans.kinds[row] == SERVER and clients:
            parents[row] = min(clients, key=lambda other: _distance(spans, other, row))
            unusual.add((row, "shared-span-id"))
            continue
        if len(sharers) > 1 and spans.kinds[row] != CLIENT:
            unusual.add((row, "repeated-span-id"))
        if parent_id and parent_id == span_id:
            unusual.add((row, "own-parent"))
        elif parent_id and parent_id not in rows_by_id:
            unusual.add((row, "missing-parent"))
        elif parent_id:
            parents[row] = min(
                rows_by_id[parent_id],
                key=lambda other: (
                    (
                        spans.processes[other] != spans.processes[row],
                        spans.services[other] != spans.services[row],
                        *_distance(spans, other, row),
                    )
                    if len(rows_by_id[parent_id]) > 1
                    else ()
                ),
            )
    for row in range(len(spans)):
        members = [row]
        while parents[members[-1]] not in (ROOT, *members):
            members.append(parents[members[-1]])
        if parents[members[-1]] == row:
            earliest = min(members, key=lambda member: (spans.starts[member], spans.span_ids[member], member))
            parents[earliest] = ROOT
            unusual.add((earliest, "cycle"))
    by_start = sorted(range(len(spans)), key=spans.starts.__getitem__)
    children: list[list[int]] = [[] for _ in parents]
    for row in by_start:
        if parents[row] != ROOT:
            children[parents[row]].append(row)
    return Forest(parents, children, [row for row in by_start if parents[row] == ROOT], unusual)


def _distance(spans: Skeleton, row: int, child: int) -> tuple[bool, bool, int, int]:
    contains = spans.starts[row] <= spans.starts[child] and spans.ends[child] <= spans.ends[row]
    return not contains, spans.kinds[row] != SERVER, spans.starts[row], row


def self_times_of(spans: Skeleton, forest: Forest) -> list[int]:
    self_times = []
    for row, children in enumerate(forest.children):
        start, end = spans.starts[row], spans.starts[row] + spans.durations[row]
        covered, reached = 0, start
        for child in children:
            child_start = max(spans.starts[child], reached)
            child_end = min(spans.starts[child] + spans.durations[child], end)
            if child_start < child_end:
                covered += child_end - child_start
                reached = child_end
        self_times.append(end - start - covered)
    return self_times


def bars_of(spans: Skeleton, forest: Forest) -> list[tuple[int, ...]]:
    """(row, depth, offset, duration, self time, descendants, errors below) in drawing order."""
    order = list(forest.walk())
    below = [[0, 0] for _ in order]
    for row, _ in reversed(order):
        if forest.parents[row] != ROOT:
            below[forest.parents[row]][0] += below[row][0] + 1
            below[forest.parents[row]][1] += below[row][1] + (spans.status_codes[row] == ERROR)
    start = min((start for start in spans.starts if start), default=0)
    own = self_times_of(spans, forest)
    return [(row, depth, max(spans.starts[row] - start, 0), spans.durations[row], own[row], *below[row]) for row, depth in order]


class Calls(NamedTuple):
    """Times, allowances, which spans outlive their parents, children by (start, span id, row), and why others are excluded."""

    starts: list[int]
    ends: list[int]
    allowances: list[int]
    outlives: list[bool]
    children: list[list[int]]
    excluded: dict[int, str]


def calls_of(spans: Skeleton, forest: Forest, tolerance: Fraction, overflow: str) -> Calls:
    starts, kinds = spans.starts, spans.kinds
    ends = [start + duration for start, duration in zip(starts, spans.durations, strict=True)]
    allowances = [duration * tolerance.numerator // tolerance.denominator for duration in spans.durations]
    outlives = [
        parent != ROOT and end - ends[parent] > allowances[parent] for end, parent in zip(ends, forest.parents, strict=True)
    ]
    children: list[list[int]] = [[] for _ in ends]
    excluded = {}
    for row in sorted(range(len(starts)), key=lambda row: (starts[row], spans.table["span_id"][row], row)):
        parent = forest.parents[row]
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


def segments_of(calls: Calls, cut_ends: list[int], row: int, begin: int, uncertain: bool = False) -> Iterator[tuple[int, ...]]:
    """(row, start, end, uncertain) of a span from its cut end back to where it begins. Calls itself for each call on the path."""
    until = cut_ends[row]
    waiting = []
    for child in reversed(calls.children[row]):
        cut_ends[child] = min(cut_ends[child], until)
        if begin < cut_ends[child] and calls.starts[child] < cut_ends[child]:
            waiting.append(child)
    waiting.sort(key=cut_ends.__getitem__)
    while waiting:
        child = waiting.pop()
        if calls.starts[child] >= until or cut_ends[child] - until > calls.allowances[row]:
            continue
        end = cut_ends[child] = min(cut_ends[child], until)
        if end < until:
            yield row, end, until, uncertain
        until = max(calls.starts[child], begin)
        yield from segments_of(calls, cut_ends, child, until, uncertain or calls.outlives[child])
    if begin < until:
        yield row, begin, until, uncertain


def shares_of(
    calls: Calls, forest: Forest, self_times: Sequence[int], root: int, segments: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """(row, on path, self time, drag, slack, saving, rival) of a root and of everything below it that can have held it up."""
    on_path: dict[int, int] = {}
    for row, start, end, _ in segments:
        on_path[row] = on_path.get(row, 0) + end - start
    touched = set()
    for row in on_path:
        while row != ROOT:
            touched.add(row)
            row = forest.parents[row]
    starts, ends = calls.starts, calls.ends
    length = ends[root] - starts[root]
    shares = [(root, on_path.get(root, 0), self_times[root], length, 0, length, ROOT)]

    def compare(parent: int, begin: int, limit: int, parent_saving: int) -> None:
        cut = {child: (max(starts[child], begin), min(ends[child], limit)) for child in calls.children[parent]}
        siblings = sorted((child for child, (start, stop) in cut.items() if start < stop), key=lambda child: cut[child][1])
        earliest_start = min((cut[child][0] for child in siblings), default=limit)
        for index in range(len(siblings) - 1, -1, -1):
            child = siblings[index]
            start, stop = cut[child]
            drag = slack = saving = 0
            rival = ROOT
            if child in touched:
                drag = stop - start
                if index and stop - cut[siblings[index - 1]][1] < drag:
                    rival = siblings[index - 1]
                    drag = stop - cut[rival][1]
                saving = min(drag, parent_saving)
                limit = stop
            else:
                slack = max(limit - (stop - start) - earliest_start, 0)
            shares.append((child, on_path.get(child, 0), self_times[child], drag, slack, saving, rival))
            compare(child, start, stop, saving)

    compare(root, starts[root], ends[root], length)
    return sorted(shares)


def skews_of(spans: Skeleton, forest: Forest) -> list[int]:
    """How far the clock of each span is ahead of its root's, nanoseconds."""
    clocks = [host or process for host, process in zip(spans.hosts, spans.processes, strict=True)]

    def is_call(parent: int, row: int) -> bool:
        handed_over = spans.kinds[parent] == PRODUCER and spans.kinds[row] == CONSUMER
        return not handed_over and spans.durations[row] <= spans.durations[parent]

    bounds: dict[tuple[object, object], tuple[int, int]] = {}
    for row, parent in enumerate(forest.parents):
        if parent == ROOT or (spans.kinds[parent], spans.kinds[row]) != (CLIENT, SERVER) or clocks[parent] == clocks[row]:
            continue
        if not spans.starts[parent] or not spans.starts[row] or not is_call(parent, row):
            continue
        low, high = spans.ends[row] - spans.ends[parent], spans.starts[row] - spans.starts[parent]
        pair = clocks[parent], clocks[row]
        if pair[::-1] in bounds:
            pair, low, high = pair[::-1], -high, -low
        least, most = bounds.get(pair, (low, high))
        bounds[pair] = max(least, low), min(most, high)
    offsets: dict[tuple[object, object], int] = {}
    for (caller, callee), (least, most) in bounds.items():
        if least <= most and not least <= 0 <= most:
            offsets[caller, callee] = (least + most) // 2
            offsets[callee, caller] = -offsets[caller, callee]
    by_row = [0] * len(spans)
    for row, _ in forest.walk():
        parent = forest.parents[row]
        if parent != ROOT and clocks[parent] == clocks[row]:
            by_row[row] = by_row[parent]
        elif parent != ROOT and is_call(parent, row):
            by_row[row] = by_row[parent] + offsets.get((clocks[parent], clocks[row]), 0)
    return by_row
