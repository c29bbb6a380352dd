"""Zipkin's spans: drawn at random, in protobuf by another's library, and what they must become in OTLP, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from py_zipkin.encoding.protobuf.zipkin_pb2 import Endpoint, ListOfSpans, Span

ZipkinSpan = Mapping[str, Any]
"""A span as its JSON has it."""

KINDS = {"": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
OF_RESOURCES = ("service.", "telemetry.", "host.", "process.", "k8s.", "cloud.", "container.", "deployment.", "os.", "device.")
LATEST = (2**64 - 1) // 1000

EVERY_FIELD: dict[str, Any] = {
    "traceId": "463ac35c9f6413ad48485a3953bb6124",
    "parentId": "6b221d5bc9e6496c",
    "id": "a2fb4a1d1a96d312",
    "kind": "CLIENT",
    "name": "get /api",
    "timestamp": 1_700_000_000_000_000,
    "duration": 1_431,
    "localEndpoint": {"serviceName": "front", "ipv4": "192.168.99.1", "port": 3306},
    "remoteEndpoint": {"serviceName": "back", "ipv6": "2001:db8::c001", "port": 9411},
    "annotations": [{"timestamp": 1_700_000_000_000_100, "value": "ws"}, {"timestamp": 1_700_000_000_001_300, "value": "wr"}],
    "tags": {
        "http.path": "/api",
        "error": "boom",
        "host.name": "front-1",
        "otel.scope.name": "http",
        "otel.scope.version": "1.2",
        "w3c.tracestate": "a=b",
    },
    "debug": True,
    "shared": False,
}

_texts = st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace").decode())
_ids = st.one_of(st.integers(1, 2**64 - 1), st.just(7)).map(lambda number: f"{number:016x}")
_bad_ids = st.sampled_from(["0" * 16, "", "00"])
_times = st.one_of(st.integers(1, 2**50), st.sampled_from([0, LATEST, LATEST + 1, 2**63, 2**64 - 1]))
_known_tags = {
    "otel.status_code": st.sampled_from(["OK", "ERROR", "UNSET", "odd"]),
    "otel.status_description": _texts,
    "error": st.one_of(st.sampled_from(["", "true", "false"]), _texts),
    "otel.scope.name": _texts,
    "otel.library.version": _texts,
    "w3c.tracestate": st.just("a=b"),
    "service.name": _texts,
    "service.version": _texts,
    "k8s.pod.name": _texts,
    "peer.service": _texts,
    "network.peer.address": _texts,
    "network.local.port": st.just("80"),
}


def _endpoints() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "serviceName": st.one_of(st.sampled_from(["front", "back"]), _texts),
            "ipv4": st.ip_addresses(v=4).map(str),
            "ipv6": st.one_of(
                st.ip_addresses(v=6),
                st.integers(1, 2**8 - 1).map(lambda bits: sum(0xF << 16 * n for n in range(8) if bits >> n & 1)).map(_version_6),
            )
            .filter(lambda address: address.ipv4_mapped is None and int(address) >= 1 << 32)
            .map(str),
            "port": st.integers(0, 2**16 - 1),
        },
    )


def _version_6(number: int) -> Any:
    return ip_address(number.to_bytes(16, "big"))


def _tags() -> st.SearchStrategy[dict[str, str]]:
    free = st.dictionaries(_texts, _texts, max_size=3)
    known = st.fixed_dictionaries({}, optional=_known_tags)
    return st.tuples(free, known).map(lambda both: both[0] | both[1])


spans = st.fixed_dictionaries(
    {"traceId": st.one_of(_ids, _ids.map(lambda text: text * 2), _bad_ids), "id": st.one_of(_ids, _ids, _ids, _bad_ids)},
    optional={
        "parentId": st.one_of(_ids, _bad_ids),
        "kind": st.sampled_from(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]),
        "name": _texts,
        "timestamp": _times,
        "duration": _times,
        "localEndpoint": _endpoints(),
        "remoteEndpoint": _endpoints(),
        "annotations": st.lists(st.fixed_dictionaries({"timestamp": _times, "value": _texts}), max_size=3),
        "tags": _tags(),
        "shared": st.booleans(),
        "debug": st.booleans(),
    },
)
"""Spans of every kind, among them some that no collector can take."""


def _id(text: str) -> bytes:
    return bytes.fromhex(text.rjust(32 if len(text) > 16 else 16, "0")) if text else b""


def _endpoint(endpoint: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        service_name=endpoint.get("serviceName", ""),
        ipv4=ip_address(endpoint["ipv4"]).packed if "ipv4" in endpoint else b"",
        ipv6=ip_address(endpoint["ipv6"]).packed if "ipv6" in endpoint else b"",
        port=endpoint.get("port", 0),
    )


def to_protobuf(drawn: Sequence[ZipkinSpan]) -> bytes:
    """The spans as a ListOfSpans."""
    return bytes(ListOfSpans(spans=map(_protobuf, drawn)).SerializeToString())


def _protobuf(span: ZipkinSpan) -> Span:
    message = Span(
        trace_id=_id(span["traceId"]),
        parent_id=_id(span.get("parentId", "")),
        id=_id(span["id"]),
        kind=Span.Kind.Value(span["kind"]) if "kind" in span else 0,
        name=span.get("name", ""),
        timestamp=span.get("timestamp", 0),
        duration=span.get("duration", 0),
        tags=span.get("tags", {}),
        shared=span.get("shared", False),
        debug=span.get("debug", False),
    )
    for annotation in span.get("annotations", ()):
        message.annotations.add(timestamp=annotation["timestamp"], value=annotation["value"])
    if "localEndpoint" in span:
        message.local_endpoint.CopyFrom(_endpoint(span["localEndpoint"]))
    if "remoteEndpoint" in span:
        message.remote_endpoint.CopyFrom(_endpoint(span["remoteEndpoint"]))
    return message


def refusal_of(span: ZipkinSpan) -> str:
    """Why the decoder refuses a span, by its own word for it; empty if it takes it."""
    trace_id, span_id = _id(span["traceId"]), _id(span["id"])
    begin, times = _begin(span), [annotation["timestamp"] for annotation in span.get("annotations", ())]
    if not trace_id:
        return "trace_id_length"
    if not any(trace_id):
        return "trace_id_zero"
    if not span_id:
        return "span_id_length"
    if not any(span_id):
        return "span_id_zero"
    if max([begin + span.get("duration", 0), *times]) > LATEST:
        return "trace_id_length"
    return ""


def _begin(span: ZipkinSpan) -> int:
    times = [annotation["timestamp"] for annotation in span.get("annotations", ()) if annotation["timestamp"]]
    return int(span.get("timestamp") or min(times, default=0))


def expected(span: ZipkinSpan) -> dict[str, Any]:
    """What `flattened` must show of a span that is taken."""
    tags = dict(span.get("tags", {}))
    local, remote = span.get("localEndpoint", {}), span.get("remoteEndpoint", {})
    service = tags.pop("service.name", "") or local.get("serviceName", "")
    resource = {"service.name": service} if service else {}
    resource |= {key: value for key, value in tags.items() if key.startswith(OF_RESOURCES)}
    attributes: dict[str, Any] = {key: value for key, value in tags.items() if not key.startswith(OF_RESOURCES)}
    scope = tuple(
        attributes.pop(f"otel.scope.{key}", "") or attributes.get(f"otel.library.{key}", "") for key in ("name", "version")
    )
    for key in ("name", "version"):
        attributes.pop(f"otel.library.{key}", None)
    said = attributes.pop("otel.status_code", "")
    failed = said == "ERROR" or (said not in ("OK", "UNSET") and attributes.get("error", "false") != "false")
    status = (2, "") if failed else (1, "") if said == "OK" else (0, "")
    if failed:
        error = attributes.pop("error", "")
        status = (2, attributes.pop("otel.status_description", "" if error == "true" else error))
    trace_state = attributes.pop("w3c.tracestate", "")
    for endpoint, side in ((remote, "peer"), (local, "local")):
        found = {
            f"network.{side}.address": endpoint.get("ipv4") or endpoint.get("ipv6"),
            f"network.{side}.port": endpoint.get("port"),
        }
        if side == "peer":
            found["peer.service"] = endpoint.get("serviceName")
        attributes |= {key: value for key, value in found.items() if value and key not in attributes}
    begin, span_id = _begin(span) * 1000, _id(span["id"])
    parent = _id(span.get("parentId", ""))
    return {
        "trace_id": _id(span["traceId"]).rjust(16, b"\0"),
        "span_id": span_id,
        "parent_span_id": parent if any(parent) and parent != span_id else b"",
        "name": span.get("name", ""),
        "kind": KINDS[span.get("kind", "")],
        "times": (begin, begin + span.get("duration", 0) * 1000),
        "attributes": attributes,
        "events": [(annotation["timestamp"] * 1000, annotation["value"]) for annotation in span.get("annotations", ())],
        "status": status,
        "trace_state": trace_state,
        "resource": resource,
        "scope": scope,
    }


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value"))


def flattened(request: bytes) -> list[dict[str, Any]]:
    """Every span of a request with all that is said of it."""
    return [
        {
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id,
            "name": span.name,
            "kind": span.kind,
            "times": (span.start_time_unix_nano, span.end_time_unix_nano),
            "attributes": {pair.key: _value(pair.value) for pair in span.attributes},
            "events": [(event.time_unix_nano, event.name) for event in span.events],
            "status": (span.status.code, span.status.message),
            "trace_state": span.trace_state,
            "resource": {pair.key: _value(pair.value) for pair in resource.resource.attributes},
            "scope": (scope.scope.name, scope.scope.version),
        }
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
