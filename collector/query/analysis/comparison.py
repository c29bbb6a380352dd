"""Two traces compared by structure: which calls both have, and how often and how long each made them.

A node stands for all spans of a trace that were called in the same way: by the services and names from the root down, and by
whether they call anything themselves. Nodes of both traces under the same way are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from collector.query.skeleton import Skeleton
from collector.query.store import ERROR
from collector.query.tree import ROOT, Tree
from collector.query.waterfall import self_times_of

LEFT: Final = 0
RIGHT: Final = 1

STATES: Final = ("same", "more", "fewer", "only-left", "only-right")


class Side(NamedTuple):
    """One trace's spans of a node; nanoseconds. `first` is the row of the earliest, ROOT where there is none."""

    spans: int = 0
    errors: int = 0
    total: int = 0
    self_total: int = 0
    first: int = ROOT


class Node(NamedTuple):
    """A way to be called, and what both traces have of it.

    Attributes:
        parent: position of the caller's node in the list, ROOT for a root.
        leaf: whether its spans call nothing.
    """

    parent: int
    depth: int
    service: str
    name: str
    leaf: bool
    left: Side
    right: Side

    @property
    def state(self) -> str:
        """One of `STATES`; `more` and `fewer` say how many spans the right trace has."""
        if not self.right.spans:
            return "only-left"
        if not self.left.spans:
            return "only-right"
        if self.left.spans == self.right.spans:
            return "same"
        return "more" if self.right.spans > self.left.spans else "fewer"


@dataclass(slots=True)
class _Growing:
    """A node while traces are added to it."""

    key: tuple[str, str, bool]
    depth: int
    sides: list[Side]
    children: dict[tuple[str, str, bool], _Growing]


def compare(left: tuple[Skeleton, Tree], right: tuple[Skeleton, Tree]) -> list[Node]:
    """The nodes of both traces in drawing order: parents before children, siblings in the order in which they first appear.

    Cost is linear in the spans of both.
    """
    top = _Growing(("", "", False), -1, [], {})
    for side, (spans, tree) in enumerate((left, right)):
        _add(top, side, spans, tree)
    nodes: list[Node] = []
    stack = [(node, ROOT) for node in reversed(top.children.values())]
    while stack:
        growing, parent = stack.pop()
        stack.extend((child, len(nodes)) for child in reversed(growing.children.values()))
        nodes.append(Node(parent, growing.depth, *growing.key, *growing.sides))
    return nodes


def _add(top: _Growing, side: int, spans: Skeleton, tree: Tree) -> None:
    self_times = self_times_of(spans, tree).tolist()
    node_of: dict[int, _Growing] = {ROOT: top}
    for row, depth in tree.walk():
        caller = node_of[tree.parents[row]]
        key = (spans.services[row], spans.names[row], not tree.children[row])
        node = caller.children.get(key)
        if node is None:
            node = caller.children[key] = _Growing(key, depth, [Side(), Side()], {})
        node_of[row] = node
        found = node.sides[side]
        node.sides[side] = Side(
            found.spans + 1,
            found.errors + (spans.status_codes[row] == ERROR),
            found.total + spans.durations[row],
            found.self_total + self_times[row],
            row if found.first == ROOT else found.first,
        )
