"""The topology of a time range: which nodes called each other how often, how long it took, and what failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from collector import sketch
from collector.calls import BY_USER, NODES, SERVICES, TO_DATABASE
from collector.query.call_rows import call_rows, fetch_calls
from collector.query.halves import COLUMNS
from collector.query.percentiles import PERCENTILES
from collector.query.rollups import CALLS, parts, whole_minutes
from collector.query.store import SpanStore, Statement

SERVICE: Final = "service"
"""The kind of a node that has spans; others are in NODES."""

_SIDES: Final = ("Client", "Server")

Direction = Literal["both", "upstream", "downstream"]
"""Which way calls are followed: to those who are called, downstream, or to those who call."""


@dataclass(slots=True)
class Durations:
    """How long calls took, in nanoseconds, in sketches that can be added up.

    Attributes:
        calls: how many there were, by what each stands for.
        total: of their durations.
        sketches: buckets of `collector.sketch` in rising order, and the calls in each. They are added up when percentiles are
            asked for: most nodes are called by one other.
    """

    calls: float = 0.0
    total: float = 0.0
    sketches: list[tuple[Sequence[int], Sequence[float]]] = field(default_factory=list)

    def add(self, other: Durations) -> None:
        """Count what the other one counts as well."""
        self.calls += other.calls
        self.total += other.total
        self.sketches += other.sketches

    @property
    def mean(self) -> float:
        return self.total / self.calls

    @property
    def percentiles(self) -> list[float]:
        """Of PERCENTILES, each less than `sketch.RELATIVE_ERROR` of itself beside the true one."""
        buckets, weights = self.sketches[0] if len(self.sketches) == 1 else self._added_up()
        return sketch.quantiles(buckets, weights, [percent / 100 for percent in PERCENTILES]) or [0.0] * len(PERCENTILES)

    def _added_up(self) -> tuple[Sequence[int], Sequence[float]]:
        calls: defaultdict[int, float] = defaultdict(float)
        for sketched in self.sketches:
            for bucket, weight in zip(*sketched, strict=True):
                calls[bucket] += weight
        buckets = sorted(calls)
        return buckets, [calls[bucket] for bucket in buckets]


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


@dataclass(slots=True)
class Incoming:
    """Calls to a node, and how long they took: for it, or for its clients where it has no spans."""

    calls: float = 0.0
    failed: float = 0.0
    durations: Durations = field(default_factory=Durations)


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
    columns = [column for column in COLUMNS if column not in ("Workspace", "ArrivalMinute", "Minute")]
    source = call_rows(store, parts(CALLS, start, end), columns, "true", is_settled=is_settled)
    durations = [
        # Merged as two arrays, not as a map: a quarter less time for all of the statement.
        f"sum({side}DurationSum) AS {side}Total,"
        f" {sketch.MERGE}(mapKeys({side}DurationSketch), mapValues({side}DurationSketch)) AS {side}Sketch"
        for side in _SIDES
    ]
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

    result = await fetch_calls(store, statement, start, end, workspace)
    found = [_edge(row) for row in result.rows()]
    edges = found[:limit] if service is None else near(found[:limit], Node(service, SERVICE), depth, direction)
    return Topology(start, end, incoming(edges), edges, len(found) <= limit)


def _edge(row: Mapping[str, Any]) -> Edge:
    node = NODES.index(row["Node"])
    client, server = (_durations(row[f"{side}Total"], *row[f"{side}Sketch"]) for side in _SIDES)
    return Edge(
        Node(row["Client"], NODES[BY_USER] if node == BY_USER else SERVICE),
        Node(row["Server"], SERVICE if node in (SERVICES, BY_USER) else NODES[node]),
        row["ConnectionType"],
        row["Called"],
        row["Failed"],
        client,
        server if node in (SERVICES, BY_USER, TO_DATABASE) else Durations(),
    )


def _durations(total: float, buckets: Sequence[int], weights: Sequence[float]) -> Durations:
    return Durations(sum(weights), total, [(buckets, weights)])


def incoming(edges: Iterable[Edge]) -> dict[Node, Incoming]:
    """Every node of these edges, and the calls to it."""
    nodes: dict[Node, Incoming] = {}
    for edge in edges:
        nodes.setdefault(edge.client, Incoming())
        into = nodes.setdefault(edge.server, Incoming())
        into.calls += edge.calls
        into.failed += edge.failed
        into.durations.add(edge.server_durations if edge.server_durations.calls else edge.client_durations)
    return nodes


def near(edges: Sequence[Edge], node: Node, depth: int, direction: Direction = "both") -> list[Edge]:
    """The edges on ways of at most so many calls that begin at a node, downstream, or end there, upstream; in their order."""
    chosen: set[int] = set()
    ways = {"downstream": ("client", "server"), "upstream": ("server", "client")}
    for here, there in ways.values() if direction == "both" else [ways[direction]]:
        reached, fringe = {node}, {node}
        for _ in range(depth):
            steps = [number for number, edge in enumerate(edges) if getattr(edge, here) in fringe]
            chosen.update(steps)
            fringe = {getattr(edges[number], there) for number in steps} - reached
            reached |= fringe
    return [edges[number] for number in sorted(chosen)]
