"""Why a trace as a whole took as long as it did: what its last end was waiting for, work in the background included.

The critical path of a root says why the reply took its time, and leaves out what nobody waited for. Here the walk begins where
the trace ends. At the start of a span that was waited for it goes on in its parent, from that instant. At the start of one that
was not, such as the consumer of a message, there may be a wait before that, back to the end of what caused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from collector.query.analysis.critical_path import DEFAULT_TOLERANCE, calls_of, walk_back
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree


class Step(NamedTuple):
    """From `start` to `end`, nanoseconds, the end of the trace waited for the span of `row` itself, or for it to start.

    Attributes:
        cause: row of what had the span started, where the step is a wait for that; ROOT where it is the span's own time.
    """

    row: int
    start: int
    end: int
    cause: int


@dataclass(frozen=True, slots=True)
class CompletionPath:
    """The path to the last end of a trace.

    Attributes:
        last: row of the span that ends last; of several the one that stands first in drawing order.
        root: the root of its tree.
        steps: the latest first, without gap or overlap.
    """

    last: int
    root: int
    steps: list[Step]


def find_completion_path(spans: Skeleton, tree: Tree, *, tolerance: Fraction = DEFAULT_TOLERANCE) -> CompletionPath:
    """The path of a trace with at least one span. Cost is n log n for n spans.

    Args:
        tolerance: how far successive calls may overlap, as a share of their parent's duration.
    """
    calls = calls_of(spans, tree, tolerance, "clip")
    cut_ends = list(calls.ends)
    last = max((row for row, _ in tree.walk()), key=calls.ends.__getitem__)
    steps: list[Step] = []
    row, until = last, calls.ends[last]
    while True:
        if calls.starts[row] < until:
            steps += [Step(part.row, part.start, part.end, ROOT) for part in walk_back(calls, cut_ends, row, until)]
            until = calls.starts[row]
        parent = tree.parents[row]
        if parent == ROOT:
            return CompletionPath(last, row, steps)
        if row in calls.excluded and calls.ends[parent] < until:
            steps.append(Step(row, calls.ends[parent], until, parent))
            until = calls.ends[parent]
        row = parent
