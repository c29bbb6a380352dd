"""Calls between services, drawn in one line each, as requests."""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.requests import EPOCH

MILLISECOND: Final = 1_000_000
_SPAN: Final = re.compile(
    r"(?P<service>\S+) (?P<kind>[A-Z]+) (?P<id>\w+)(?: <(?P<parent>\w+))?(?: ~(?P<link>\w+))?(?: (?P<ms>\d+)ms)?(?P<failed>!)?"
    r"(?: th:(?P<threshold>\w+))?(?P<attributes>(?: [a-z.]+=\S+)*)"
)


def scene(text: str, *, trace: int = 1, start: int = EPOCH) -> ExportTraceServiceRequest:
    """Spans, one a line: `SERVICE KIND ID <PARENT ~LINK 5ms! th:8 key=value`, of which the first three are needed.

    An exclamation mark stands for a status of error; `th` for the threshold in the trace state.
    """
    request = ExportTraceServiceRequest()
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _SPAN.fullmatch(line)
        assert found is not None, line
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = found["service"]
        span = resource_spans.scope_spans.add().spans.add(
            trace_id=_trace_id(trace),
            span_id=_span_id(found["id"]),
            kind=Span.SpanKind.Value(f"SPAN_KIND_{found['kind']}"),
            start_time_unix_nano=start,
            end_time_unix_nano=start + int(found["ms"] or 1) * MILLISECOND,
            trace_state=f"ot=th:{found['threshold']}" if found["threshold"] else "",
        )
        if found["parent"]:
            span.parent_span_id = _span_id(found["parent"])
        if found["link"]:
            span.links.add(trace_id=_trace_id(trace), span_id=_span_id(found["link"]))
        if found["failed"]:
            span.status.code = Status.STATUS_CODE_ERROR
        for attribute in found["attributes"].split():
            key, _, value = attribute.partition("=")
            span.attributes.add(key=key).value.string_value = value
    return request


def _trace_id(trace: int) -> bytes:
    return trace.to_bytes(16, "big")


def _span_id(name: str) -> bytes:
    return name.encode().rjust(8, b"\1")
