"""What many traces were waiting for: their critical paths added up, in bands of how long the traces took.

The median and the tail of latencies have different causes, which one mean would mix: so traces are put in order of their roots'
durations, and each band of percentiles is added up by itself. A trace that stands for several has as much room in that order, and
is in the band in which the middle of its room lies. Source: CRISP (Zhang et al., USENIX ATC 2022), whose windows are these; the
path of a trace is that of `analysis/critical_path.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from collector.query.analysis.critical_path import DEFAULT_TOLERANCE, Overflow, calls_of, segments_of
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree
from collector.query.view import view_of
from collector.query.waterfall import naming_root

By = Literal["operation", "service", "callPath"]
"""What time is added up by: a service and an operation, a service, or all services and operations from the root down."""

DEEPEST: Final = 100
"""Calls below so many others count as the call at that depth."""
EXEMPLARS: Final = 3

Frame = tuple[str, str]
"""A service and an operation; the latter is empty where time is added up by services."""


class OnPath(NamedTuple):
    """What one key has of a trace's critical path; nanoseconds.

    Attributes:
        time: how long the root waited for spans of this key.
        spans: how many of those there are.
        worst, worst_time: id of the one that was waited for longest, and how long.
    """

    time: int
    spans: int
    worst: str
    worst_time: int


@dataclass(frozen=True, slots=True)
class TracePath:
    """The critical path of a trace's root.

    Attributes:
        duration: of the root, nanoseconds: the sum of all times.
        weight: how many traces this one stands for.
        shares: by key, the frames of which are those from the root down where time is added up by call paths, else one.
    """

    trace_id: str
    duration: int
    weight: float
    shares: dict[tuple[Frame, ...], OnPath]


class Exemplar(NamedTuple):
    """A trace in which a key has much of the path, and its span that was waited for longest; nanoseconds, of the key."""

    trace_id: str
    span_id: str
    time: int


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one key has of the critical paths of a band.

    Attributes:
        share: of all time, from 0 to 1; those of all keys come to 1.
        mean: nanoseconds for each trace, those included that have no such span on their path.
        frequency: in what share of the traces it is on the path, from 0 to 1.
        spans: how many there are on the paths, in traces that are stored.
        exemplars: those with the most time first.
    """

    frames: tuple[Frame, ...]
    share: float
    mean: float
    frequency: float
    spans: int
    exemplars: list[Exemplar]


@dataclass(frozen=True, slots=True)
class Band:
    """The traces between two percentiles of the duration of roots, which are nanoseconds.

    Attributes:
        low, high: from 0 to 100.
        traces: how many are stored; `count` is how many those stand for.
        contributions: those with the most time first.
    """

    low: Fraction
    high: Fraction
    traces: int
    count: float
    minimum: int
    maximum: int
    mean: float
    contributions: list[Contribution]


def find_trace_path(
    stored: Skeleton,
    weights: Sequence[float],
    by: By,
    *,
    tolerance: Fraction = DEFAULT_TOLERANCE,
    overflow: Overflow = "clip",
) -> TracePath:
    """The critical path of the root that names a trace; the other roots, which nobody of it waited for, are left out.

    Args:
        weights: by row, how many spans each stands for.
    """
    view = view_of(stored)
    spans, tree = view.spans, view.tree
    root = naming_root(tree)
    calls = calls_of(spans, tree, tolerance, overflow)
    on_path: dict[int, int] = {}
    for segment in segments_of(calls, root):
        on_path[segment.row] = on_path.get(segment.row, 0) + segment.end - segment.start
    keys = _keys(spans, tree, on_path, by)
    shares: dict[tuple[Frame, ...], OnPath] = {}
    for row, time in on_path.items():
        before = shares.get(keys[row], OnPath(0, 0, "", -1))
        worst, worst_time = max((time, spans.span_ids[row]), (before.worst_time, before.worst))[::-1]
        shares[keys[row]] = OnPath(before.time + time, before.spans + 1, worst, worst_time)
    return TracePath(spans.trace_id, spans.durations[root], weights[root], shares)


def add_up(paths: Iterable[TracePath], bands: Iterable[tuple[Fraction, Fraction]]) -> list[Band]:
    """The bands in which there are traces, each with what its traces were waiting for.

    Args:
        bands: percentiles from and to which each goes; they may overlap.
    """
    ordered = sorted(paths, key=lambda path: (path.duration, path.trace_id))
    middles = []
    total = 0.0
    for path in ordered:
        middles.append(total + path.weight / 2)
        total += path.weight
    found = []
    for low, high in bands:
        first, end = float(low) / 100 * total, float(high) / 100 * total
        members = [path for path, middle in zip(ordered, middles, strict=True) if first <= middle < end]
        if members:
            found.append(_band(low, high, members))
    return found


def _band(low: Fraction, high: Fraction, paths: Sequence[TracePath]) -> Band:
    count = sum(path.weight for path in paths)
    time = sum(path.weight * path.duration for path in paths)
    by_key: dict[tuple[Frame, ...], list[TracePath]] = {}
    for path in paths:
        for frames in path.shares:
            by_key.setdefault(frames, []).append(path)
    contributions = []
    for frames, having in by_key.items():
        weighed = sum(path.weight * path.shares[frames].time for path in having)
        worst = sorted(having, key=lambda path: (-path.shares[frames].time, path.trace_id))[:EXEMPLARS]
        contributions.append(
            Contribution(
                frames,
                share=weighed / time,
                mean=weighed / count,
                frequency=sum(path.weight for path in having) / count,
                spans=sum(path.shares[frames].spans for path in having),
                exemplars=[Exemplar(path.trace_id, path.shares[frames].worst, path.shares[frames].time) for path in worst],
            )
        )
    contributions.sort(key=lambda each: (-each.share, each.frames))
    durations = [path.duration for path in paths]
    return Band(low, high, len(paths), count, min(durations), max(durations), time / count, contributions)


def _keys(spans: Skeleton, tree: Tree, rows: Iterable[int], by: By) -> dict[int, tuple[Frame, ...]]:
    """The key of each of these rows."""
    if by == "service":
        return {row: ((spans.services[row], ""),) for row in rows}
    if by == "operation":
        return {row: ((spans.services[row], spans.names[row]),) for row in rows}
    known: dict[int, tuple[Frame, ...]] = {ROOT: ()}
    for row in rows:
        above = [row]
        while tree.parents[above[-1]] not in known:
            above.append(tree.parents[above[-1]])
        for each in reversed(above):
            upper = known[tree.parents[each]]
            known[each] = upper if len(upper) >= DEEPEST else (*upper, (spans.services[each], spans.names[each]))
    return {row: known[row] for row in rows}
