"""The processor `limits` against plain Python over messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.processors.limits import Limits
from config.limits import LimitsProcessor
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.drawn_requests import drawn_request
from tests.support.messages import canonical_spans
from tests.support.requests import key_values, spans_of

VALUES = st.one_of(
    st.text("aü…😀", max_size=30),
    st.integers(-5, 5),
    st.binary(min_size=14, max_size=18),
    st.sampled_from([True, 0.5, None, [1, "a"], ["a" * 20], {"k": "v" * 20}]),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "service.name"]), VALUES)
SETTINGS = st.builds(
    LimitsProcessor,
    max_value_bytes=st.sampled_from([0, 16, 17, 18, 19, 20]),
    max_attributes=st.integers(0, 4),
    max_events=st.integers(0, 3),
    max_links=st.integers(0, 3),
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = drawn_request(draw, ATTRIBUTES)
    for span in spans_of(request):
        span.dropped_attributes_count = draw(st.sampled_from([0, 3, 2**32 - 1]))
        span.dropped_events_count = draw(st.sampled_from([0, 3, 2**32 - 1]))
        for event in draw(st.lists(ATTRIBUTES, max_size=4)):
            span.events.add(name="e", attributes=key_values(event))
        for link in draw(st.lists(ATTRIBUTES, max_size=4)):
            span.links.add(trace_id=span.trace_id, span_id=span.span_id, attributes=key_values(link))
    return request


def limit(limits: LimitsProcessor, request: ExportTraceServiceRequest) -> None:
    """What the processor does, a span at a time."""
    for resource_spans in request.resource_spans:
        _limit_attributes(limits, resource_spans.resource, kept="service.name")
        for scope_spans in resource_spans.scope_spans:
            _limit_attributes(limits, scope_spans.scope)
            for span in scope_spans.spans:
                for parts, most in (("events", limits.max_events), ("links", limits.max_links)):
                    dropped = len(getattr(span, parts)[most:]) if most else 0
                    if dropped:
                        del getattr(span, parts)[most:]
                        _raise_count(span, parts, dropped)
                for owner in (span, *span.events, *span.links):
                    _limit_attributes(limits, owner)


def _raise_count(owner: Any, parts: str, dropped: int) -> None:
    name = f"dropped_{parts}_count"
    setattr(owner, name, min(getattr(owner, name) + dropped, 2**32 - 1))


def _limit_attributes(limits: LimitsProcessor, owner: Any, kept: str = "") -> None:
    left, places = [], 0
    for entry in owner.attributes:
        kind = entry.value.WhichOneof("value")
        size = 0
        if kind in ("array_value", "kvlist_value"):
            size = getattr(entry.value, kind).ByteSize()
        elif kind in ("string_value", "bytes_value"):
            value = getattr(entry.value, kind)
            size = len(value.encode() if kind == "string_value" else value)
        long = 0 < limits.max_value_bytes < size
        if long and kind != "string_value":
            continue
        places += 1
        if limits.max_attributes and places > limits.max_attributes and entry.key != kept:
            continue
        copy = type(entry).FromString(entry.SerializeToString())
        while long and len((copy.value.string_value + "…").encode()) > limits.max_value_bytes:
            copy.value.string_value = copy.value.string_value[:-1]
        if long:
            copy.value.string_value += "…"
        left.append(copy)
    _raise_count(owner, "attributes", len(owner.attributes) - len(left))
    del owner.attributes[:]
    owner.attributes.extend(left)


def read_back(batch: SpanBatch) -> list[tuple[str, bytes]]:
    encode(batch)
    return sorted(canonical_spans(ExportTraceServiceRequest.FromString(encode_request(batch))))


@settings(deadline=None, max_examples=400)
@given(requests(), SETTINGS)
def test_it_keeps_what_plain_python_keeps(request: ExportTraceServiceRequest, limits: LimitsProcessor) -> None:
    batch = decode(request.SerializeToString()).batch
    before = read_back(batch)
    limited = Limits(limits).process(batch).batch
    limit(limits, request)
    assert read_back(limited) == sorted(canonical_spans(request))
    assert read_back(batch) == before
    assert limited is batch or limited.origin is None
    assert Limits(limits).process(limited).batch is limited


@settings(deadline=None, max_examples=100)
@given(requests(), SETTINGS)
def test_only_what_belongs_to_spans_of_the_batch_is_counted(request: ExportTraceServiceRequest, limits: LimitsProcessor) -> None:
    batch = decode(request.SerializeToString()).batch
    alone = ExportTraceServiceRequest.FromString(encode_request(batch.select(np.array([0]))))
    expected = Limits(limits).process(decode(alone.SerializeToString()).batch).changes
    assert Limits(limits).process(batch.select(np.array([0]))).changes == expected


def test_changes_are_counted_by_kind() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.extend(key_values({"a": "x" * 20, "b": b"x" * 20, "c": 1, "d": 2}))
    for _ in range(4):
        span.events.add(name="e")
        span.links.add(trace_id=b"t" * 16, span_id=b"l" * 8)
    settings = LimitsProcessor(max_value_bytes=16, max_attributes=2, max_events=3, max_links=2)
    processed = Limits(settings).process(decode(request.SerializeToString()).batch)
    assert processed.changes == {
        "value_cut": 1,
        "value_too_long": 1,
        "too_many_attributes": 1,
        "too_many_events": 1,
        "too_many_links": 2,
    }
    (left,) = spans_of(ExportTraceServiceRequest.FromString(encode_request(processed.batch)))
    assert left.attributes[0].value.string_value == "x" * 13 + "…"
    assert (left.dropped_attributes_count, left.dropped_events_count, left.dropped_links_count) == (2, 1, 2)
