"""What was counted of calls between services, for Prometheus, under the names of the Collector's connector `servicegraph`.

Halves of calls that come apart wait for each other in memory, for a bounded time and in bounded number, as they do there. Counts
are of the calls that each call stands for, so they need not be whole numbers. They begin at the daemon's start; what is to last
is in ClickHouse, where halves wait for longer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.calls import (
    BY_USER,
    CONNECTIONS,
    DIRECT,
    EDGE,
    MESSAGING,
    SERVICES,
    TO_DATABASE,
    TO_EXTERNAL,
    TO_MESSAGING,
    VIRTUAL,
    CallsOfBatch,
)
from collector.series_bound import OVERFLOW, SeriesBound
from proto.call_kernels import CALLEE, CALLER, CLIENT, CONSUMER, PRODUCER, SERVER
from proto.span_table import SpanTable
from proto.spans import ABSENT, Table

_PREFIX: Final = "traces_service_graph"
_LABELS: Final = ("workspace", "client", "server", "connection_type")
_NS: Final = 1_000_000_000

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """How calls are counted.

    Attributes:
        bounds_ns: upper bounds of the histograms' buckets, rising, in nanoseconds.
        max_series: pairs of nodes that are told apart.
        max_halves: halves that wait at most.
        ttl_s: for so many seconds each.
    """

    bounds_ns: tuple[int, ...]
    max_series: int
    max_halves: int
    ttl_s: float


@dataclass(frozen=True, slots=True)
class CallMeasures:
    """What a processor has found in a batch; `settings` are the same for all its batches."""

    settings: GraphSettings
    calls: CallsOfBatch


class _Series:
    """Calls between two nodes: how many, how many failed, and their durations in buckets, as both sides saw them; and halves of
    calls whose other side did not come, or that there was no room for."""

    __slots__ = ("calls", "client", "client_ns", "dropped", "failed", "server", "server_ns", "unpaired")

    def __init__(self, buckets: int) -> None:
        self.calls = self.failed = self.client_ns = self.server_ns = self.unpaired = self.dropped = 0.0
        self.client, self.server = np.zeros((2, buckets))


class _Nodes:
    """Numbers of nodes, which are names in workspaces; `names` has them by their numbers."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, node: tuple[str, str]) -> int:
        number = self._numbers.get(node)
        if number is None:
            if self._free:
                number = self._free.pop()
                self.names[number] = node
            else:
                number = len(self.names)
                self.names.append(node)
            self._numbers[node] = number
        return number

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget all other nodes; their numbers are given to new ones."""
        kept = {self.names[number]: number for number in numbers}
        self._free += [number for node, number in self._numbers.items() if node not in kept]
        self._numbers = kept


class ServiceGraph(Collector):
    """The series of one daemon; of use from the event loop's thread alone.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._begin(GraphSettings((), 0, 1, 0.0))

    def _begin(self, settings: GraphSettings) -> None:
        self._settings = settings
        self._bounds = np.array(settings.bounds_ns, np.uint64)
        self._table = SpanTable(settings.max_halves)
        self._nodes = _Nodes()
        self._series: dict[Key, _Series] = {}
        self._apart, self._together = SeriesBound(settings.max_series), SeriesBound(settings.max_series)

    def add(self, measures: CallMeasures) -> None:
        """Count what was found in a batch. Other settings begin anew."""
        if measures.settings != self._settings:
            self._begin(measures.settings)
        calls = measures.calls
        edges, halves = calls.edges.copy(), calls.halves.copy()
        edges["client"] = self._numbered(calls, calls.edges["client"], edges["workspace"])
        edges["server"] = self._numbered(calls, calls.edges["server"], edges["workspace"])
        halves["service"] = self._numbered(calls, calls.halves["service"], calls.half_workspaces)
        halves["peer"] = self._numbered(calls, calls.halves["peer"], calls.half_workspaces)
        halves["key"] ^= np.array([_salt(workspace) for workspace in calls.workspaces])[calls.half_workspaces]
        self._expire()
        callers, callees, evicted = self._table.add(halves, self._monotonic())
        self._count(np.concatenate([edges, _met(callers, callees)]))
        self._count_missing(evicted, "dropped")
        if len(self._nodes) > 4 * self._settings.max_halves:
            self._nodes.keep(self._table.services_and_peers().tolist())

    def _numbered(self, calls: CallsOfBatch, codes: NDArray[Any], workspaces: NDArray[Any]) -> NDArray[np.int32]:
        """Numbers of nodes that are given by their places among the names and workspaces of a batch; ABSENT stays."""
        names = len(calls.names)
        # One place more, for what is not there.
        is_used = np.zeros(len(calls.workspaces) * names + 1, np.bool_)
        places = np.where(codes == ABSENT, len(is_used) - 1, workspaces * names + codes)
        is_used[places] = True
        numbers = np.full(len(is_used), ABSENT, np.int32)
        used = np.flatnonzero(is_used[:-1])
        nodes = ((calls.workspaces[place // names], calls.names[place % names]) for place in used.tolist())
        numbers[used] = [self._nodes.number(node) for node in nodes]
        return numbers[places]

    def _expire(self) -> None:
        """What waits no longer: callers that say whom they called have called it; of others the other side is missing."""
        halves = self._table.expire(self._monotonic() - self._settings.ttl_s)
        names_peer = (halves["side"] == CALLER) & (halves["peer"] != ABSENT)
        self._count(_met_nobody(halves[names_peer]))
        self._count_missing(halves[~names_peer], "unpaired")

    def _count(self, edges: Table) -> None:
        """Add calls, whose nodes are numbers, to their series."""
        if not len(edges):
            return
        node = edges["node"]
        places = (edges["client"] * np.int64(len(self._nodes.names)) + edges["server"]) * len(CONNECTIONS) + edges["connection"]
        _, first, group = np.unique(places, return_index=True, return_inverse=True)
        count, buckets = len(first), len(self._bounds) + 1
        weight = edges["weight"]
        totals = [np.bincount(group, weights, minlength=count).tolist() for weights in (weight, weight * edges["failed"])]
        by_bucket = []
        for side, has_span in (("client", node != BY_USER), ("server", (node <= BY_USER) | (node == TO_DATABASE))):
            durations, weights = edges[f"{side}_duration"], weight * has_span
            places = group * buckets + np.searchsorted(self._bounds, durations)
            totals.append(np.bincount(group, weights * durations, minlength=count).tolist())
            by_bucket.append(np.bincount(places, weights, minlength=count * buckets).reshape(count, buckets))
        for row, edge in enumerate(edges[["client", "server", "connection"]][first].tolist()):
            series = self._series_of(*edge)
            series.calls += totals[0][row]
            series.failed += totals[1][row]
            series.client_ns += totals[2][row]
            series.server_ns += totals[3][row]
            series.client += by_bucket[0][row]
            series.server += by_bucket[1][row]

    def _count_missing(self, halves: Table, outcome: Literal["unpaired", "dropped"]) -> None:
        """Count halves that should have met somebody: servers and consumers with a parent, clients and producers."""
        calls_out = (halves["side"] == CALLER) & ((halves["kind"] == CLIENT) | (halves["kind"] == PRODUCER))
        called = (halves["side"] == CALLEE) & ((halves["kind"] == SERVER) | (halves["kind"] == CONSUMER))
        for mask, names in ((calls_out, ("service", None)), (called, (None, "service"))):
            numbers, counts = np.unique(halves["service"][mask], return_counts=True)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                client, server = (ABSENT if name is None else number for name in names)
                series = self._series_of(client, server, DIRECT)
                setattr(series, outcome, getattr(series, outcome) + count)

    def _series_of(self, client: int, server: int, connection: int) -> _Series:
        """Where calls between two nodes are counted: under their names as long as there is room."""
        names = self._nodes.names
        workspace = names[max(client, server)][0]
        ends = ("" if number == ABSENT else names[number][1] for number in (client, server))
        key = (workspace, *ends, CONNECTIONS[connection])
        if not self._apart.admit(key):
            key = (workspace, OVERFLOW, OVERFLOW, "")
            if not self._together.admit(key):
                key = ("", OVERFLOW, OVERFLOW, "")
        if key not in self._series:
            self._series[key] = _Series(len(self._bounds) + 1)
        return self._series[key]

    def collect(self) -> Iterable[Metric]:
        """All series in Prometheus' classes; nothing where no calls are looked for."""
        if not self._settings.bounds_ns:
            return []
        self._expire()
        counters = {
            name: CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=_LABELS)
            for name, text in (
                ("request", "Calls between nodes, and those that sampling has dropped."),
                ("request_failed", "Those of which one side failed."),
                ("unpaired_spans", "Spans of calls whose other side did not come in time; one label says which side came."),
                ("dropped_spans", "Spans of calls that could not wait for the other side, as too many waited."),
            )
        }
        histograms = [
            HistogramMetricFamily(f"{_PREFIX}_request_{side}_seconds", f"Durations of calls as {side}s saw them.", labels=_LABELS)
            for side in ("client", "server")
        ]
        bounds = [*(f"{bound / _NS:g}" for bound in self._settings.bounds_ns), "+Inf"]
        for key, series in self._series.items():
            amounts = (series.calls, series.failed, series.unpaired, series.dropped)
            for family, amount in zip(counters.values(), amounts, strict=True):
                if amount or family is counters["request"]:
                    family.add_metric(key, amount)
            for histogram, buckets, total_ns in zip(
                histograms, (series.client, series.server), (series.client_ns, series.server_ns), strict=True
            ):
                histogram.add_metric(key, list(zip(bounds, np.cumsum(buckets).tolist(), strict=True)), total_ns / _NS)
        return [*counters.values(), *histograms]


def _met(callers: Table, callees: Table) -> Table:
    """Calls of which both sides came."""
    edges = np.zeros(len(callees), EDGE)
    messaging = (callers["kind"] == PRODUCER) | (callees["kind"] == CONSUMER)
    edges["client"], edges["server"] = callers["service"], callees["service"]
    edges["client_duration"], edges["server_duration"] = callers["duration"], callees["duration"]
    edges["weight"] = np.maximum(callers["weight"], callees["weight"])
    edges["failed"] = callers["failed"] | callees["failed"]
    edges["connection"] = np.where(messaging, MESSAGING, DIRECT)
    edges["node"] = SERVICES
    return edges


def _met_nobody(callers: Table) -> Table:
    """Calls to what has no spans."""
    edges = np.zeros(len(callers), EDGE)
    edges["client"], edges["server"] = callers["service"], callers["peer"]
    edges["client_duration"] = callers["duration"]
    edges["weight"] = callers["weight"]
    edges["failed"] = callers["failed"]
    edges["connection"] = VIRTUAL
    edges["node"] = np.where(callers["kind"] == PRODUCER, TO_MESSAGING, TO_EXTERNAL)
    return edges


def _salt(workspace: str) -> np.uint64:
    """What keeps spans of workspaces apart that have the same ids."""
    return np.uint64(int.from_bytes(hashlib.blake2b(workspace.encode(), digest_size=8).digest(), "little"))
