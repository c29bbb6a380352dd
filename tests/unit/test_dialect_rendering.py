"""Spans through the JSON of each dialect and back: what was sent comes back, as far as the dialect can say it."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector.api.jaeger import rendering as jaeger
from collector.api.otlp_json import OTLP, PROTOBUF, resource_spans
from collector.api.rendering import json_bytes
from collector.api.zipkin import rendering as zipkin
from collector.query.attributes import typed_values
from collector.query.otlp import to_traces_data
from collector.query.spans import Spans
from tests.support.drawn_requests import drawn_request
from tests.support.messages import canonical_spans, with_base64_ids
from tests.support.requests import Shape, every_value_request, generated_request
from tests.support.rows import rows_of
from tests.support.stored import spans_by_trace

SCALARS = st.text(max_size=5) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4)


@st.composite
def traces(draw: st.DrawFn) -> list[Spans]:
    return list(spans_by_trace(rows_of(drawn_request(draw, ATTRIBUTES))).values())


def stored_traces() -> list[Spans]:
    """Every type of value, and spans with events, links, parents and errors."""
    requests = (every_value_request(), generated_request(Shape(spans=100, links_share=0.2, errors_share=0.2), seed=1))
    return [spans for request in requests for spans in spans_by_trace(rows_of(request)).values()]


def check_otlp(spans: Spans) -> None:
    wanted = sorted(canonical_spans(to_traces_data(spans)))
    for form, turned in ((OTLP, with_base64_ids), (PROTOBUF, lambda node: node)):
        document = json.loads(json_bytes({"resourceSpans": resource_spans(spans, form)}))
        assert sorted(canonical_spans(ParseDict(turned(document), TracesData()))) == wanted


def value_of_tag(tag: dict[str, Any]) -> Any:
    """The value that a reader of Jaeger's JSON takes a tag for; nested ones are texts to it."""
    match tag["type"]:
        case "int64":
            return int(tag["value"])
        case "float64":
            return float(tag["value"])
        case "binary":
            return base64.b64decode(tag["value"])
    return tag["value"]


def alike(left: Any, right: Any) -> bool:
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return type(left) is type(right) and left == right


def check_jaeger(spans: Spans) -> None:
    document = json.loads(jaeger.written(jaeger.trace(spans)))
    assert [each["spanID"] for each in document["spans"]] == spans.span_ids
    for row, each in enumerate(document["spans"]):
        sent = list(typed_values(spans.attributes[row]))
        assert [tag["key"] for tag in each["tags"][: len(sent)]] == [key for key, _ in sent]
        for tag, (_, value) in zip(each["tags"], sent, strict=False):
            assert isinstance(value, list | dict) or alike(value_of_tag(tag), "" if value is None else value)
        assert each["startTime"] == spans.starts[row] // 1000
        assert len(each["logs"]) == len(spans.events[row])
        assert len(each["references"]) == len(spans.links[row]) + bool(spans.parent_span_ids[row])
        process = document["processes"][each["processID"]]
        resource = [key for key in spans.resources[row].attributes.keys if key != "service.name"]
        assert [tag["key"] for tag in process["tags"]] == resource
        assert process["serviceName"] == (spans.services[row] or "unknown_service")


def check_zipkin(spans: Spans) -> None:
    for row, each in enumerate(json.loads(json_bytes(zipkin.trace(spans)))):
        assert (each["id"], each["name"]) == (spans.span_ids[row], spans.names[row].lower())
        texts = dict(zip(spans.attributes[row].keys, spans.attributes[row].values, strict=True))
        own = {"otel.scope.name", "otel.scope.version", "otel.status_code", "error"}
        assert {key: each["tags"][key] for key in texts if key not in own} == {
            key: text for key, text in texts.items() if key not in own
        }


def test_stored_traces_come_back_through_every_dialect() -> None:
    for spans in stored_traces():
        check_otlp(spans)
        check_jaeger(spans)
        check_zipkin(spans)


@settings(deadline=None, max_examples=50)
@given(traces())
def test_drawn_traces_come_back_through_every_dialect(drawn: list[Spans]) -> None:
    for spans in drawn:
        check_otlp(spans)
        check_jaeger(spans)
        check_zipkin(spans)
