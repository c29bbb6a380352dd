"""The topology of a time range: which nodes called each other how often, how long it took, and what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.calls import BY_USER, NODES, SERVICES, TO_DATABASE
from collector.grouped_sketches import GroupedSketches
from collector.memory import collector_paused
from collector.query.call_rows import call_rows, fetch_calls
from collector.query.native_values import array_of, sketches_of, strings_of
from collector.query.percentiles import PERCENTILES
from collector.query.rollups import CALLS, parts, whole_minutes
from collector.query.store import SpanStore, Statement
from collector.sketch import MERGE, totals
from exporters.clickhouse.wire import parse_blocks
from proto.native_decode import Column

SERVICE: Final = "service"
"""The kind of a node that has spans; others are in NODES."""

_SIDES: Final = ("Client", "Server")

Direction = Literal["both", "upstream", "downstream"]
"""Which way calls are followed: to those who are called, downstream, or to those who call."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long calls took, in nanoseconds.

    Attributes:
        calls: how many there were, by what each stands for.
        total: of their durations.
        percentiles: of PERCENTILES, each less than `collector.sketch.RELATIVE_ERROR` of itself beside the true one.
    """

    calls: float = 0.0
    total: float = 0.0
    percentiles: Sequence[float] = (0.0,) * len(PERCENTILES)

    @property
    def mean(self) -> float:
        return self.total / self.calls


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its name, and `service` or what stands in NODES for it."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one node to another; durations of a side that has no spans count nothing."""

    client: Node
    server: Node
    connection_type: str
    calls: float
    failed: float
    client_durations: Durations
    server_durations: Durations


@dataclass(frozen=True, slots=True)
class Incoming:
    """Calls to a node, and how long they took: for it, or for its clients where it has no spans."""

    calls: float = 0.0
    failed: float = 0.0
    durations: Durations = Durations()


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes and the calls between them.

    Attributes:
        start, end: nanoseconds since 1970, of whole minutes.
        nodes: and the calls to each of them.
        edges: those with the most calls first.
        complete: whether there were no more edges than could be looked at.
    """

    start: int
    end: int
    nodes: Mapping[Node, Incoming]
    edges: Sequence[Edge]
    complete: bool


def topology_statement(store: SpanStore, *, start: int, end: int, limit: int, workspace: str, is_settled: bool) -> Statement:
    """The calls in [start, end), nanoseconds, whole minutes; at most `limit` pairs of nodes, those with the most calls.

    Args:
        is_settled: as `find_is_settled` says.
    """
    columns = ["Client", "Server", "ConnectionType", "Node", "Calls", "FailedCalls"]
    columns += [f"{side}Duration{part}" for side in _SIDES for part in ("Sum", "Sketch")]
    source = call_rows(store, parts(CALLS, start, end), columns, "true", is_settled=is_settled)
    durations = [f"sum({side}DurationSum) AS {side}Total, {MERGE}({side}DurationSketch) AS {side}Sketch" for side in _SIDES]
    return Statement(
        f"SELECT Client, Server, ConnectionType, Node, sum(Calls) AS Called, sum(FailedCalls) AS Failed, {', '.join(durations)}"  # noqa: S608 - as above
        f" FROM ({source}) GROUP BY Client, Server, ConnectionType, Node"
        " ORDER BY Called DESC, Client, Server, ConnectionType, Node LIMIT {limit:UInt64}",
        {"limit": limit, "workspace": workspace},
    )


async def find_topology(
    store: SpanStore,
    *,
    start: int,
    end: int,
    service: str | None = None,
    depth: int = 1,
    direction: Direction = "both",
    limit: int = 1_000,
    workspace: str,
) -> Topology:
    """The topology of the minutes that [start, end), nanoseconds, touches.

    Args:
        service: only edges on ways of at most `depth` calls that end or begin there, as `direction` says; all edges when None.
        limit: so many edges are looked at, those with the most calls.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    start, end = whole_minutes(start, end)

    def statement(is_settled: bool) -> Statement:
        return topology_statement(store, start=start, end=end, limit=limit + 1, workspace=workspace, is_settled=is_settled)

    answer = await fetch_calls(store, store.fetch_native, statement, start, end, workspace)

    def topology() -> Topology:
        with collector_paused():
            found = _Calls.of(parse_blocks(answer))
            first = found.edges[:limit]
            chosen = range(len(first)) if service is None else near(first, Node(service, SERVICE), depth, direction)
            edges = [first[number] for number in chosen]
            return Topology(start, end, found.incoming(chosen), edges, len(first) == len(found.edges))

    return await asyncio.to_thread(topology)


class _Side(NamedTuple):
    """How long the calls of each edge took on one side: together, nanoseconds, float64, shape (edges,), and their sketches."""

    sums: NDArray[np.float64]
    sketches: GroupedSketches

    @property
    def calls(self) -> NDArray[np.float64]:
        """How many are told of, float64, shape (edges,)."""
        return totals(self.sketches.groups, self.sketches.weights, self.sketches.count)

    def durations(self) -> list[Durations]:
        """Those of each edge."""
        percentiles = self.sketches.quantiles([percent / 100 for percent in PERCENTILES])
        rows = zip(self.calls.tolist(), self.sums.tolist(), percentiles.tolist(), strict=True)
        return [Durations(*row) if row[0] else Durations() for row in rows]


class _Calls(NamedTuple):
    """All edges, and what is added up of them for nodes: calls, those that failed, and durations."""

    edges: Sequence[Edge]
    called: NDArray[np.float64]
    failed: NDArray[np.float64]
    client: _Side
    server: _Side

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> _Calls:
        """Those of an answer to `topology_statement`."""
        if not columns:
            none = np.zeros(0)
            return cls([], none, none, _Side(none, GroupedSketches.none()), _Side(none, GroupedSketches.none()))
        nodes = [NODES.index(node) for node in strings_of(columns["Node"])]
        client, server = (_Side(array_of(columns[f"{side}Total"]), sketches_of(columns[f"{side}Sketch"])) for side in _SIDES)
        has_server = np.isin(nodes, (SERVICES, BY_USER, TO_DATABASE))
        server = server._replace(sketches=server.sketches.chosen(has_server))
        called, failed = (array_of(columns[name]) for name in ("Called", "Failed"))
        names = (strings_of(columns[name]) for name in ("Client", "Server", "ConnectionType"))
        rows = zip(nodes, *names, called.tolist(), failed.tolist(), client.durations(), server.durations(), strict=True)
        return cls([_edge(*row) for row in rows], called, failed, client, server)

    def incoming(self, chosen: Sequence[int]) -> dict[Node, Incoming]:
        """Every node of some of the edges, and the calls to it."""
        places: dict[Node, int] = {}
        for number in chosen:
            for node in (self.edges[number].client, self.edges[number].server):
                places.setdefault(node, len(places))
        numbers = np.array(chosen, np.int64)
        into = np.zeros(len(self.edges), np.int64)
        into[numbers] = [places[self.edges[number].server] for number in chosen]
        is_chosen = np.zeros(len(self.edges), np.bool_)
        is_chosen[numbers] = True
        by_server = self.server.calls > 0
        told = self.server.sketches.chosen(is_chosen & by_server).joined(self.client.sketches.chosen(is_chosen & ~by_server))
        called, failed, sums = (
            totals(into[numbers], values[numbers], len(places))
            for values in (self.called, self.failed, np.where(by_server, self.server.sums, self.client.sums))
        )
        durations = _Side(sums, told.regrouped(into, len(places))).durations()
        return dict(zip(places, map(Incoming, called.tolist(), failed.tolist(), durations), strict=True))


def _edge(
    node: int,
    client: str,
    server: str,
    connection_type: str,
    calls: float,
    failed: float,
    client_durations: Durations,
    server_durations: Durations,
) -> Edge:
    return Edge(
        Node(client, NODES[BY_USER] if node == BY_USER else SERVICE),
        Node(server, SERVICE if node in (SERVICES, BY_USER) else NODES[node]),
        connection_type,
        calls,
        failed,
        client_durations,
        server_durations,
    )


def near(edges: Sequence[Edge], node: Node, depth: int, direction: Direction = "both") -> list[int]:
    """Which edges are on ways of at most so many calls that begin at a node, downstream, or end there, upstream; rising."""
    chosen: set[int] = set()
    ways = {"downstream": ("client", "server"), "upstream": ("server", "client")}
    for here, there in ways.values() if direction == "both" else [ways[direction]]:
        reached, fringe = {node}, {node}
        for _ in range(depth):
            steps = [number for number, edge in enumerate(edges) if getattr(edge, here) in fringe]
            chosen.update(steps)
            fringe = {getattr(edges[number], there) for number in steps} - reached
            reached |= fringe
    return sorted(chosen)
