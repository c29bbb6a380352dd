"""The processor `span` against plain Python over messages."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.processors.span import SpanNames
from config.selection import SpanMatch
from config.span_names import SpanName, SpanProcessor, SpanStatus, ToAttributes
from proto.native_encode import encode
from proto.otlp_decode import decode
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch
from tests.support.attribute_actions import as_text
from tests.support.messages import canonical_spans
from tests.support.requests import any_value, key_values, spans_of

NAMES = st.sampled_from(["", "GET /orders/4711/items", "GET /grüße/7", "/users/me", "x", "{a}"])
VALUES = st.sampled_from(["GET", "", "grüße", 7, -1, True, 0.5, None, b"x", [1], {"k": 1}])
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b", "id"]), VALUES)
RULES = st.sampled_from(
    [
        "^GET /orders/(?P<id>[^/]+)/items$",
        "(?P<a>[0-9]+)",
        "^(?P<method>[A-Z]+)? ?/(?P<rest>(?P<first>[^/]*).*)$",
        "(?P<b>nothing)",
        "(?P<id>x*)",
    ]
)
CHANGES = st.builds(
    SpanProcessor,
    include=st.sampled_from([None, SpanMatch(match_type="regexp", span_names=("^GET", "x"))]),
    name=st.builds(
        SpanName,
        from_attributes=st.lists(st.sampled_from(["a", "b", "id"]), max_size=3).map(tuple),
        separator=st.sampled_from(["", "::"]),
        to_attributes=st.none()
        | st.builds(
            ToAttributes,
            rules=st.lists(RULES, min_size=1, max_size=3).map(tuple),
            break_after_match=st.booleans(),
            keep_original_name=st.booleans(),
        ),
    ),
    status=st.sampled_from([SpanStatus(code="Ok"), SpanStatus(code="Error", description="grüße"), SpanStatus(code="Unset")]),
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, (name, attributes) in enumerate(draw(st.lists(st.tuples(NAMES, ATTRIBUTES), min_size=1, max_size=6)), 1):
        span = spans.add(trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name=name)
        span.attributes.extend(key_values(attributes))
        span.status.code, span.status.message = 2, "before"
    return request


def change(changes: SpanProcessor, span: Span) -> None:
    """What the processor does to a span."""
    if changes.include and not any(re.search(pattern, span.name) for pattern in changes.include.span_names):
        return
    values = {entry.key: entry.value for entry in span.attributes}
    wanted = [values.get(key) for key in changes.name.from_attributes]
    scalars = ("string_value", "int_value", "bool_value", "double_value")
    if wanted and all(value is not None and value.WhichOneof("value") in scalars for value in wanted):
        span.name = changes.name.separator.join(as_text(value) for value in wanted if value is not None)
    parts = changes.name.to_attributes
    for rule in parts.rules if parts and span.name else ():
        match = re.search(rule, span.name) if span.name else None
        if match is None:
            continue
        name, end = "", 0
        for group in match.re.groupindex:
            if match[group] is None:
                continue
            values[group] = any_value(match[group])
            if match.start(group) >= end:
                name += span.name[end : match.start(group)] + "{" + group + "}"
                end = match.end(group)
        if parts and not parts.keep_original_name:
            span.name = name + span.name[end:]
        if parts and parts.break_after_match:
            break
    attributes = [KeyValue(key=key, value=value) for key, value in values.items()]
    del span.attributes[:]
    span.attributes.extend(attributes)
    if changes.status:
        span.status.code = {"Unset": 0, "Ok": 1, "Error": 2}[changes.status.code]  # type: ignore[assignment]  # an enum's number
        span.status.message = changes.status.description


def comparable(request: ExportTraceServiceRequest) -> list[tuple[str, bytes]]:
    """The order of attributes means nothing."""
    for span in spans_of(request):
        span.attributes.sort(key=lambda entry: entry.key)
    return sorted(canonical_spans(request))


def read_back(batch: SpanBatch) -> list[tuple[str, bytes]]:
    encode(batch)
    return comparable(ExportTraceServiceRequest.FromString(encode_request(batch)))


@settings(deadline=None, max_examples=400)
@given(requests(), CHANGES)
def test_it_does_what_plain_python_does(request: ExportTraceServiceRequest, changes: SpanProcessor) -> None:
    batch = decode(request.SerializeToString()).batch
    before = read_back(batch)
    changed = SpanNames(changes).process(batch).batch
    for span in spans_of(request):
        change(changes, span)
    assert read_back(changed) == comparable(request)
    assert read_back(batch) == before
    assert changed is batch or changed.origin is None


def renamed(name: str, **keys: Any) -> Span:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=name)
    processor = SpanNames(SpanProcessor.model_validate({"name": keys}))
    batch = processor.process(decode(request.SerializeToString()).batch).batch
    (span,) = spans_of(ExportTraceServiceRequest.FromString(encode_request(batch)))
    return span


def test_a_rule_moves_a_part_of_the_name_to_an_attribute() -> None:
    span = renamed("GET /orders/4711/items", to_attributes={"rules": ["^GET /orders/(?P<order_id>[^/]+)/items$"]})
    assert span.name == "GET /orders/{order_id}/items"
    assert {entry.key: entry.value.string_value for entry in span.attributes} == {"order_id": "4711"}


def test_a_name_stays_where_an_attribute_is_missing() -> None:
    assert renamed("before", from_attributes=["a"]).name == "before"
