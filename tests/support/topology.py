"""Calls between services, found the plain way: in protobuf messages, one span after the other, and in halves of calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.calls import CONNECTIONS, NODES, CallsOfBatch
from config.topology import TopologyProcessor
from proto.call_kernels import CALLEE, CALLER, LINKED
from proto.spans import ABSENT

SETTINGS = TopologyProcessor()
SENDERS = (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_PRODUCER)
RECEIVERS = (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER)

Call = tuple[str, str, str, str]
"""Client, server, type of connection, and which side has no spans."""


@dataclass(frozen=True, slots=True)
class PlainSpan:
    """A span with what its resource says."""

    span: Span
    service: str

    @property
    def is_of_database(self) -> bool:
        return (
            self.span.kind == Span.SPAN_KIND_CLIENT
            and bool(self._named(SETTINGS.database_name_attributes))
            and bool(self.service)
        )

    @property
    def database(self) -> str:
        return self._named(SETTINGS.database_name_attributes)

    @property
    def peer(self) -> str:
        return self._named(SETTINGS.virtual_node_peer_attributes)

    def _named(self, keys: Sequence[str]) -> str:
        values: dict[str, str] = {}
        for entry in self.span.attributes:
            values.setdefault(entry.key, entry.value.string_value)
        return next((values[key] for key in keys if values.get(key)), "")


def plain_spans(request: ExportTraceServiceRequest) -> Iterator[PlainSpan]:
    """The spans of a request in their order."""
    for resource_spans in request.resource_spans:
        names = [entry.value.string_value for entry in resource_spans.resource.attributes if entry.key == "service.name"]
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield PlainSpan(span, names[0] if names else "")


def is_call(caller: PlainSpan, callee: PlainSpan) -> bool:
    """Whether the one has called the other, if it is its parent."""
    if "" in (caller.service, callee.service) or caller.service == callee.service or caller.is_of_database:
        return False
    return not (caller.span.kind in SENDERS and callee.span.kind in SENDERS)


def calls_of(spans: Sequence[PlainSpan]) -> Counter[Call]:
    """All calls that these spans tell of, when nothing more is to come."""
    by_id: dict[tuple[bytes, bytes], PlainSpan] = {}
    for kinds in (RECEIVERS, range(6)):
        for each in spans:
            if each.span.kind in kinds:
                by_id.setdefault((each.span.trace_id, each.span.span_id), each)
    calls: Counter[Call] = Counter()
    heard_of = set()
    for each in spans:
        span = each.span
        parent = by_id.get((span.trace_id, span.parent_span_id))
        named = [(parent, False)] if parent is not None else []
        if span.kind == Span.SPAN_KIND_CONSUMER:
            links = [(link.trace_id, link.span_id) for link in span.links]
            others = [by_id.get(link) for link in links if link != (span.trace_id, span.parent_span_id)]
            named += [(other, True) for other in others if other is not None]
        for caller, is_link in named:
            if not is_call(caller, each) or (is_link and caller.span.kind != Span.SPAN_KIND_PRODUCER):
                continue
            heard_of.add((caller.span.trace_id, caller.span.span_id))
            is_messaging = caller.span.kind == Span.SPAN_KIND_PRODUCER or span.kind == Span.SPAN_KIND_CONSUMER
            calls[caller.service, each.service, "messaging_system" if is_messaging else "", ""] += 1
    for each in spans:
        span = each.span
        if not each.service:
            continue
        if each.is_of_database:
            calls[each.service, each.database, "database", "database"] += 1
        elif span.kind in SENDERS and each.peer:
            other = by_id[span.trace_id, span.span_id]
            is_shared = other.span.kind in RECEIVERS and other.service != each.service
            if not is_shared and (span.trace_id, span.span_id) not in heard_of:
                kind = "messaging" if span.kind == Span.SPAN_KIND_PRODUCER else "external"
                calls[each.service, each.peer, "virtual_node", kind] += 1
        elif span.kind in RECEIVERS and not span.parent_span_id.strip(b"\0"):
            if span.kind == Span.SPAN_KIND_SERVER or not span.links:
                calls["user", each.service, "virtual_node", "user"] += 1
    return calls


def calls_in(found: Iterable[CallsOfBatch]) -> Counter[Call]:
    """All calls that pieces tell of together, when nothing more is to come: halves meet the plain way."""
    calls: Counter[Call] = Counter()
    callers: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    callees: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for piece in found:
        for edge in _rows(piece.edges):
            ends = piece.names[edge["client"]], piece.names[edge["server"]]
            calls[*ends, CONNECTIONS[edge["connection"]], NODES[edge["node"]]] += edge["weight"]
        for half, workspace in zip(_rows(piece.halves), piece.half_workspaces.tolist(), strict=True):
            half["name"] = piece.names[half["service"]]
            half["called"] = piece.names[half["peer"]] if half["peer"] != ABSENT else ""
            (callers if half["side"] == CALLER else callees)[piece.workspaces[workspace], half["key"]].append(half)
    for key, found_callers in callers.items():
        best = next((each for each in found_callers if each["kind"] in RECEIVERS), found_callers[0])
        for callee in callees[key]:
            if _meets(best, callee):
                best["matched"] = 1
                is_messaging = best["kind"] == Span.SPAN_KIND_PRODUCER or callee["kind"] == Span.SPAN_KIND_CONSUMER
                calls[best["name"], callee["name"], "messaging_system" if is_messaging else "", ""] += callee["weight"]
        for each in found_callers:
            is_shared = best["kind"] in RECEIVERS and best["name"] != each["name"]
            if each["kind"] in SENDERS and each["called"] and not each["matched"] and not is_shared:
                kind = "messaging" if each["kind"] == Span.SPAN_KIND_PRODUCER else "external"
                calls[each["name"], each["called"], "virtual_node", kind] += each["weight"]
    return calls


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for row in table.tolist():
        yield dict(zip(table.dtype.names, row, strict=True))


def _meets(caller: dict[str, Any], callee: dict[str, Any]) -> bool:
    if caller["name"] == callee["name"]:
        return False
    if callee["side"] == LINKED:
        return bool(caller["kind"] == Span.SPAN_KIND_PRODUCER)
    assert callee["side"] == CALLEE
    return not (caller["kind"] in SENDERS and callee["kind"] in SENDERS)
