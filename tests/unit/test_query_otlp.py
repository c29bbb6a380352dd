"""What comes out as OTLP is what went in, compared span by span with the protobuf messages that were stored."""

from __future__ import annotations

from collections import defaultdict

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector.query.otlp import to_traces_data
from tests.support.messages import canonical_spans
from tests.support.requests import Shape, every_value_request, generated_request
from tests.support.rows import MAX_TIMESTAMP, rows_of
from tests.support.stored import spans_by_trace
from tests.support.traces import all_traces


def assert_nothing_is_lost(message: ExportTraceServiceRequest | TracesData) -> None:
    sent: dict[str, set[bytes]] = defaultdict(set)
    for trace_id, span in canonical_spans(message):
        sent[trace_id].add(span)
    for trace_id, spans in spans_by_trace(rows_of(message)).items():
        assert {span for _, span in canonical_spans(to_traces_data(spans))} == sent[trace_id]


def test_every_field_and_every_type_of_value_comes_back() -> None:
    assert_nothing_is_lost(every_value_request())


def test_generated_requests_come_back() -> None:
    assert_nothing_is_lost(generated_request(Shape(spans=64, services=3, links_share=0.3, events_share=0.5)))


def test_real_traces_come_back() -> None:
    for file in all_traces()[::20]:
        assert_nothing_is_lost(file.message)


def one_span(**fields: object) -> TracesData:
    message = TracesData()
    span = message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    for name, value in fields.items():
        setattr(span, name, value)
    return message


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (10, 20),
        (10, 10),
        (20, 10),
        (MAX_TIMESTAMP, MAX_TIMESTAMP + 5),
        (MAX_TIMESTAMP + 1, MAX_TIMESTAMP + 5),
        (2**64 - 1, 2**64 - 1),
        (2**64 - 1, 1),
        (0, 2**64 - 1),
        (0, 0),
    ],
)
def test_times_that_no_timestamp_holds_come_back(start: int, end: int) -> None:
    assert_nothing_is_lost(one_span(start_time_unix_nano=start, end_time_unix_nano=end))


def test_an_end_of_zero_reads_as_the_start() -> None:
    (spans,) = spans_by_trace(rows_of(one_span(start_time_unix_nano=10, end_time_unix_nano=0))).values()
    assert (spans.starts, spans.ends) == ([10], [10])


@pytest.mark.parametrize("kind", [-1, 6, 2**31 - 1])
def test_kinds_that_have_no_name_come_back(kind: int) -> None:
    assert_nothing_is_lost(one_span(kind=kind))


def test_event_times_beyond_the_timestamps_come_back() -> None:
    message = one_span(start_time_unix_nano=5, end_time_unix_nano=9)
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.events.extend([Span.Event(time_unix_nano=7, name="a"), Span.Event(time_unix_nano=2**64 - 1, name="b")])
    assert_nothing_is_lost(message)


def test_repeated_keys_and_their_order_come_back() -> None:
    message = one_span()
    span = message.resource_spans[0].scope_spans[0].spans[0]
    for key, value in (("b", 1), ("a", 2), ("b", 3)):
        span.attributes.add(key=key, value=AnyValue(int_value=value))
    (spans,) = spans_by_trace(rows_of(message)).values()
    (found,) = to_traces_data(spans).resource_spans[0].scope_spans[0].spans
    assert [(entry.key, entry.value.int_value) for entry in found.attributes] == [("b", 1), ("a", 2), ("b", 3)]


def test_data_24_a_span_that_was_sent_twice_is_there_once() -> None:
    message = every_value_request()
    message.resource_spans.extend(every_value_request().resource_spans)
    (spans,) = spans_by_trace(rows_of(message)).values()
    assert len(spans) == 2


def test_data_25_client_and_server_under_one_id_are_two_spans() -> None:
    message = one_span(kind=Span.SPAN_KIND_CLIENT)
    message.resource_spans.extend(one_span(kind=Span.SPAN_KIND_SERVER).resource_spans)
    (spans,) = spans_by_trace(rows_of(message)).values()
    assert sorted(spans.kinds) == [2, 3]
