"""Spans back to OTLP, against the protobuf library's reading of what they came as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from proto.join import concatenate
from proto.otlp_decode import decode
from proto.otlp_encode import Encoder, encode_request
from tests.support.drawn_requests import drawn_request
from tests.support.requests import Shape, every_value_request, generated_request, key_values
from tests.support.requests import spans_of as spans_in
from tests.support.traces import each_trace, read_trace


def parsed(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


def spans_of(request: ExportTraceServiceRequest) -> list[tuple[bytes, bytes, bytes]]:
    """Resource, scope and span of each span, in the order of the request; schema URLs are part of the first two.

    An empty status counts as none, no value as an empty one, and a parent's id of zeros as none, which mean the same.
    """
    for span in spans_in(request):
        if span.status == Status():
            span.ClearField("status")
        if not any(span.parent_span_id):
            span.parent_span_id = b""
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


@pytest.mark.parametrize("name", each_trace())
def test_a_real_request_comes_back(name: str) -> None:
    trace = read_trace(name)
    sent, batch = trace.message, decode(trace.body).batch
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


# Where a length takes a byte more, and where texts are copied in one go, in two, or byte by byte.
SIZES = st.sampled_from([0, 1, 7, 8, 31, 32, 33, 63, 127, 128, 129, 300, 16383, 16384])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=40),
    st.builds("x".__mul__, SIZES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.one_of(st.sampled_from(["service.name", "a", ""]), st.builds("k".__mul__, SIZES)), VALUES, max_size=3
)
COUNTS = st.sampled_from([0, 1, 127, 128, 2**32 - 1])
TIMES = st.sampled_from([0, 1, 2**63, 2**64 - 1])
ENUMERATED = st.sampled_from([0, 1, 5, 127, 128, 2**31 - 1, -1, -(2**31)])


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Requests in which every field may have any of its odd values, and equal resources and scopes may come twice."""
    request = drawn_request(draw, ATTRIBUTES)
    for resource_spans in request.resource_spans:
        resource_spans.resource.dropped_attributes_count = draw(COUNTS)
        resource_spans.schema_url = "u" * draw(SIZES)
        for scope_spans in resource_spans.scope_spans:
            scope_spans.scope.name, scope_spans.scope.version = "n" * draw(SIZES), "v" * draw(SIZES)
            scope_spans.scope.dropped_attributes_count = draw(COUNTS)
            scope_spans.schema_url = "s" * draw(SIZES)
    for span in spans_in(request):
        span.parent_span_id = draw(st.sampled_from([b"", b"p" * 8]))
        span.trace_state, span.name = "t" * draw(SIZES), "m" * draw(SIZES)
        span.kind, span.flags = draw(ENUMERATED), draw(COUNTS)  # type: ignore[assignment]  # protobuf's open enums are integers
        span.start_time_unix_nano, span.end_time_unix_nano = draw(TIMES), draw(TIMES)
        span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = draw(
            st.tuples(COUNTS, COUNTS, COUNTS)
        )
        span.status.message = "e" * draw(SIZES)
        span.status.code = draw(ENUMERATED)  # type: ignore[assignment]  # as above
        for attributes in draw(st.lists(ATTRIBUTES, max_size=2)):
            span.events.add(
                name="w" * draw(SIZES),
                time_unix_nano=draw(TIMES),
                attributes=key_values(attributes),
                dropped_attributes_count=draw(COUNTS),
            )
            span.links.add(
                trace_id=draw(st.binary(max_size=17)),
                span_id=draw(st.binary(max_size=9)),
                trace_state="l" * draw(SIZES),
                attributes=key_values(attributes),
                dropped_attributes_count=draw(COUNTS),
                flags=draw(COUNTS),
            )
    for index in draw(st.lists(st.integers(0, len(request.resource_spans) - 1), max_size=2)):
        request.resource_spans.append(request.resource_spans[index])
    return request


@given(requests())
@settings(deadline=None, max_examples=150)
def test_whatever_a_request_holds_comes_back_in_the_fewest_groups(sent: ExportTraceServiceRequest) -> None:
    came_back = parsed(encode_request(decode(sent.SerializeToString()).batch))
    assert sorted(spans_of(came_back)) == sorted(spans_of(sent))
    resources = [
        each.resource.SerializeToString(deterministic=True) + each.schema_url.encode() for each in came_back.resource_spans
    ]
    assert len(set(resources)) == len(resources)
    for resource_spans in came_back.resource_spans:
        scopes = [
            each.scope.SerializeToString(deterministic=True) + each.schema_url.encode() for each in resource_spans.scope_spans
        ]
        assert len(set(scopes)) == len(scopes)


@given(requests())
@settings(deadline=None, max_examples=50)
def test_what_is_read_again_is_written_the_same(sent: ExportTraceServiceRequest) -> None:
    written = encode_request(decode(sent.SerializeToString()).batch)
    assert encode_request(decode(written).batch) == written


def test_spans_of_many_requests_are_grouped_in_the_order_in_which_they_first_come() -> None:
    requests = [generated_request(Shape(spans=4, services=services), seed=1) for services in (2, 1, 2)]
    batch = concatenate([decode(request.SerializeToString()).batch for request in requests])
    written = parsed(encode_request(batch))
    assert sorted(spans_of(written)) == sorted(span for request in requests for span in spans_of(request))
    described = [each.resource.SerializeToString() for request in requests for each in request.resource_spans]
    assert [each.resource.SerializeToString() for each in written.resource_spans] == list(dict.fromkeys(described))


def test_one_encoder_writes_one_batch_after_the_other() -> None:
    encoder = Encoder()
    for spans in (100, 3, 0, 50):
        sent = generated_request(Shape(spans=spans))
        written = encoder.encode(decode(sent.SerializeToString()).batch).tobytes()
        assert spans_of(parsed(written)) == spans_of(sent)
