"""Who called whom: the forest of one trace, whatever its spans say.

Parents that never arrived, spans that are their own ancestors, several spans under one id, and chains of any depth all give a
forest in which every span stands exactly once. Nothing here recurses.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.skeleton import Skeleton
from proto import trace_tree_kernels as kernels
from proto.call_kernels import CLIENT, SERVER
from proto.spans import ABSENT, Table, records
from proto.trace_shape import NODE, ROOT

__all__ = ["CLIENT", "ROOT", "SERVER", "Tree", "TreeWarning", "build_tree"]

_SEED: Final = np.uint64(secrets.randbits(64))
"""Ids that were chosen to fall into one place of a table must not make it slow."""


@dataclass(frozen=True, slots=True)
class TreeWarning:
    """Something that a reader of the trace should know about one of its spans.

    Attributes:
        row: of the span.
        kind: `missing-parent`, `own-parent`, `cycle`, `shared-span-id`, `repeated-span-id` or `ends-before-start`.
        text: a sentence.
    """

    row: int
    kind: str
    text: str


@dataclass(frozen=True)
class Tree:
    """The forest over rows of a trace.

    Whole traces are worked on in `nodes` and the arrays; the lists are for what goes from span to span, and are made when they
    are first asked for.

    Attributes:
        nodes: by row, see `proto.trace_shape.NODE`.
        below: rows below each span, by (start, row): a run for each node.
        tops: rows of the roots, in the same order.
        order: all rows as they are drawn, parents before children and siblings by start.
        missing_parents: roots whose parent span is not in the trace.
        warnings: by row.
    """

    nodes: Table
    below: NDArray[np.int32]
    tops: NDArray[np.int32]
    order: NDArray[np.int32]
    missing_parents: frozenset[int]
    warnings: list[TreeWarning]

    @cached_property
    def parents(self) -> list[int]:
        """Row of each span's parent, ROOT for a root."""
        parents: list[int] = self.nodes["parent"].tolist()
        return parents

    @cached_property
    def children(self) -> list[list[int]]:
        """Rows below each span, by (start, row)."""
        rows = self.below.tolist()
        starts, counts = self.nodes["children_start"].tolist(), self.nodes["children_count"].tolist()
        return [rows[start : start + count] for start, count in zip(starts, counts, strict=True)]

    @cached_property
    def roots(self) -> list[int]:
        """Rows of the roots, by (start, row)."""
        roots: list[int] = self.tops.tolist()
        return roots

    @property
    def depth(self) -> int:
        """Number of levels of a forest that has any."""
        return 1 + int(self.nodes["depth"].max())

    def walk(self) -> Iterator[tuple[int, int]]:
        """(row, depth) of every span, parents before children; a root has depth 0."""
        return zip(self.order.tolist(), self.nodes["depth"][self.order].tolist(), strict=True)


def build_tree(spans: Skeleton) -> Tree:
    """The forest of a trace. Cost is n log n for n spans, whatever the depth or the fan-out.

    - A parent is looked up by span id within the trace. Where several spans share that id, `_choose_parent` decides for each
      child. The server half of an id that a client shares becomes a child of the client half.
    - A span whose parent is missing is a root, flagged. A span that names itself is a root.
    - A cycle is broken at its earliest start (ties: the smaller span id, then the lower row), which becomes a root.
    """
    count = len(spans)
    nodes = np.zeros(count, NODE)
    starts, span_ids, parent_ids = (
        np.ascontiguousarray(spans.table[column]) for column in ("start", "span_id", "parent_span_id")
    )
    marks = np.zeros(count, np.uint8)
    slots = np.full(1 << (2 * count + 1).bit_length(), ABSENT, np.int32)
    unusual = kernels.link_parents(records(nodes), marks, span_ids, parent_ids, slots, _SEED)
    warnings = [
        TreeWarning(row, "ends-before-start", "The span ends before it starts; its duration counts as 0.")
        for row in np.flatnonzero(spans.table["end"] < starts).tolist()
    ]
    missing = _look_at(spans, nodes, marks, warnings) if unusual else frozenset[int]()
    broken, below, tops, order = np.zeros((4, count), np.int32)
    cycles = kernels.break_cycles(records(nodes), starts, span_ids, np.zeros(count, np.int32), broken)
    warnings += [
        TreeWarning(row, "cycle", "The span is its own ancestor; it is shown as a root.") for row in broken[:cycles].tolist()
    ]
    # Rows stand by start already, unless somebody has adjusted the times.
    by_start = np.argsort(starts, kind="stable")
    root_count = kernels.grow(records(nodes), by_start, below, tops, order, np.empty(count, np.int32))
    warnings.sort(key=lambda warning: (warning.row, warning.kind))
    return Tree(nodes, below, tops[:root_count], order, missing, warnings)


def _look_at(spans: Skeleton, nodes: Table, marks: NDArray[np.uint8], warnings: list[TreeWarning]) -> frozenset[int]:
    """Set right the parents of spans that are unusual, say what is, and return those whose parent is missing."""
    rows_by_id: dict[int, list[int]] = {}
    span_ids = spans.table["span_id"]
    shared = np.flatnonzero(marks & kernels.SHARED)
    for row, span_id in zip(shared.tolist(), span_ids[shared].tolist(), strict=True):
        rows_by_id.setdefault(span_id, []).append(row)
    missing = set()
    rows = np.flatnonzero(marks)
    columns = (rows, marks[rows], span_ids[rows], spans.table["parent_span_id"][rows])
    for row, mark, span_id, parent_id in zip(*(column.tolist() for column in columns), strict=True):
        sharers = rows_by_id.get(span_id, ())
        client = _client_half(spans, sharers, row)
        if client is not None:
            nodes["parent"][row] = client
            warnings.append(TreeWarning(row, "shared-span-id", f"Client and server share the span id {spans.id_text(span_id)}."))
            continue
        if sharers and spans.kinds[row] != CLIENT:
            text = f"Another span of the trace has the id {spans.id_text(span_id)} too."
            warnings.append(TreeWarning(row, "repeated-span-id", text))
        if mark & kernels.OWN_PARENT:
            warnings.append(TreeWarning(row, "own-parent", "The span names itself as its parent; it is shown as a root."))
        elif mark & kernels.MISSING_PARENT:
            missing.add(row)
            text = f"The parent span {spans.id_text(parent_id)} is not in the trace."
            warnings.append(TreeWarning(row, "missing-parent", text))
        elif mark & kernels.AMBIGUOUS_PARENT:
            nodes["parent"][row] = _choose_parent(spans, rows_by_id[parent_id], row)
    return frozenset(missing)


def _client_half(spans: Skeleton, sharers: Sequence[int], row: int) -> int | None:
    """The client span that a server span shares its id with, as in Zipkin's model; None when there is none."""
    if spans.kinds[row] != SERVER or len(sharers) < 2:
        return None
    clients = [other for other in sharers if spans.kinds[other] == CLIENT]
    return min(clients, key=lambda other: _distance(spans, other, row)) if clients else None


def _choose_parent(spans: Skeleton, candidates: Sequence[int], child: int) -> int:
    """Of several spans under the child's parent id: the one of the child's own process, else the one that lasts around it,
    else the server."""
    return min(
        candidates,
        key=lambda row: (
            spans.processes[row] != spans.processes[child],
            spans.services[row] != spans.services[child],
            *_distance(spans, row, child),
        ),
    )


def _distance(spans: Skeleton, row: int, child: int) -> tuple[bool, bool, int, int]:
    contains = spans.starts[row] <= spans.starts[child] and spans.ends[child] <= spans.ends[row]
    return not contains, spans.kinds[row] != SERVER, spans.starts[row], row
