"""Span batches whose spans are numbered by their names, so that each can be accounted for."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.requests import EPOCH


def numbered(
    first: int,
    count: int = 1,
    *,
    start_time_unix_nano: int = EPOCH,
    step_ns: int = 1,
    filler: int = 0,
    service: str = "numbers",
    workspace: str = "default",
    trace_of: Callable[[int], int] = lambda number: number + 1,
) -> SpanBatch:
    """A batch of `count` spans named `first`, `first + 1`, ..., each starting `step_ns` after the one before.

    Args:
        filler: length of an attribute of the resource, to make the batch heavy.
        service: name of the resource's service; empty for a resource without.
        trace_of: number of a span → its trace id, as a number.
    """
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    if service:
        resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    if filler:
        resource_spans.resource.attributes.add(key="filler").value.string_value = "x" * filler
    spans = resource_spans.scope_spans.add().spans
    for number in range(first, first + count):
        start = start_time_unix_nano + (number - first) * step_ns
        spans.add(
            trace_id=trace_of(number).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name=str(number),
            start_time_unix_nano=start,
            end_time_unix_nano=start + 1000,
        )
    return decode(request.SerializeToString(), workspace).batch


def numbers(batch: SpanBatch) -> list[int]:
    """The numbers of a batch's spans, in its order."""
    names = zip(batch.spans["name_offset"].tolist(), batch.spans["name_length"].tolist(), strict=True)
    return [int(batch.data[offset : offset + length].tobytes()) for offset, length in names]
