"""Traces that a page may fall over: a large one, one full of markup, and one that is broken in every way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.requests import METHODS, MILLISECOND, ROUTES, SERVICES, key_values

LARGE: Final = "1a" * 16
HOSTILE: Final = "2b" * 16
BROKEN: Final = "3c" * 16
SENTINEL: Final = "ran"
"""The property of `window` that is there once anything of `MARKUP` was executed."""
_RUN: Final = f"window.{SENTINEL}=1"
MARKUP: Final = (
    f"\"'></title><script>{_RUN}</script><img src=x onerror={_RUN}><svg onload={_RUN}>"
    f"<iframe src=javascript:parent.{SENTINEL}=1></iframe><a href=javascript:{_RUN}>x</a>"
)
LINK: Final = f"javascript:{_RUN}"

_FAN_OUT: Final = 4
_SLICE: Final = 10_000


def large_trace(spans: int) -> Iterator[ExportTraceServiceRequest]:
    """One trace of so many spans that ended now, in slices: each span calls four that share its time; one in a hundred fails."""
    random = Random(spans)
    total = 60_000 * MILLISECOND
    start = time.time_ns() - total
    times = [(start, total)]
    for index in range(1, spans):
        above, duration = times[(index - 1) // _FAN_OUT]
        share = duration // _FAN_OUT
        times.append((above + (index - 1) % _FAN_OUT * share + random.randrange(1 + share // 8), share - share // 4))
    for first in range(0, spans, _SLICE):
        request = ExportTraceServiceRequest()
        scopes = [_service(request, name) for name in SERVICES]
        for index in range(first, min(first + _SLICE, spans)):
            span_start, duration = times[index]
            route = ROUTES[random.randrange(len(ROUTES))]
            span = scopes[random.randrange(len(scopes))].add(
                trace_id=bytes.fromhex(LARGE),
                span_id=(index + 1).to_bytes(8),
                parent_span_id=((index - 1) // _FAN_OUT + 1).to_bytes(8) if index else b"",
                name=f"{METHODS[index % len(METHODS)]} {route}",
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=span_start,
                end_time_unix_nano=span_start + duration,
                attributes=key_values({"http.route": route, "http.response.status_code": 200, "customer": f"c-{index % 997}"}),
            )
            if random.random() < 0.01:
                span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="timed out"))
        yield request


def hostile_trace() -> ExportTraceServiceRequest:
    """Markup and scripts wherever a trace has text that somebody else chose."""
    request = ExportTraceServiceRequest()
    texts: dict[str, Any] = {
        MARKUP: MARKUP, "url.full": LINK, "http.url": LINK, "list": [MARKUP, {MARKUP: MARKUP}],
        "code.stacktrace": MARKUP, "db.query.text": MARKUP, "constructor": MARKUP, "__proto__": MARKUP, "toString": MARKUP,
    }  # fmt: skip
    now = time.time_ns()
    for place, service in enumerate((f"{MARKUP} one", f"{MARKUP} two")):
        resource = request.resource_spans.add(schema_url=LINK)
        resource.resource.attributes.extend(key_values({"service.name": service, "service.namespace": MARKUP, **texts}))
        scope = resource.scope_spans.add(schema_url=LINK)
        scope.scope.name, scope.scope.version = MARKUP, MARKUP
        scope.scope.attributes.extend(key_values(texts))
        span = scope.spans.add(
            trace_id=bytes.fromhex(HOSTILE),
            span_id=(place + 1).to_bytes(8),
            parent_span_id=place.to_bytes(8) if place else b"",
            name=MARKUP,
            kind=(Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER)[place],
            start_time_unix_nano=now - (9 - place) * MILLISECOND,
            end_time_unix_nano=now - (1 + place) * MILLISECOND,
            attributes=key_values(texts),
            status=Status(code=Status.STATUS_CODE_ERROR, message=MARKUP),
        )
        exception = {"exception.type": MARKUP, "exception.message": MARKUP, "exception.stacktrace": MARKUP, **texts}
        span.events.add(time_unix_nano=now - 5 * MILLISECOND, name="exception", attributes=key_values(exception))
        span.events.add(time_unix_nano=now - 4 * MILLISECOND, name=MARKUP, attributes=key_values(texts))
        span.links.add(trace_id=bytes.fromhex(BROKEN), span_id=b"12345678", attributes=key_values(texts))
    return request


def broken_trace() -> ExportTraceServiceRequest:
    """No root; a missing parent, a cycle, a span that is its own parent, one id for two spans, and an end before its start."""
    request = ExportTraceServiceRequest()
    now = time.time_ns() - 1_000 * MILLISECOND
    spans = _service(request, "broken")
    for name, span_id, parent, start, end in (
        ("orphan", 1, 99, 0, 500),
        ("below the orphan", 2, 1, 100, 300),
        ("cycle one", 3, 4, 100, 200),
        ("cycle two", 4, 3, 110, 190),
        ("its own parent", 5, 5, 120, 180),
        ("twice, first", 6, 1, 130, 170),
        ("twice, second", 6, 1, 210, 260),
        ("backwards", 7, 1, 300, 250),
    ):
        spans.add(
            trace_id=bytes.fromhex(BROKEN),
            span_id=span_id.to_bytes(8),
            parent_span_id=parent.to_bytes(8),
            name=name,
            start_time_unix_nano=now + start * MILLISECOND,
            end_time_unix_nano=now + end * MILLISECOND,
        )
    return request


def _service(request: ExportTraceServiceRequest, name: str) -> Any:
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(key_values({"service.name": name, "service.version": "2.14.0"}))
    return resource.scope_spans.add().spans
