"""Small traces, of spans that call one another in a row."""

from __future__ import annotations

import time
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.requests import MILLISECOND

_START: Final = time.time_ns() - 1_000 * MILLISECOND


def chain(trace_id: str, names: dict[int, str]) -> ExportTraceServiceRequest:
    """Spans by their ids, each of which calls the next and begins before it; what calls the first is missing."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, name in names.items():
        spans.add(
            trace_id=bytes.fromhex(trace_id),
            span_id=number.to_bytes(8),
            parent_span_id=(number - 1 or 0xA).to_bytes(8),
            name=name,
            start_time_unix_nano=_START + number * MILLISECOND,
            end_time_unix_nano=_START + 9 * MILLISECOND,
        )
    return request
