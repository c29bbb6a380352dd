"""The topology of a time range: which nodes called each other how often, how long it took, and what failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from collector import sketch
from collector.calls import BY_USER, NODES, SERVICES, TO_DATABASE
from collector.query.halves import CATCH_UP_S, COLUMNS, calls_of_halves
from collector.query.percentiles import PERCENTILES
from collector.query.rollups import CALLS, Part, in_range, parts, rows_of, whole_minutes
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.schema import table_name

SERVICE: Final = "service"
"""The kind of a node that has spans; others are in NODES."""

OF_WORKSPACE: Final = "Workspace = {workspace:String}"
_SIDES: Final = ("Client", "Server")

Direction = Literal["both", "upstream", "downstream"]
"""Which way calls are followed: to those who are called, downstream, or to those who call."""


@dataclass(slots=True)
class Durations:
    """How long calls took, in nanoseconds, in sketches that can be added up.

    Attributes:
        calls: how many there were, by what each stands for.
        total: of their durations.
        buckets: of `collector.sketch` → calls in it.
    """

    calls: float = 0.0
    total: float = 0.0
    buckets: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, other: Durations) -> None:
        """Count what the other one counts as well."""
        self.calls += other.calls
        self.total += other.total
        for bucket, calls in other.buckets.items():
            self.buckets[bucket] += calls

    @property
    def mean(self) -> float:
        return self.total / self.calls

    @property
    def percentiles(self) -> list[float]:
        """Of PERCENTILES, each less than `sketch.RELATIVE_ERROR` of itself beside the true one."""
        buckets = np.array(sorted(self.buckets), np.int64)
        weights = np.array([self.buckets[bucket] for bucket in buckets.tolist()])
        return [sketch.quantile(buckets, weights, percent / 100) or 0.0 for percent in PERCENTILES]


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


def call_rows(store: SpanStore, found: Sequence[Part], columns: Sequence[str], condition: str) -> str:
    """A SELECT of columns of parts of CALLS, as `rows_of`; what is not settled yet is worked out as it would be by now.

    The parameter `workspace` is the one whose calls they are.
    """
    halves, settled = (table_name(f"otel_topology_{name}", store.spans_table) for name in ("halves", "settled"))
    # Minutes are settled one after the other: what belongs to later ones than the last is not.
    first = f"(SELECT greatest(max(ArrivalMinute) + 60, toStartOfMinute(now()) - {CATCH_UP_S}) FROM {settled})"  # noqa: S608 - as below
    unsettled = calls_of_halves(halves, first, "(toStartOfMinute(now()) + 60)", OF_WORKSPACE)
    selected = f"SELECT rollup.Minute AS Time, {', '.join(columns)} FROM"

    def within(some: Iterable[Part]) -> str:
        return " OR ".join(f"({in_range('rollup.Minute', start, end)})" for _, start, end in some)

    sources = [
        rows_of(store, found, columns, f"{OF_WORKSPACE} AND {condition}"),
        f"{selected} ({unsettled}) AS rollup WHERE ({within(found)}) AND {condition}",
    ]
    # The table of hours has what was settled of them as well.
    of_minutes = [part for part in found if part.rollup is CALLS[-1]]
    if of_minutes:
        sources.append(f"{selected} {settled} AS rollup WHERE ({within(of_minutes)}) AND {OF_WORKSPACE} AND {condition}")
    return " UNION ALL ".join(sources)


def topology_statement(store: SpanStore, *, start: int, end: int, limit: int, workspace: str) -> Statement:
    """The calls in [start, end), nanoseconds, whole minutes; at most `limit` pairs of nodes, those with the most calls."""
    columns = [column for column in COLUMNS if column not in ("Workspace", "ArrivalMinute", "Minute")]
    source = call_rows(store, parts(CALLS, start, end), columns, "true")
    durations = [
        f"sum({side}DurationSum) AS {side}Total, {sketch.MERGE}({side}DurationSketch) AS {side}Sketch,"
        f" mapKeys({side}Sketch) AS {side}Buckets, mapValues({side}Sketch) AS {side}Weights"
        for side in _SIDES
    ]
    returned = [f"{side}{part}" for side in _SIDES for part in ("Total", "Buckets", "Weights")]
    return Statement(
        f"SELECT Client, Server, ConnectionType, Node, Called, Failed, {', '.join(returned)} FROM ("  # noqa: S608 - as above
        f"SELECT Client, Server, ConnectionType, Node, sum(Calls) AS Called, sum(FailedCalls) AS Failed, {', '.join(durations)}"
        f" FROM ({source}) GROUP BY Client, Server, ConnectionType, Node)"
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
    result = await store.fetch(topology_statement(store, start=start, end=end, limit=limit + 1, workspace=workspace))
    found = [_edge(row) for row in result.rows()]
    edges = found[:limit] if service is None else near(found[:limit], Node(service, SERVICE), depth, direction)
    return Topology(start, end, incoming(edges), edges, len(found) <= limit)


def _edge(row: Mapping[str, Any]) -> Edge:
    node = NODES.index(row["Node"])
    client, server = (
        Durations(
            sum(row[f"{side}Weights"]),
            row[f"{side}Total"],
            defaultdict(float, zip(map(int, row[f"{side}Buckets"]), row[f"{side}Weights"], strict=True)),
        )
        for side in _SIDES
    )
    return Edge(
        Node(row["Client"], NODES[BY_USER] if node == BY_USER else SERVICE),
        Node(row["Server"], SERVICE if node in (SERVICES, BY_USER) else NODES[node]),
        row["ConnectionType"],
        row["Called"],
        row["Failed"],
        client,
        server if node in (SERVICES, BY_USER, TO_DATABASE) else Durations(),
    )


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
