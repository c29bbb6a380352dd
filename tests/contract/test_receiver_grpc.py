"""Receiver contract, section GRPC: the transport and the service, seen on the wire."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from collector.receivers.otlp_grpc import SERVICE
from collector.receivers.settings import GrpcSettings
from tests.support.http2 import EXPORT, Http2Client, framed
from tests.support.receivers import V1, Receivers, receivers
from tests.support.waiting import until


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers() as both:
        yield both


@pytest.fixture
async def client(both: Receivers) -> AsyncIterator[Http2Client]:
    async with await Http2Client.connect(both.grpc.port) as client:
        yield client


def test_grpc_02_the_default_is_port_4317_on_the_loopback() -> None:
    assert (GrpcSettings().host, GrpcSettings().port) == ("localhost", 4317)


async def test_grpc_01_export_stores_a_span(both: Receivers, client: Http2Client) -> None:
    reply = await client.call(framed(V1))
    assert reply.headers[":status"] == "200"
    assert reply.grpc_status == 0
    assert both.consumer.names == ["n"]


async def test_grpc_03_cleartext_with_prior_knowledge_is_answered_with_settings(both: Receivers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", both.grpc.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
    frame_head = await reader.readexactly(9)
    writer.close()
    assert frame_head[3] == 4


async def test_grpc_04_success_is_a_framed_message_before_the_trailers(client: Http2Client) -> None:
    reply = await client.call(framed(V1))
    assert reply.data == framed(b"")
    assert reply.trailers["grpc-status"] == "0"


async def test_grpc_06_content_types_of_grpc_are_served_and_others_do_not_hang(client: Http2Client) -> None:
    assert (await client.call(framed(V1), {"content-type": "application/grpc+proto"})).grpc_status == 0
    assert (await client.call(framed(V1), {"content-type": "application/json"})).ended


@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "OTEL_METRICS_EXPORTER=none"),
        ("opentelemetry.proto.collector.logs.v1.LogsService/Export", "OTEL_LOGS_EXPORTER=none"),
        ("opentelemetry.proto.collector.trace.v1.TraceService/Import", EXPORT),
        ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", EXPORT),
    ],
)
async def test_grpc_07_an_unknown_method_is_unimplemented_counted_and_says_what_to_change(
    both: Receivers, client: Http2Client, method: str, hint: str
) -> None:
    reply = await client.call(framed(b""), path=f"/{method}")
    assert reply.grpc_status == 12
    assert hint in reply.headers["grpc-message"]
    assert both.counts.failed_requests == {"not_found": 1}
    assert (await client.call(framed(V1))).grpc_status == 0


async def test_grpc_08_a_request_without_data_is_a_success(both: Receivers, client: Http2Client) -> None:
    reply = await client.call(framed(b""))
    assert (reply.data, reply.grpc_status) == (framed(b""), 0)
    assert not both.consumer.batches
    assert not both.counts.failed_requests


@pytest.mark.parametrize("message", ["0a0501", V1[:-3].hex(), "0a05", "0affffffffffffffffff01"])
async def test_grpc_09_undecodable_protobuf_is_an_invalid_argument(client: Http2Client, message: str) -> None:
    assert (await client.call(framed(bytes.fromhex(message)))).grpc_status == 3


@pytest.mark.parametrize("sent", [framed(V1)[:-7], b"", framed(V1)[:3]])
async def test_grpc_10_a_missing_or_cut_off_message_is_an_error_and_the_connection_survives(
    both: Receivers, client: Http2Client, sent: bytes
) -> None:
    assert (await client.call(sent)).grpc_status == 3
    assert not both.consumer.batches
    assert (await client.call(framed(V1))).grpc_status == 0


async def test_grpc_11_a_slow_call_does_not_hold_up_the_others_of_its_connection(both: Receivers, client: Http2Client) -> None:
    gate = asyncio.Event()
    both.consumer.before = lambda _: gate.wait()
    slow = client.begin(framed(V1))
    await until(lambda: both.in_flight.held_bytes > 0)
    both.consumer.before = None
    for stream in [client.begin(framed(V1)) for _ in range(99)]:
        assert (await client.reply(stream)).grpc_status == 0
    assert both.consumer.spans == 99
    gate.set()
    assert (await client.reply(slow)).grpc_status == 0
    assert both.consumer.spans == 100


async def test_grpc_12_a_call_over_its_deadline_ends_with_4_and_leaks_nothing(both: Receivers) -> None:
    gate = asyncio.Event()
    both.consumer.before = lambda _: gate.wait()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await channel.unary_unary(EXPORT)(V1, timeout=0.05)
        assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        gate.set()
        assert await channel.unary_unary(EXPORT)(V1) == b""
    assert both.in_flight.held_bytes == 0


async def test_grpc_13_unknown_metadata_is_ignored(client: Http2Client) -> None:
    assert (await client.call(framed(V1), {"x-foo": "bar" * 1365})).grpc_status == 0


async def test_grpc_14_http_1_on_the_grpc_port_is_told_where_to_go_and_closed(both: Receivers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", both.grpc.port)
    writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: collector.test\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(10):
        answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 426 ")
    assert answer.endswith("OTLP over HTTP goes to the receiver's HTTP endpoint, usually port 4318")
    assert both.counts.failed_requests == {"malformed": 1}


async def test_net_17_no_user_agent_is_needed(client: Http2Client) -> None:
    assert (await client.call(framed(V1))).grpc_status == 0


async def test_comp_01_a_gzip_message_is_served(both: Receivers, client: Http2Client) -> None:
    reply = await client.call(framed(gzip.compress(V1), compressed=True), {"grpc-encoding": "gzip"})
    assert reply.grpc_status == 0
    assert both.consumer.names == ["n"]


async def test_comp_10_an_uncompressed_message_may_come_under_grpc_encoding_gzip(client: Http2Client) -> None:
    assert (await client.call(framed(V1), {"grpc-encoding": "gzip"})).grpc_status == 0


@pytest.mark.parametrize("headers", [{}, {"grpc-encoding": "identity"}])
async def test_comp_11_a_compressed_message_without_its_encoding_is_final(client: Http2Client, headers: dict[str, str]) -> None:
    assert (await client.call(framed(V1, compressed=True), headers)).grpc_status == 13


async def test_comp_12_an_unknown_grpc_encoding_is_final(client: Http2Client) -> None:
    assert (await client.call(framed(V1), {"grpc-encoding": "nosuch"})).grpc_status in (12, 13)


async def test_comp_13_a_corrupt_gzip_message_is_final_and_the_connection_survives(client: Http2Client) -> None:
    reply = await client.call(framed(b"notgzip", compressed=True), {"grpc-encoding": "gzip"})
    assert reply.grpc_status in (3, 13)
    assert (await client.call(framed(V1))).grpc_status == 0


async def test_comp_14_answers_use_only_encodings_that_the_client_listed(client: Http2Client) -> None:
    reply = await client.call(framed(V1), {"grpc-accept-encoding": "identity,gzip"})
    assert reply.data == framed(b"")


async def test_net_14_the_health_service_reports_serving(both: Receivers) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await health.Check(health_pb2.HealthCheckRequest(service="other"))
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND
