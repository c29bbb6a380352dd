"""The calls between services that the spans of a piece tell of, and the halves of calls whose other side is not in the piece.

The rule of calls is that of `proto.span_table.find_callers`: a span was called if its parent is of another service. Besides:

- A consumer that links to a producer of another service, which is not its parent, was called by it.
- A client that names a database has called it; nothing more is expected to tell of that call.
- A server without a parent was called by the user, as was a consumer without parent and links.
- Any other client or producer that names what it called, and of which nothing is heard for a while, has called something that
  has no spans. Whether that is so cannot be said from a piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.calls import (
    BY_USER,
    DATABASE,
    DIRECT,
    EDGE,
    MESSAGING,
    SERVICES,
    TO_DATABASE,
    USER,
    VIRTUAL,
    CallsOfBatch,
)
from collector.processors.topology.peers import PeerAttributes, Peers, service_codes
from proto.adjusted_count import adjusted_counts
from proto.call_kernels import CALLEE, CALLER, CONSUMER, INTERNAL, LINKED, PRODUCER, SERVER, UNSPECIFIED
from proto.edit import Mask
from proto.span_table import HALF, Calls, find_callers, look_up, span_keys
from proto.spans import ABSENT, SpanBatch, Table, take

_SALT: Final = np.uint64(0x9E3779B97F4A7C15)
_FAILED: Final = 2


def find_calls(batch: SpanBatch, attributes: PeerAttributes) -> CallsOfBatch:
    """The calls that a batch tells of; the same however its spans are ordered."""
    if not len(batch):
        return CallsOfBatch([], np.empty(0, EDGE), np.empty(0, HALF), np.empty(0, np.int32), batch.workspaces)
    spans = _Columns(batch, attributes)
    keys, parent_keys = spans.keys("span_id"), spans.keys("parent_span_id")
    salt = spans.workspace.astype(np.uint64) * _SALT
    calls = find_callers(keys ^ salt, parent_keys ^ np.where(parent_keys, salt, 0), spans.service, spans.kind, spans.is_database)
    links = _links(batch, spans, keys ^ salt, parent_keys, salt, calls)
    calls.matched[links.callers] = True
    edges = [
        spans.called(calls.callers[callees := np.flatnonzero(calls.callers != ABSENT)], callees),
        spans.called(links.callers, links.callees),
        spans.of_databases(),
        spans.by_users(parent_keys == 0),
    ]
    has_service = spans.service != ABSENT
    callers = np.flatnonzero((spans.kind != INTERNAL) & ~spans.is_database & has_service)
    orphans = np.flatnonzero((parent_keys != 0) & (calls.parents == ABSENT) & has_service)
    halves = [
        spans.halves(callers, keys[callers], CALLER, calls.matched[callers]),
        spans.halves(orphans, parent_keys[orphans], CALLEE),
        spans.halves(links.orphans, links.keys, LINKED),
    ]
    workspaces = spans.workspace[np.concatenate([callers, orphans, links.orphans])]
    return CallsOfBatch(spans.names, np.concatenate(edges), np.concatenate(halves), workspaces, batch.workspaces)


class _Columns:
    """What is asked of the spans of a batch; shapes (spans,)."""

    def __init__(self, batch: SpanBatch, attributes: PeerAttributes) -> None:
        table = batch.spans
        resource = batch.scopes["resource"][table["scope"]]
        services, names = service_codes(batch)
        self._batch = batch
        self.service = services[resource]
        self.workspace: NDArray[np.int32] = batch.resources["workspace"][resource]
        kinds = table["kind"]
        self.kind = np.where((kinds >= 0) & (kinds <= CONSUMER), kinds, UNSPECIFIED).astype(np.int32)
        self.start = np.ascontiguousarray(table["start_time_unix_nano"])
        end = table["end_time_unix_nano"]
        self.duration = np.where(end > self.start, end - self.start, np.uint64(0))
        self.failed: Mask = table["status_code"] == _FAILED
        self.weight = adjusted_counts(batch)
        peers: Peers = attributes.find(batch, self.kind)
        self.peer = np.where(peers.codes == ABSENT, ABSENT, peers.codes + len(names))
        self.is_database = peers.is_database & (self.service != ABSENT)
        self.names = [*names, *peers.names, USER]

    def keys(self, field: str) -> NDArray[np.uint64]:
        table = self._batch.spans
        return span_keys(self._batch.data, table["trace_id_offset"], table[f"{field}_offset"])

    def halves(self, rows: NDArray[Any], keys: NDArray[np.uint64], side: int, matched: Mask | int = 0) -> Table:
        halves = np.empty(len(rows), HALF)
        halves["key"] = keys
        halves["start"] = self.start[rows]
        halves["duration"] = self.duration[rows]
        halves["weight"] = self.weight[rows]
        halves["service"] = self.service[rows]
        halves["peer"] = self.peer[rows]
        halves["kind"] = self.kind[rows]
        halves["side"] = side
        halves["failed"] = self.failed[rows]
        halves["matched"] = matched
        return halves

    def called(self, callers: NDArray[Any], callees: NDArray[Any]) -> Table:
        messaging = (self.kind[callers] == PRODUCER) | (self.kind[callees] == CONSUMER)
        edges = self._edges(
            callees, self.service[callers], self.service[callees], np.where(messaging, MESSAGING, DIRECT), SERVICES
        )
        edges["client_duration"] = self.duration[callers]
        edges["failed"] |= self.failed[callers]
        np.maximum(edges["weight"], self.weight[callers], out=edges["weight"])
        return edges

    def of_databases(self) -> Table:
        rows = np.flatnonzero(self.is_database)
        edges = self._edges(rows, self.service[rows], self.peer[rows], DATABASE, TO_DATABASE)
        edges["client_duration"] = edges["server_duration"]
        return edges

    def by_users(self, is_root: Mask) -> Table:
        has_links = self._batch.spans["links_count"] > 0
        called = (self.kind == SERVER) | ((self.kind == CONSUMER) & ~has_links)
        rows = np.flatnonzero(called & is_root & (self.service != ABSENT))
        edges = self._edges(rows, len(self.names) - 1, self.service[rows], VIRTUAL, BY_USER)
        edges["client_duration"] = 0
        return edges

    def _edges(self, rows: NDArray[Any], client: Any, server: Any, connection: Any, node: int) -> Table:
        """Calls that these spans tell of; what their callers do is left to be said."""
        edges = np.empty(len(rows), EDGE)
        edges["start"] = self.start[rows]
        edges["server_duration"] = self.duration[rows]
        edges["weight"] = self.weight[rows]
        edges["client"] = client
        edges["server"] = server
        edges["connection"] = connection
        edges["node"] = node
        edges["failed"] = self.failed[rows]
        edges["workspace"] = self.workspace[rows]
        return edges


@dataclass(frozen=True, slots=True)
class _Links:
    """What consumers link to: pairs of rows, and consumers whose producers are not in the batch, with the producers' keys."""

    callers: NDArray[Any]
    callees: NDArray[Any]
    orphans: NDArray[Any]
    keys: NDArray[np.uint64]


def _links(
    batch: SpanBatch,
    spans: _Columns,
    keys: NDArray[np.uint64],
    parent_keys: NDArray[np.uint64],
    salt: NDArray[np.uint64],
    calls: Calls,
) -> _Links:
    counts = batch.spans["links_count"]
    consumers = np.flatnonzero((spans.kind == CONSUMER) & (counts > 0) & (spans.service != ABSENT))
    counts = counts[consumers]
    rows = np.repeat(consumers, counts)
    first = np.repeat(batch.spans["links_start"][consumers] - (np.cumsum(counts) - counts), counts)
    links = take(batch.links, first + np.arange(len(rows)))
    is_whole = (links["trace_id_length"] == 16) & (links["span_id_length"] == 8)
    wanted = span_keys(batch.data, links["trace_id_offset"], np.where(is_whole, links["span_id_offset"], ABSENT))
    asked = (wanted != 0) & (wanted != parent_keys[rows])
    rows, wanted = rows[asked], wanted[asked]
    found = look_up(wanted ^ salt[rows], keys, calls.slots)
    there = found != ABSENT
    callers, callees = found[there], rows[there]
    is_call = (
        (spans.kind[callers] == PRODUCER)
        & (spans.service[callers] != ABSENT)
        & (spans.service[callers] != spans.service[callees])
    )
    return _Links(callers[is_call], callees[is_call], rows[~there], wanted[~there])
