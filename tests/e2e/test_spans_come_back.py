"""What services send is in the table, and comes back as it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from random import Random

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from collector.cli import UserError
from collector.replay.senders import connect
from tests.support.daemon import Daemon, eventually
from tests.support.messages import canonical_spans
from tests.support.otlp_json import to_json
from tests.support.requests import every_value_request, one_span_request, tree_request
from tests.support.rows import rows_of
from tests.support.traces import all_traces

TRACES_READ_BACK = 120

Send = Callable[[Daemon, ExportTraceServiceRequest], None]


def over_grpc(daemon: Daemon, request: ExportTraceServiceRequest) -> None:
    assert not daemon.export(request).HasField("partial_success")


def over_http(daemon: Daemon, request: ExportTraceServiceRequest) -> None:
    body = gzip.compress(request.SerializeToString())
    assert daemon.post(body, "application/x-protobuf", **{"Content-Encoding": "gzip"}) == (200, b"")


def as_json(daemon: Daemon, request: ExportTraceServiceRequest) -> None:
    assert daemon.post(to_json(request), "application/json") == (200, b"{}")


@pytest.mark.parametrize(("seed", "send"), [(1, over_grpc), (2, over_http), (3, as_json)], ids=["grpc", "http", "json"])
def test_a_request_over_each_transport_comes_back_as_it_was(daemon: Daemon, seed: int, send: Send) -> None:
    request = every_value_request(seed=1000 + seed)
    send(daemon, request)
    (trace_id,) = {trace_id for trace_id, _ in canonical_spans(request)}
    eventually(lambda: daemon.stored(f"TraceId = '{trace_id}'") == 2, "both spans in the table")
    assert sorted(canonical_spans(daemon.trace(trace_id))) == sorted(canonical_spans(request))


def test_rows_are_what_the_mapping_says(daemon: Daemon) -> None:
    request = every_value_request(seed=1010)
    daemon.export(request)
    expected = {row["SpanId"]: row for row in rows_of(request)}
    trace_id = next(iter(expected.values()))["TraceId"]
    plain = ("ServiceName", "SpanName", "SpanKind", "StatusCode", "StatusMessage", "TraceState", "ParentSpanId", "Workspace")
    numbers = ("Duration", "Flags", "DroppedAttributesCount", "ResourceDroppedAttributesCount", "ScopeDroppedAttributesCount")
    lists = ("Events.Name", "Links.SpanId", "Events.AttributesTypes")
    columns = ", ".join(f"`{name}`" for name in ("SpanId", *plain, *numbers, *lists))
    attributes = "mapKeys(SpanAttributes) AS Keys, mapValues(SpanAttributes) AS Values, toUnixTimestamp64Nano(Timestamp) AS Start"
    eventually(lambda: daemon.stored(f"TraceId = '{trace_id}'") == 2, "both spans in the table")
    answer = daemon.sql(
        f"SELECT {columns}, {attributes} FROM otel_traces WHERE TraceId = '{trace_id}' "
        "SETTINGS output_format_json_quote_64bit_integers = 0 FORMAT JSONEachRow"
    )
    for row in map(json.loads, answer.splitlines()):
        wanted = expected.pop(row["SpanId"])
        assert {name: row[name] for name in (*plain, *numbers, *lists)} == {
            name: wanted[name] for name in (*plain, *numbers, *lists)
        }
        assert list(zip(row["Keys"], row["Values"], strict=True)) == wanted["SpanAttributes"]
        assert row["Start"] == wanted["Timestamp"]
    assert expected == {}


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_service_with_the_plain_sdk_is_heard(daemon: Daemon, transport: str) -> None:
    exporter: SpanExporter
    if transport == "grpc":
        exporter = GrpcExporter(endpoint=f"127.0.0.1:{daemon.ports.grpc}", insecure=True)
    else:
        exporter = HttpExporter(endpoint=f"http://127.0.0.1:{daemon.ports.http}/v1/traces")
    service = f"sdk-{transport}"
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent"), tracer.start_as_current_span("child") as child:
        child.add_event("something happened", {"answer": 42})
    provider.shutdown()
    eventually(lambda: daemon.stored(f"ServiceName = '{service}'") == 2, "both spans in the table")
    trace_id = daemon.sql(f"SELECT any(TraceId) FROM otel_traces WHERE ServiceName = '{service}'")
    status, body = daemon.get(f"/api/v1/traces?service={service}")
    assert status == 200
    assert [hit["traceId"] for hit in json.loads(body)["traces"]] == [trace_id]
    assert daemon.get(f"/api/v1/traces/{trace_id}/waterfall")[0] == 200


def test_real_traces_come_back_as_they_were_whatever_requests_cut_them(daemon: Daemon) -> None:
    sent: dict[str, set[bytes]] = {}
    rejected = 0
    before = daemon.metric("otelcol_receiver_refused_spans_total")
    for trace in all_traces():
        answer = daemon.export(trace.body)
        rejected += answer.partial_success.rejected_spans
        for trace_id, span in canonical_spans(trace.message):
            if len(trace_id) == 32 and trace_id.strip("0"):
                sent.setdefault(trace_id, set()).add(span)
    spans = sum(trace.spans for trace in all_traces())
    eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty queue", 60)
    assert daemon.metric("otelcol_receiver_refused_spans_total") - before == rejected
    # Not everything, for the time it takes; but always the same, and all the traces of few spans as well as of many.
    chosen = Random(5).sample(sorted(sent), min(TRACES_READ_BACK, len(sent)))
    largest = sorted(sent, key=lambda trace_id: len(sent[trace_id]))[-3:]
    for trace_id in {*chosen, *largest}:
        assert {span for _, span in canonical_spans(daemon.trace(trace_id))} == sent[trace_id], trace_id
    assert daemon.metric("otelcol_receiver_accepted_spans_total") >= spans - rejected


def test_a_span_with_an_impossible_id_is_refused_alone_and_counted(daemon: Daemon) -> None:
    request = tree_request(depth=3, service="one-refused", seed=1020)
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    answer = daemon.export(request)
    assert answer.partial_success.rejected_spans == 1
    assert "trace_id" in answer.partial_success.error_message
    eventually(lambda: daemon.stored("ServiceName = 'one-refused'") == 2, "the other two in the table")
    assert daemon.metric("spanhouse_receiver_refused_spans_total", reason="trace_id_length", transport="grpc") >= 1


def test_every_acknowledged_span_is_counted_as_stored(daemon: Daemon) -> None:
    daemon.export(tree_request(depth=2, seed=1030))
    eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty queue")
    accepted = daemon.metric("otelcol_receiver_accepted_spans_total")
    assert accepted == daemon.metric("otelcol_exporter_sent_spans_total") == daemon.stored()


@pytest.mark.parametrize(("protocol", "other"), [("grpc", "http"), ("http", "grpc")])
async def test_requests_over_the_other_protocol_than_a_port_takes_are_told_at_once(
    daemon: Daemon, protocol: str, other: str
) -> None:
    endpoint = f"127.0.0.1:{getattr(daemon.ports, other)}"
    with pytest.raises(UserError, match=f"^{endpoint} takes .*; give --protocol {other}, or the port of the other$"):
        async with connect(protocol, endpoint):
            pass
    async with connect(other, endpoint) as sender:
        assert await sender.send(one_span_request(seed=77).SerializeToString()) == 0
