"""Blocks in ClickHouse's Native format, read back by clickhouse-connect's own reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proto.join import concatenate
from proto.native_encode import Encoder, encode
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.faulty_clickhouse import read_native
from tests.support.requests import every_value_request


def spans_with(attributes: Sequence[Mapping[str, str]]) -> SpanBatch:
    """A span for each of these sets of attributes, named by its place."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, of_span in enumerate(attributes):
        span = spans.add(
            trace_id=(number + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"), name=f"span {number}"
        )
        for key, value in of_span.items():
            span.attributes.add(key=key).value.string_value = value
    return decode(request.SerializeToString()).batch


@pytest.mark.parametrize("distinct", [1, 255, 256, 257, 2_048, 2_049, 70_000])
def test_any_number_of_distinct_names_and_keys(distinct: int) -> None:
    attributes = [{f"key {number}": f"value {number}"} for number in range(distinct)]
    columns = read_native(encode(spans_with(attributes)).data.tobytes())
    assert columns["SpanName"] == [f"span {number}" for number in range(distinct)]
    assert columns["SpanAttributes"] == attributes


@pytest.mark.parametrize("kind", ["array_value", "kvlist_value"])
def test_a_batch_whose_only_nested_value_is_empty(kind: str) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    getattr(span.attributes.add(key="a").value, kind).SetInParent()
    columns = read_native(encode(decode(request.SerializeToString()).batch).data.tobytes())
    assert columns["SpanAttributes"] == [{"a": "[]" if kind == "array_value" else "{}"}]


def test_an_encoder_used_again_writes_what_a_new_one_would() -> None:
    small = decode(every_value_request().SerializeToString()).batch
    large = concatenate([small, spans_with([{"filler": "x" * 1_000_000}] * 30), small])
    encoder = Encoder()
    for batch in (small, large, small, small.select(slice(0, 0)), small):
        assert encoder.encode(batch).data.tobytes() == encode(batch).data.tobytes()


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.lists(st.dictionaries(texts, texts, max_size=8), min_size=1, max_size=40))
@settings(deadline=None)
def test_keys_in_any_order_and_number(attributes: list[dict[str, str]]) -> None:
    columns = read_native(encode(spans_with(attributes)).data.tobytes())
    assert columns["SpanAttributes"] == attributes
