"""What differs between the topologies of two time ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from collector.query.topology import Edge, Incoming, Node, Topology

State = Literal["added", "removed", "kept"]
STATES: Final[tuple[State, ...]] = ("added", "removed", "kept")

Key = TypeVar("Key")
Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Difference(Generic[Key, Facts]):
    """A node or an edge, and what is known of it in both ranges; None in one where it is not."""

    key: Key
    current: Facts | None
    other: Facts | None

    @property
    def state(self) -> State:
        if self.other is None:
            return "added"
        return "removed" if self.current is None else "kept"


EdgeKey = tuple[Node, Node, str]
"""Client, server and type of connection."""


def nodes(current: Topology, other: Topology) -> list[Difference[Node, Incoming]]:
    """The nodes of two topologies, those of the first in their order before those that only the other one has."""
    return list(_both(current.nodes, other.nodes))


def edges(current: Topology, other: Topology) -> list[Difference[EdgeKey, Edge]]:
    """The edges of two topologies, in the same order."""
    return list(_both(_by_key(current.edges), _by_key(other.edges)))


def _by_key(found: Sequence[Edge]) -> dict[EdgeKey, Edge]:
    return {(edge.client, edge.server, edge.connection_type): edge for edge in found}


def _both(current: Mapping[Key, Facts], other: Mapping[Key, Facts]) -> Iterator[Difference[Key, Facts]]:
    for key in (*current, *(key for key in other if key not in current)):
        yield Difference(key, current.get(key), other.get(key))
