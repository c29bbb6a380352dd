"""The waterfall of a trace: its spans in drawing order with everything that a bar needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.query.skeleton import Skeleton
from collector.query.tree import Tree
from proto import waterfall_kernels as kernels
from proto.spans import Table, records
from proto.trace_shape import BAR


class Bar(NamedTuple):
    """One row of a waterfall, see `proto.trace_shape.BAR`; times in nanoseconds."""

    row: int
    depth: int
    offset: int
    duration: int
    self_time: int
    descendants: int
    errors_below: int


@dataclass(frozen=True)
class Waterfall:
    """A trace's header and bars, parents before children and siblings by start.

    Attributes:
        root: row of the span that names the trace (`naming_root`).
        start, duration: nanoseconds; the duration is from the earliest start to the latest end.
        depth: number of levels.
        services: number of spans by service, in order of the services' names.
        table: the bars as `proto.trace_shape.BAR`.
    """

    root: int
    start: int
    duration: int
    depth: int
    services: dict[str, int]
    error_count: int
    table: Table

    @cached_property
    def bars(self) -> list[Bar]:
        """The bars one by one, made when they are first asked for."""
        return list(map(Bar._make, self.table.tolist()))


def build_waterfall(spans: Skeleton, tree: Tree) -> Waterfall:
    """The waterfall of a trace with at least one span."""
    table = np.empty(len(spans), BAR)
    below = np.zeros((len(spans), 2), np.int32)
    self_times = self_times_of(spans, tree)
    kernels.draw_bars(records(table), below, spans.records, records(tree.nodes), tree.order, self_times, np.uint64(spans.start))
    counts = np.bincount(spans.table["service"], minlength=len(spans.service_texts)).tolist()
    services = {service: count for service, count in zip(spans.service_texts, counts, strict=True) if count}
    return Waterfall(
        root=naming_root(tree),
        start=spans.start,
        duration=max(spans.end - spans.start, 0),
        depth=tree.depth,
        services=dict(sorted(services.items())),
        error_count=spans.error_count,
        table=table,
    )


def naming_root(tree: Tree) -> int:
    """Row of the span that names the trace: the earliest without a parent id, else the earliest root."""
    return next((row for row in tree.roots if row not in tree.missing_parents), tree.roots[0])


def self_times_of(spans: Skeleton, tree: Tree) -> NDArray[np.uint64]:
    """For each span its duration minus the union of its children's times, each cut to the span; nanoseconds, shape (spans,)."""
    self_times = np.empty(len(spans), np.uint64)
    kernels.find_self_times(self_times, spans.records, records(tree.nodes), tree.below)
    return self_times
