"""The conversion of OTLP/JSON against a plain converter over `json.loads`, on real traces and on generated ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from proto.otlp_json import json_to_protobuf
from tests.support.otlp_json import DIALECTS, from_json, to_json
from tests.support.traces import each_trace, read_trace, trace_names

LARGE_BYTES = 500_000


@pytest.mark.parametrize("name", each_trace())
def test_real_traces_come_back_from_the_json_of_every_sdk(name: str) -> None:
    message = read_trace(name).message
    dialects = DIALECTS if message.ByteSize() < LARGE_BYTES else ("javascript",)
    for dialect in dialects:
        text = to_json(message, DIALECTS[dialect])
        converted = json_to_protobuf(text)
        assert converted.warnings == ()
        assert ExportTraceServiceRequest.FromString(converted.protobuf) == message, dialect


@pytest.mark.parametrize("name", [name for name in trace_names() if not name.startswith("online-boutique-busy")])
def test_the_plain_converter_reads_real_traces_alike(name: str) -> None:
    text = to_json(read_trace(name).message)
    assert ExportTraceServiceRequest.FromString(json_to_protobuf(text).protobuf) == from_json(text)


def test_shallow_requests_are_as_short_as_the_protobuf_library_writes_them() -> None:
    message = read_trace(trace_names()[0]).message
    assert len(json_to_protobuf(to_json(message)).protobuf) == message.ByteSize()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
COUNTS = st.integers(0, 2**32 - 1)
TIMES = st.integers(0, 2**64 - 1)
SCALARS = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=TEXTS),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
    st.builds(AnyValue, bytes_value=st.binary(max_size=20)),
)


def lists(elements: st.SearchStrategy[Any], size: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(elements, max_size=size)


def containers(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    return st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=lists(values))),
        st.builds(AnyValue, kvlist_value=st.builds(KeyValueList, values=lists(st.builds(KeyValue, key=TEXTS, value=values)))),
    )


VALUES = st.recursive(SCALARS, containers, max_leaves=12)
ATTRIBUTES = lists(st.one_of(st.builds(KeyValue, key=TEXTS, value=VALUES), st.builds(KeyValue, key=TEXTS)))
TRACE_IDS = st.binary(min_size=16, max_size=16)
SPAN_IDS = st.binary(min_size=8, max_size=8)
EVENTS = st.builds(Span.Event, time_unix_nano=TIMES, name=TEXTS, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS)
LINKS = st.builds(
    Span.Link,
    trace_id=st.one_of(st.just(b""), TRACE_IDS),
    span_id=st.one_of(st.just(b""), SPAN_IDS),
    trace_state=TEXTS,
    attributes=ATTRIBUTES,
    dropped_attributes_count=COUNTS,
    flags=COUNTS,
)
STATUSES = st.one_of(st.none(), st.builds(Status, message=TEXTS, code=st.integers(0, 2)))
SPANS = st.builds(
    Span,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.one_of(st.just(b""), SPAN_IDS),
    trace_state=TEXTS,
    flags=COUNTS,
    name=TEXTS,
    kind=st.integers(-(2**31), 2**31 - 1),
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=ATTRIBUTES,
    dropped_attributes_count=COUNTS,
    events=lists(EVENTS),
    dropped_events_count=COUNTS,
    links=lists(LINKS),
    dropped_links_count=COUNTS,
    status=STATUSES,
)
SCOPES = st.one_of(
    st.none(), st.builds(InstrumentationScope, name=TEXTS, version=TEXTS, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS)
)
RESOURCES = st.one_of(st.none(), st.builds(Resource, attributes=ATTRIBUTES, dropped_attributes_count=COUNTS))
REQUESTS = st.builds(
    ExportTraceServiceRequest,
    resource_spans=lists(
        st.builds(
            ResourceSpans,
            resource=RESOURCES,
            scope_spans=lists(st.builds(ScopeSpans, scope=SCOPES, spans=lists(SPANS), schema_url=TEXTS), 2),
            schema_url=TEXTS,
        ),
        2,
    ),
)


@settings(max_examples=60, deadline=None)
@given(REQUESTS, st.sampled_from(["go", "java", "python", "pretty", "snake"]))
def test_generated_requests_come_back_from_json(message: ExportTraceServiceRequest, dialect: str) -> None:
    text = to_json(message, DIALECTS[dialect])
    converted = json_to_protobuf(text)
    assert ExportTraceServiceRequest.FromString(converted.protobuf) == message
    assert len(converted.protobuf) <= 3 * len(text)


@given(st.floats(), st.sampled_from(["{!r}", '"{!r}"', "{:.25e}", "{:.17g}"]))
def test_any_double_arrives_bit_by_bit(value: float, form: str) -> None:
    if not math.isfinite(value):
        return
    body = f'{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{{"doubleValue":{form.format(value)}}}}}]}}}}]}}'
    message = ExportTraceServiceRequest.FromString(json_to_protobuf(body.encode()).protobuf)
    found = message.resource_spans[0].resource.attributes[0].value.double_value
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))
