"""Spans in Zipkin's JSON of version 2.

Names of services and spans are in lower case, as Zipkin keeps them; times are whole microseconds. Attributes of resources and of
spans become tags, events annotations; the attributes of events, and links, have no place in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

from collector.query.attributes import Attributes
from collector.query.spans import Spans
from collector.query.store import ERROR, KINDS, STATUS_CODES
from collector.query.tree import CLIENT, SERVER

REMOTE_SERVICE: Final = ("peer.service", "server.address", "net.peer.name", "db.namespace", "db.name")
"""Attributes that name the other side of a call; the first that is there counts."""
FAILED: Final = "error"
"""The tag of spans that have failed."""

_MICROSECOND: Final = 10**3
_INTERNAL: Final = KINDS.index("Internal")


def trace(spans: Spans) -> list[dict[str, Any]]:
    """The spans of a trace."""
    kinds_by_id: defaultdict[str, set[int]] = defaultdict(set)
    for span_id, kind in zip(spans.span_ids, spans.kinds, strict=True):
        kinds_by_id[span_id].add(kind)
    return [
        _span(spans, row, shared=spans.kinds[row] == SERVER and CLIENT in kinds_by_id[spans.span_ids[row]])
        for row in range(len(spans))
    ]


def _span(spans: Spans, row: int, *, shared: bool) -> dict[str, Any]:
    kind, service, duration = spans.kinds[row], spans.services[row], spans.durations[row]
    remote = next((name for key in REMOTE_SERVICE if (name := spans.attributes[row].get(key))), "")
    members = {
        "traceId": spans.trace_id,
        "parentId": spans.parent_span_ids[row],
        "id": spans.span_ids[row],
        "kind": KINDS[kind].upper() if _INTERNAL < kind < len(KINDS) else "",
        "name": spans.names[row].lower(),
        "timestamp": spans.starts[row] // _MICROSECOND,
        # Zipkin knows no duration of zero: it means that there is none.
        "duration": max(duration // _MICROSECOND, 1) if duration else 0,
        "localEndpoint": _endpoint(service, spans.attributes[row], "local"),
        "remoteEndpoint": _endpoint(remote, spans.attributes[row], "peer"),
        "annotations": [{"timestamp": event.time // _MICROSECOND, "value": event.name} for event in spans.events[row]],
        "tags": dict(_tags(spans, row)),
        "shared": shared,
    }
    return {name: value for name, value in members.items() if value or name in ("name", "annotations", "tags")}


def _endpoint(name: str, attributes: Attributes, side: str) -> dict[str, Any]:
    """One side of a call: its service, and the address and port that the semantic conventions have for it."""
    members: dict[str, Any] = {"serviceName": name.lower()} if name else {}
    try:
        address = ip_address(attributes.get(f"network.{side}.address"))
    except ValueError:
        # None, or the path of a socket.
        return members
    members[f"ipv{address.version}"] = str(address)
    port = attributes.get(f"network.{side}.port")
    if port.isdecimal() and 0 < int(port) < 1 << 16:
        members["port"] = int(port)
    return members


def _tags(spans: Spans, row: int) -> Iterator[tuple[str, str]]:
    """Keys and texts; the later of two that are equal counts."""
    scope, status = spans.scopes[row], spans.status_codes[row]
    yield from (pair for pair in _pairs(spans.resources[row].attributes) if pair[0] != "service.name")
    yield from _pairs(spans.attributes[row])
    if scope.name:
        yield "otel.scope.name", scope.name
    if scope.version:
        yield "otel.scope.version", scope.version
    if 0 < status < len(STATUS_CODES):
        yield "otel.status_code", STATUS_CODES[status].upper()
    if status == ERROR:
        yield FAILED, spans.status_messages[row]


def _pairs(attributes: Attributes) -> Iterator[tuple[str, str]]:
    return zip(attributes.keys, attributes.values, strict=True)
