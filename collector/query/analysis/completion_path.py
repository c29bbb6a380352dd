"""Why a trace as a whole took as long as it did: what its last end was waiting for, work in the background included.

The critical path of a root says why the reply took its time, and leaves out what nobody waited for. Here the walk begins where
the trace ends. At the start of a span that was waited for it goes on in its parent, from that instant. At the start of one that
was not, such as the consumer of a message, there may be a wait before that, back to the end of what caused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from collector.query.analysis.critical_path import DEFAULT_TOLERANCE, calls_of
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, Tree
from proto.critical_path_kernels import walk_to_completion
from proto.spans import records
from proto.trace_shape import SEGMENT


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
    last = int(tree.order[np.argmax(calls.table["end"][tree.order])])
    root = last
    while tree.parents[root] != ROOT:
        root = tree.parents[root]
    # As for a critical path, and a wait for each span.
    segments = np.empty(3 * len(spans), SEGMENT)
    causes = np.full(len(segments), ROOT, np.int32)
    count = walk_to_completion(records(segments), causes, last, *calls.walk())
    parts = zip(segments[:count].tolist(), causes[:count].tolist(), strict=True)
    return CompletionPath(last, root, [Step(row, start, end, cause) for (row, start, end, _), cause in parts])
