"""Who called whom: the forest of one trace, whatever its spans say.

Parents that never arrived, spans that are their own ancestors, several spans under one id, and chains of any depth all give a
forest in which every span stands exactly once. Nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from collector.query.skeleton import Skeleton

ROOT: Final = -1
"""Parent of a root."""
SERVER: Final = 2
CLIENT: Final = 3


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


@dataclass(frozen=True, slots=True)
class Tree:
    """The forest over rows of a trace.

    Attributes:
        parents: row of each span's parent, ROOT for a root.
        children: rows below each span, by (start, row).
        roots: rows of the roots, in the same order.
        missing_parents: roots whose parent span is not in the trace.
        warnings: by row.
    """

    parents: list[int]
    children: list[list[int]]
    roots: list[int]
    missing_parents: frozenset[int]
    warnings: list[TreeWarning]

    def walk(self) -> Iterator[tuple[int, int]]:
        """(row, depth) of every span, parents before children; a root has depth 0."""
        stack = [(row, 0) for row in reversed(self.roots)]
        while stack:
            row, depth = stack.pop()
            yield row, depth
            if children := self.children[row]:
                stack += [(child, depth + 1) for child in reversed(children)]


def build_tree(spans: Skeleton) -> Tree:
    """The forest of a trace. Cost is n log n for n spans, whatever the depth or the fan-out.

    - A parent is looked up by span id within the trace. Where several spans share that id, `_choose_parent` decides for each
      child. The server half of an id that a client shares becomes a child of the client half.
    - A span whose parent is missing is a root, flagged. A span that names itself is a root.
    - A cycle is broken at its earliest start (ties: the smaller span id, then the lower row), which becomes a root.
    """
    rows_by_id: dict[str, list[int]] = {}
    for row, span_id in enumerate(spans.span_ids):
        if span_id:
            rows_by_id.setdefault(span_id, []).append(row)
    warnings = [
        TreeWarning(row, "ends-before-start", "The span ends before it starts; its duration counts as 0.")
        for row, (start, end) in enumerate(zip(spans.starts, spans.ends, strict=True))
        if end < start
    ]
    have_own_ids = len(rows_by_id) == len(spans)
    parents = [ROOT] * len(spans)
    missing = set()
    for row, (span_id, parent_id) in enumerate(zip(spans.span_ids, spans.parent_span_ids, strict=True)):
        candidates = rows_by_id.get(parent_id)
        if have_own_ids and candidates and parent_id != span_id:
            # As usual.
            parents[row] = candidates[0]
            continue
        client = _client_half(spans, rows_by_id.get(span_id, ()), row)
        if client is not None:
            parents[row] = client
            warnings.append(TreeWarning(row, "shared-span-id", f"Client and server share the span id {span_id}."))
            continue
        if len(rows_by_id.get(span_id, ())) > 1 and spans.kinds[row] != CLIENT:
            warnings.append(TreeWarning(row, "repeated-span-id", f"Another span of the trace has the id {span_id} too."))
        if not parent_id:
            continue
        if parent_id == span_id:
            warnings.append(TreeWarning(row, "own-parent", "The span names itself as its parent; it is shown as a root."))
            continue
        if not candidates:
            missing.add(row)
            warnings.append(TreeWarning(row, "missing-parent", f"The parent span {parent_id} is not in the trace."))
            continue
        parents[row] = candidates[0] if len(candidates) == 1 else _choose_parent(spans, candidates, row)
    warnings += [
        TreeWarning(row, "cycle", "The span is its own ancestor; it is shown as a root.") for row in _break_cycles(spans, parents)
    ]
    # Rows stand by start already, unless somebody has adjusted the times.
    by_time = sorted(range(len(spans)), key=spans.starts.__getitem__)
    children: list[list[int]] = [[] for _ in range(len(spans))]
    roots = []
    for row in by_time:
        if parents[row] == ROOT:
            roots.append(row)
        else:
            children[parents[row]].append(row)
    warnings.sort(key=lambda warning: (warning.row, warning.kind))
    return Tree(parents, children, roots, frozenset(missing), warnings)


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


def _break_cycles(spans: Skeleton, parents: list[int]) -> list[int]:
    """Make one member of each cycle a root, in place; return those members."""
    broken = []
    visit_of = [0] * len(parents)
    for first in range(len(parents)):
        row = first
        while row != ROOT and not visit_of[row]:
            visit_of[row] = first + 1
            row = parents[row]
        if row == ROOT or visit_of[row] != first + 1:
            continue
        cycle = [row]
        while parents[cycle[-1]] != row:
            cycle.append(parents[cycle[-1]])
        earliest = min(cycle, key=lambda member: (spans.starts[member], spans.span_ids[member], member))
        parents[earliest] = ROOT
        broken.append(earliest)
    return broken
