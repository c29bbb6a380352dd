"""Spans back to OTLP, against the protobuf library's reading of what they came as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from tests.support.requests import Shape, every_value_request, generated_request
from tests.support.traces import TraceFile, all_traces


def parsed(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


def spans_of(request: ExportTraceServiceRequest) -> list[tuple[bytes, bytes, bytes]]:
    """Resource, scope and span of each span, in the order of the request; schema URLs are part of the first two.

    An empty status counts as none, and no value as an empty one, which mean the same.
    """
    for span in (span for each in request.resource_spans for scope_spans in each.scope_spans for span in scope_spans.spans):
        if span.status == Status():
            span.ClearField("status")
        for attribute in span.attributes:
            attribute.value.SetInParent()
    return [
        (
            resource_spans.resource.SerializeToString(deterministic=True) + resource_spans.schema_url.encode(),
            scope_spans.scope.SerializeToString(deterministic=True) + scope_spans.schema_url.encode(),
            span.SerializeToString(deterministic=True),
        )
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


@pytest.mark.parametrize("trace", all_traces(), ids=lambda trace: trace.name)
def test_a_real_request_comes_back(trace: TraceFile) -> None:
    sent, batch = trace.message, decode(trace.body).batch
    for resource_spans in sent.resource_spans:
        del resource_spans.resource.entity_refs[:]
    came_back = spans_of(parsed(encode_request(batch)))
    rejected = len(spans_of(sent)) - len(batch)
    assert rejected in (0, 1)
    if not rejected:
        assert sorted(came_back) == sorted(spans_of(sent))


def test_every_field_and_type_of_value_comes_back() -> None:
    sent = every_value_request()
    assert spans_of(parsed(encode_request(decode(sent.SerializeToString()).batch))) == spans_of(sent)


@given(st.lists(st.integers(0, 63), unique=True), st.integers(1, 4))
@settings(deadline=None)
def test_a_selection_is_what_was_selected(rows: list[int], services: int) -> None:
    sent = generated_request(Shape(spans=64, links_share=0.2, services=services))
    selected = decode(sent.SerializeToString()).batch.select(np.array(rows, np.int64))
    came_back = spans_of(parsed(encode_request(selected)))
    everything = spans_of(sent)
    assert sorted(came_back) == sorted(everything[row] for row in rows)
