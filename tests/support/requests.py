"""OTLP trace requests, generated: what tests and benchmarks send when the traces of a real system are not what they need.

Everything is drawn from a seeded generator, so the same arguments give the same bytes on every machine.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

EPOCH: Final = 1_760_000_000_000_000_000
"""Nanoseconds since 1970 at which generated spans start unless told otherwise: 2025-10-09T08:53:20Z."""
MILLISECOND: Final = 1_000_000

SERVICES: Final = ("frontend", "checkout", "cart", "payment", "shipping", "catalog", "currency", "recommendation")
METHODS: Final = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
ROUTES: Final = ("/api/cart", "/api/checkout", "/api/products/{id}", "/api/shipping/quote", "/api/currency/convert")
USER_AGENTS: Final = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/131", "python-requests/2.32.3", "okhttp/4.12.0", "k6/0.54.0")
JSON_ID_FIELDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
"""The bytes fields that OTLP/JSON writes as hexadecimal where protobuf's own JSON has base64."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a generated request looks like. The defaults are the request that throughput is stated for, about 420 bytes a span."""

    spans: int = 512
    span_attributes: int = 10
    resource_attributes: int = 13
    events_share: float = 0.1
    links_share: float = 0.0
    errors_share: float = 0.02
    services: int = 1
    spans_per_trace: int = 8


def any_value(value: object) -> AnyValue:
    """The AnyValue of a Python value; a list becomes an ArrayValue, a dict a KeyValueList, None the empty value."""
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list() | tuple():
            return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case _:
            raise TypeError(f"no AnyValue for {type(value).__name__}")


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    """Attributes as protobuf messages, in the order of the dict."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def generated_request(
    shape: Shape | None = None, *, seed: int = 0, start_time_unix_nano: int = EPOCH
) -> ExportTraceServiceRequest:
    """A request of HTTP server and client spans in small trees; a tree never leaves its request.

    The spans of one trace follow each other, each starting 1 ms after the one before; services share the spans evenly.
    """
    shape = shape or Shape()
    random = Random(seed)
    request = ExportTraceServiceRequest()
    for service in range(shape.services):
        resource_spans = request.resource_spans.add()
        _describe_resource(resource_spans, shape, service, random)
        scope_spans = resource_spans.scope_spans.add(schema_url="https://opentelemetry.io/schemas/1.34.0")
        scope_spans.scope.name = "opentelemetry.instrumentation.http"
        scope_spans.scope.version = "0.57.0"
        share = shape.spans // shape.services + (service < shape.spans % shape.services)
        _fill(scope_spans.spans, share, shape, random, start_time_unix_nano)
    return request


def one_span_request(*, seed: int = 0, start_time_unix_nano: int = EPOCH) -> ExportTraceServiceRequest:
    """A request with a single root span, otherwise shaped as `generated_request`'s."""
    return generated_request(Shape(spans=1), seed=seed, start_time_unix_nano=start_time_unix_nano)


def tree_request(
    *, depth: int, children: int = 1, service: str = "tree", seed: int = 0, start_time_unix_nano: int = EPOCH
) -> ExportTraceServiceRequest:
    """One trace: a root and `depth - 1` levels below it, every span but the leaves with `children` children.

    A child lies inside its parent: siblings divide the parent's time evenly. Names are the path, as in "0.1.0".
    """
    random = Random(seed)
    trace_id = random.randbytes(16)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": service}))
    spans = resource_spans.scope_spans.add().spans
    duration = 1_000 * MILLISECOND
    level = [("0", b"", start_time_unix_nano)]
    for _ in range(depth):
        below: list[tuple[str, bytes, int]] = []
        for name, parent, start in level:
            span_id = random.randbytes(8)
            spans.add(
                trace_id=trace_id,
                span_id=span_id,
                parent_span_id=parent,
                name=name,
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=start,
                end_time_unix_nano=start + duration,
            )
            below.extend((f"{name}.{child}", span_id, start + child * (duration // children)) for child in range(children))
        level = below
        duration //= children
    return request


def every_value_request(*, seed: int = 0, start_time_unix_nano: int = EPOCH) -> ExportTraceServiceRequest:
    """Two spans that between them use every field of a span and every type of attribute value, nested ones included."""
    values = {
        "string": "grüße, 世界 🌍",
        "string.empty": "",
        "bool.true": True,
        "bool.false": False,
        "int": -(2**63),
        "int.large": 2**63 - 1,
        "double": 0.1,
        "double.whole": 3.0,
        "bytes": bytes(range(256)),
        "array": ["a", 1, 2.5, True, None, ["nested"], {"key": "value"}],
        "kvlist": {"outer": {"inner": [1, 2]}, "quote": 'a "quoted" \\ value\n'},
        "empty": None,
    }
    random = Random(seed)
    trace_id, root_id, child_id, linked_trace = (random.randbytes(size) for size in (16, 8, 8, 16))
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.34.0")
    resource_spans.resource.attributes.extend(key_values({"service.name": "values", **values}))
    resource_spans.resource.dropped_attributes_count = 1
    resource_spans.resource.entity_refs.add(schema_url="https://example.com", type="service", id_keys=["string", "int"])
    resource_spans.resource.entity_refs.add(type="host", id_keys=["bytes"], description_keys=["double", "grüße"])
    scope_spans = resource_spans.scope_spans.add(schema_url="https://opentelemetry.io/schemas/1.33.0")
    scope_spans.scope.name = "values"
    scope_spans.scope.version = "1.0"
    scope_spans.scope.attributes.extend(key_values({"scope.kind": "test"}))
    scope_spans.scope.dropped_attributes_count = 2
    root = scope_spans.spans.add(
        trace_id=trace_id,
        span_id=root_id,
        trace_state="vendor=value,other=1",
        name="every value",
        kind=Span.SPAN_KIND_PRODUCER,
        start_time_unix_nano=start_time_unix_nano,
        end_time_unix_nano=start_time_unix_nano + 3 * MILLISECOND,
        attributes=key_values(values),
        flags=0x301,
        dropped_attributes_count=3,
        dropped_events_count=4,
        dropped_links_count=5,
        status=Status(code=Status.STATUS_CODE_ERROR, message="it broke"),
    )
    root.events.add(
        time_unix_nano=start_time_unix_nano + MILLISECOND,
        name="exception",
        attributes=key_values({"exception.type": "ValueError", **values}),
        dropped_attributes_count=6,
    )
    root.events.add(time_unix_nano=start_time_unix_nano + 2 * MILLISECOND, name="")
    root.links.add(
        trace_id=linked_trace,
        span_id=child_id,
        trace_state="linked=1",
        attributes=key_values(values),
        dropped_attributes_count=7,
        flags=1,
    )
    scope_spans.spans.add(
        trace_id=trace_id,
        span_id=child_id,
        parent_span_id=root_id,
        name="child",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=start_time_unix_nano + MILLISECOND,
        end_time_unix_nano=start_time_unix_nano + 2 * MILLISECOND,
        status=Status(code=Status.STATUS_CODE_OK),
    )
    return request


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Every span of a request, in the order of the message."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def span_count(body: bytes) -> int:
    """Number of spans in a serialised request."""
    return sum(1 for _ in spans_of(ExportTraceServiceRequest.FromString(body)))


def otlp_json(request: ExportTraceServiceRequest) -> bytes:
    """The request as OTLP/JSON: ids in hexadecimal, enumerations as numbers, 64-bit numbers as strings, other bytes in base64."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_with_hexadecimal_ids(document), separators=(",", ":"), ensure_ascii=False).encode()


def _with_hexadecimal_ids(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: base64.b64decode(value).hex() if key in JSON_ID_FIELDS else _with_hexadecimal_ids(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_with_hexadecimal_ids(item) for item in node]
    return node


def _describe_resource(resource_spans: ResourceSpans, shape: Shape, service: int, random: Random) -> None:
    name = SERVICES[service % len(SERVICES)]
    described = {
        "service.name": name,
        "service.namespace": "shop",
        "service.version": "2.14.0",
        "service.instance.id": f"{random.getrandbits(128):032x}",
        "deployment.environment.name": "production",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.36.0",
        "host.name": f"node-{random.randrange(40):02d}",
        "k8s.pod.name": f"{name}-{random.getrandbits(40):010x}",
        "k8s.namespace.name": "shop",
        "k8s.cluster.name": "production-eu-1",
        "process.pid": random.randrange(2, 32768),
    }
    resource_spans.resource.attributes.extend(key_values(_resized(described, shape.resource_attributes)))


def _fill(spans: Any, count: int, shape: Shape, random: Random, start_time_unix_nano: int) -> None:
    """Append `count` spans to a repeated field."""
    trace_id = b""
    in_trace: list[bytes] = []
    for index in range(count):
        if index % shape.spans_per_trace == 0:
            trace_id, in_trace = random.randbytes(16), []
        start = start_time_unix_nano + index * MILLISECOND
        duration = random.randrange(50_000, 400 * MILLISECOND)
        method, route = random.choice(METHODS), random.choice(ROUTES)
        span = spans.add(
            trace_id=trace_id,
            span_id=random.randbytes(8),
            parent_span_id=random.choice(in_trace) if in_trace else b"",
            name=f"{method} {route}",
            kind=Span.SPAN_KIND_CLIENT if in_trace and index % 2 else Span.SPAN_KIND_SERVER,
            start_time_unix_nano=start,
            end_time_unix_nano=start + duration,
            attributes=key_values(_resized(_http_attributes(random, method, route), shape.span_attributes)),
        )
        in_trace.append(span.span_id)
        if random.random() < shape.events_share:
            attributes = {"exception.type": "TimeoutError", "exception.message": f"no answer in {duration // MILLISECOND} ms"}
            span.events.add(name="exception", time_unix_nano=start + duration // 2, attributes=key_values(attributes))
        if random.random() < shape.links_share:
            span.links.add(
                trace_id=random.randbytes(16), span_id=random.randbytes(8), attributes=key_values({"link.kind": "follows"})
            )
        if random.random() < shape.errors_share:
            span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="upstream timed out"))


def _http_attributes(random: Random, method: str, route: str) -> dict[str, Any]:
    return {
        "http.request.method": method,
        "http.route": route,
        "url.path": route.replace("{id}", f"{random.getrandbits(32):08x}"),
        "http.response.status_code": random.choice((200, 200, 200, 204, 404, 500)),
        "server.address": f"{random.choice(SERVICES)}.shop.svc",
        "server.port": 8080,
        "client.address": f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}",
        "user_agent.original": random.choice(USER_AGENTS),
        "http.request.body.size": random.randrange(65536),
        "app.cache.hit": random.random() < 0.5,
    }


def _resized(attributes: dict[str, Any], count: int) -> dict[str, Any]:
    """The first `count` attributes, with numbered ones added when there are fewer."""
    wanted = dict(list(attributes.items())[:count])
    wanted.update({f"app.attribute.{number}": f"value-{number}" for number in range(len(wanted), count)})
    return wanted
