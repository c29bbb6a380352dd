"""What the end of a root span was waiting for, instant by instant.

From the end of a root backwards: the child that finished last before the instant explained so far is what the parent was
waiting for; the time between is the parent's own. Calls that follow each other may overlap by a small tolerance, because clocks
are coarse. Work that a message hands over (producer to consumer) was not waited for. Times are integer nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.skeleton import Skeleton
from collector.query.tree import Tree
from collector.query.waterfall import self_times_of
from proto import critical_path_kernels as kernels
from proto.spans import Table, records
from proto.trace_shape import CALL, ROOT, SEGMENT, SHARE

DEFAULT_TOLERANCE: Final = Fraction(1, 100)
_REASONS: Final = {
    kernels.HANDED_OVER: "producer-consumer",
    kernels.OUTSIDE_PARENT: "outside-parent",
    kernels.OUTLIVES_PARENT: "outlives-parent",
}

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


class RootPath(NamedTuple):
    """The critical path of one root.

    Attributes:
        segments: the latest first; together they tile the root's time without gap or overlap.
        shares: of all spans whose time was compared, in order of rows.
    """

    root: int
    segments: list[Segment]
    shares: list[Share]


@dataclass(frozen=True)
class CriticalPath:
    """The critical paths of all roots of a trace.

    Attributes:
        root_rows: of the roots, by (start, row).
        segment_table: as `proto.trace_shape.SEGMENT`, root after root.
        segment_bounds: where in it those of each root begin, and at last its end.
        share_table: as `proto.trace_shape.SHARE`, root after root.
        share_bounds: likewise.
        excluded: rows that were left out with everything below them, and why: `producer-consumer`, `outside-parent` or
            `outlives-parent`.
    """

    root_rows: list[int]
    segment_table: Table
    segment_bounds: list[int]
    share_table: Table
    share_bounds: list[int]
    excluded: dict[int, str]

    @cached_property
    def roots(self) -> list[RootPath]:
        """The paths one by one, made when they are first asked for."""
        segments = list(map(Segment._make, self.segment_table.tolist()))
        shares = list(map(Share._make, self.share_table.tolist()))
        runs = zip(self.root_rows, pairwise(self.segment_bounds), pairwise(self.share_bounds), strict=True)
        return [RootPath(root, segments[slice(*of_segments)], shares[slice(*of_shares)]) for root, of_segments, of_shares in runs]


@dataclass(frozen=True, slots=True)
class Calls:
    """A trace as the walk sees it.

    Attributes:
        table: by row, see `proto.trace_shape.CALL`.
        children: rows of those that can have held up their parent: a run for each span.
    """

    table: Table
    children: NDArray[np.int32]

    @property
    def excluded(self) -> dict[int, str]:
        """Rows of the other spans, and why they are left out."""
        rows = np.flatnonzero(self.table["excluded"])
        reasons = self.table["excluded"][rows]
        return {row: _REASONS[reason] for row, reason in zip(rows.tolist(), reasons.tolist(), strict=True)}

    def walk(self) -> tuple[Any, ...]:
        """What kernels need to walk through the trace once, reaching no span twice: the last arguments of `walk_back`."""
        frames = np.empty(len(self.table), kernels.FRAME)
        room = np.empty((2, len(self.table)), np.int32)
        return records(self.table), self.children, self.table["end"].copy(), records(frames), *room


def find_critical_path(
    spans: Skeleton, tree: Tree, *, tolerance: Fraction = DEFAULT_TOLERANCE, overflow: Overflow = "clip"
) -> CriticalPath:
    """The critical path of every root. Cost is n log n for n spans, whatever the depth or the fan-out.

    Args:
        tolerance: how far successive calls may overlap, as a share of their parent's duration; its denominator is below 2^32.
    """
    calls = calls_of(spans, tree, tolerance, overflow)
    # Each span has at most the time before it in its parent, and its own first.
    segments = np.empty(2 * len(spans), SEGMENT)
    segment_bounds = np.empty(len(tree.tops) + 1, np.int64)
    kernels.walk_roots(records(segments), segment_bounds, tree.tops, *calls.walk())
    segments = segments[: segment_bounds[-1]]
    shares, share_bounds = _shares_of(calls, tree, self_times_of(spans, tree), segments)
    return CriticalPath(tree.roots, segments, segment_bounds.tolist(), shares, share_bounds.tolist(), calls.excluded)


def segments_of(calls: Calls, row: int) -> list[Segment]:
    """Segments of one span from its end back to its start, the latest first."""
    segments = np.empty(2 * len(calls.table), SEGMENT)
    count = kernels.walk_back(records(segments), 0, row, calls.table["end"][row], *calls.walk())
    return list(map(Segment._make, segments[:count].tolist()))


def calls_of(spans: Skeleton, tree: Tree, tolerance: Fraction, overflow: Overflow) -> Calls:
    """Which children can have held up their parents, and which cannot."""
    table = np.empty(len(spans), CALL)
    # A duration times a share may exceed 64 bits: whole denominators and what is left are taken apart.
    whole, rest = np.divmod(spans.table["duration"], np.uint64(tolerance.denominator))
    numerator = np.uint64(tolerance.numerator)
    table["allowance"] = whole * numerator + rest * numerator // np.uint64(tolerance.denominator)
    children, spare = np.empty((2, len(spans)), np.int32)
    span_ids = np.ascontiguousarray(spans.table["span_id"])
    by_start = np.argsort(spans.table["start"], kind="stable")
    kernels.select_calls(
        records(table), children, spans.records, records(tree.nodes), span_ids, by_start, overflow == "ignore", spare
    )
    return Calls(table, children)


def _shares_of(calls: Calls, tree: Tree, self_times: NDArray[np.uint64], segments: Table) -> tuple[Table, NDArray[np.int64]]:
    """Shares of all roots, each in order of rows, and where those of each root begin, with their end behind the last."""
    count = len(calls.table)
    table = records(calls.table)
    touched, on_path = np.zeros(count, np.bool_), np.zeros(count, np.uint64)
    kernels.touch(touched, on_path, records(segments), table)
    shares = np.empty(count, SHARE)
    root_of, waiting, spare = np.full((3, count), ROOT, np.int32)
    stops, stack = np.empty(count, np.uint64), np.empty(count, kernels.COMPARED)
    kernels.compare_roots(
        records(shares),
        root_of,
        tree.tops,
        touched,
        on_path,
        self_times,
        table,
        calls.children,
        stops,
        records(stack),
        waiting,
        spare,
    )
    compared = np.flatnonzero(root_of != ROOT)
    compared = compared[np.argsort(root_of[compared], kind="stable")]
    bounds = np.searchsorted(root_of[compared], np.arange(len(tree.tops) + 1))
    return shares[compared], bounds
