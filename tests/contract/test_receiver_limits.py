"""Receiver contract, section LIMIT: sizes, bombs and memory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import resource
import zlib
from collections.abc import AsyncIterator

import cramjam
import grpc
import grpc.aio
import lz4.frame
import orjson
import pytest
import zstandard
from google.rpc import status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import Refused
from collector.receivers.http_body import decompress
from collector.receivers.settings import GrpcSettings, HttpSettings, size_limit
from tests.support.http2 import EXPORT, Http2Client, Reply, framed
from tests.support.receivers import V1, V4, Receivers, post, raw_http, read_reply, receivers
from tests.support.waiting import until

LIMIT = 1024


def request_of(size: int) -> bytes:
    """A valid request without spans, of so many bytes: one unknown field of bytes (number 99)."""
    length = size - 4
    return b"\x9a\x06" + bytes([length & 0x7F | 0x80, length >> 7]) + bytes(length)


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with receivers(grpc=GrpcSettings(max_request_bytes=LIMIT), http=HttpSettings(max_request_bytes=LIMIT)) as both:
        yield both


async def test_limit_01_a_body_at_the_limit_is_served_and_one_byte_more_is_413(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(request_of(LIMIT)))).status == 200
    reply = await raw_http(both.http.port, post(request_of(LIMIT + 1)))
    assert reply.status == 413
    assert status_pb2.Status.FromString(reply.body).message


async def test_limit_01_a_chunked_body_is_stopped_at_the_limit(both: Receivers) -> None:
    head = post(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    chunk = b"200\r\n" + bytes(512) + b"\r\n"
    assert (await raw_http(both.http.port, head + chunk * 3 + b"0\r\n\r\n")).status == 413


async def test_limit_01_a_body_is_413_when_it_grows_over_the_limit(both: Receivers) -> None:
    assert (await raw_http(both.http.port, post(gzip.compress(bytes(2048)), Content_Encoding="gzip"))).status == 413
    assert (await raw_http(both.http.port, post(gzip.compress(request_of(LIMIT)), Content_Encoding="gzip"))).status == 200


async def test_limit_02_and_03_an_oversize_message_is_8_without_retry_info(both: Receivers) -> None:
    async with await Http2Client.connect(both.grpc.port) as client:
        assert (await client.call(framed(request_of(LIMIT)))).grpc_status == 0
        plain = await client.call(framed(request_of(LIMIT + 1)))
        inflating = await client.call(framed(gzip.compress(request_of(LIMIT + 1)), compressed=True), {"grpc-encoding": "gzip"})
        for reply in (plain, inflating):
            assert reply.grpc_status == 8
            assert "google.rpc.retryinfo-bin" not in reply.headers | reply.trailers
            assert not status_details(reply).details
        assert (await client.call(framed(V1))).grpc_status == 0


def status_details(reply: Reply) -> status_pb2.Status:
    encoded = (reply.headers | reply.trailers)["grpc-status-details-bin"]
    return status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))


def zeros(size: int, coding: str) -> bytes:
    """So many zero bytes in a content coding, made without holding them."""
    match coding:
        case "zstd":
            compressor = zstandard.ZstdCompressor().compressobj()
        case "lz4":
            compressor = lz4.frame.LZ4FrameCompressor(block_size=lz4.frame.BLOCKSIZE_MAX4MB)
        case _:
            compressor = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    block = bytes(1 << 20)
    if coding == "x-snappy-framed":
        return bytes(cramjam.snappy.compress(block)) * (size >> 20)
    begin = compressor.begin() if coding == "lz4" else b""
    return begin + b"".join(compressor.compress(block) for _ in range(size >> 20)) + compressor.flush()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "lz4", "x-snappy-framed"])
def test_limit_04_a_bomb_is_stopped_at_the_limit_in_bounded_memory(coding: str) -> None:
    bomb = zeros(64 << 20, coding)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match="larger than 16777216 bytes"):
        decompress(coding, bomb, 16 << 20)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 2 * (16 << 10)


def test_limit_04_a_block_of_snappy_that_says_that_it_is_a_bomb_is_not_begun() -> None:
    with pytest.raises(Refused, match="larger than 16777216 bytes"):
        decompress("snappy", b"\xff\xff\xff\xff\x0f", 16 << 20)


async def test_limit_04_a_grpc_bomb_is_8_in_bounded_memory() -> None:
    bomb = zeros(64 << 20, "gzip")
    async with receivers(grpc=GrpcSettings(max_request_bytes=16 << 20)) as both:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with await Http2Client.connect(both.grpc.port) as client:
            # The window of a new stream holds 64 KiB, enough to inflate to 64 MiB.
            reply = await client.call(framed(bomb[:60_000], compressed=True), {"grpc-encoding": "gzip"})
        assert reply.grpc_status in (3, 8, 13)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 2 * (16 << 10)
        assert not both.consumer.batches


async def test_limit_05_a_client_that_uploads_too_much_sees_413() -> None:
    async with receivers(http=HttpSettings(max_request_bytes=LIMIT)) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        size = 20 << 20
        writer.write(post(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % size))
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
        reply = await read_reply(reader)
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        writer.close()


async def test_limit_06_a_hundred_thousand_bad_spans_make_a_small_answer() -> None:
    bad_spans = 100_000
    async with receivers() as both:
        reply = await raw_http(both.http.port, post(V4 * bad_spans))
        assert ExportTraceServiceResponse.FromString(reply.body).partial_success.rejected_spans == bad_spans
        assert len(reply.body) < 64 << 10


async def test_limit_06_a_long_error_message_is_shortened(both: Receivers) -> None:
    both.consumer.fail_with(Refused("x" * 100_000, "permission_denied"))
    reply = await raw_http(both.http.port, post(V1))
    assert reply.status == 403
    assert len(reply.body) < 4096


@pytest.mark.parametrize("configured", [0, -1])
def test_limit_07_zero_and_less_mean_the_default(configured: int) -> None:
    assert size_limit(configured) == 64 << 20


async def test_conf_03_more_than_20_mib_are_accepted_by_default() -> None:
    request = b"\x9a\x06" + bytes([0x81, 0x80, 0x80, 0x0A]) + bytes((20 << 20) + 1)
    async with receivers() as both:
        assert (await raw_http(both.http.port, post(request))).status == 200
        async with grpc.aio.insecure_channel(f"127.0.0.1:{both.grpc.port}") as channel:
            assert await channel.unary_unary(EXPORT)(request) == b""
        assert both.in_flight.held_bytes == 0


async def test_limit_09_twenty_thousand_spans_are_taken() -> None:
    async with receivers() as both:
        assert (await raw_http(both.http.port, post(V1 * 20_000))).status == 200
        assert both.consumer.spans == 20_000


@pytest.mark.parametrize("part", ["header", "url"])
async def test_limit_10_an_endless_head_is_431_in_json(both: Receivers, part: str) -> None:
    long = "x" * (1 << 20)
    request = post(V1, X_Long=long) if part == "header" else post(V1, f"/v1/traces?{long}")
    reply = await raw_http(both.http.port, request)
    assert reply.status == 431
    assert orjson.loads(reply.body)["message"]


@pytest.mark.parametrize(
    ("sent", "hint"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "gRPC"),
        (bytes.fromhex("16030100a5010000a10303"), "ask for http://"),
        (b"hello\r\n\r\n", "not a valid HTTP request"),
    ],
    ids=["http2", "tls", "neither"],
)
async def test_limit_10_what_is_not_http_is_400_in_json_and_says_what_it_seems_to_be(
    both: Receivers, sent: bytes, hint: str
) -> None:
    reply = await raw_http(both.http.port, sent)
    assert reply.status == 400
    assert hint in orjson.loads(reply.body)["message"]
    assert both.counts.failed_requests == {"malformed": 1}


async def test_bytes_in_flight_are_bounded_over_both_transports() -> None:
    async with receivers(in_flight_bytes=100) as both:
        gate = asyncio.Event()
        both.consumer.before = lambda _: gate.wait()
        first = asyncio.create_task(raw_http(both.http.port, post(V1)))
        await until(lambda: both.in_flight.held_bytes == len(V1))
        assert (await raw_http(both.http.port, post(V1))).status == 503
        async with await Http2Client.connect(both.grpc.port) as client:
            assert (await client.call(framed(V1))).grpc_status == 14
            gate.set()
            assert (await first).status == 200
            assert (await client.call(framed(V1))).grpc_status == 0
        assert (await raw_http(both.http.port, post(V1))).status == 200
        assert both.in_flight.held_bytes == 0


async def test_a_request_larger_than_the_bound_in_flight_is_taken_when_alone() -> None:
    async with receivers(in_flight_bytes=10) as both:
        assert (await raw_http(both.http.port, post(V1))).status == 200
        assert (await raw_http(both.http.port, post(gzip.compress(V1), Content_Encoding="gzip"))).status == 200


async def test_a_full_process_refuses_before_it_reads_the_body() -> None:
    async with receivers(in_flight_bytes=100) as both:
        both.in_flight.reserve(200)
        assert (await raw_http(both.http.port, post(V1)[: -len(V1)])).status == 503
        both.in_flight.release(200)
