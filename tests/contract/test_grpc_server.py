"""The gRPC server of our own: calls as gRPC over HTTP/2 has them, frame by frame, with both event loops."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib

import cramjam
import pytest
import zstandard
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from collector.errors import Refused
from tests.support.grpc_servers import ECHO, Serving, echoes
from tests.support.http2 import (
    PREFACE,
    Http2Client,
    framed,
    raw_frame,
)

MESSAGE = b"a message"
LARGE = random.Random(1).randbytes(300_000)


def whole_connection(*frames: Frame) -> bytes:
    return PREFACE + SettingsFrame(0).serialize() + b"".join(frame.serialize() for frame in frames)


def call_frames(client: Http2Client, *, priority: bool = False, pad: int | None = None) -> tuple[int, list[Frame]]:
    """One call of one message, in frames of one kind or another."""
    stream, block = client.head(path=ECHO)
    head = HeadersFrame(stream, block, flags=["END_HEADERS"])
    data = DataFrame(stream, framed(MESSAGE), flags=["END_STREAM"])
    if priority:
        head.flags.add("PRIORITY")
    if pad is not None:
        for frame in (head, data):
            frame.flags.add("PADDED")
            frame.pad_length = pad
    return stream, [head, data]


async def test_frames_may_be_cut_anywhere(served: Serving) -> None:
    async with await Http2Client.connect(served.port) as client:
        _, call = call_frames(client)
    sent = whole_connection(*call)
    for at in range(1, len(sent)):
        async with Http2Client(*await asyncio.open_connection("127.0.0.1", served.port)) as client:
            client.answers = False
            stream, _ = client.head()
            client.write(sent[:at])
            await client.drain()
            if at >= len(PREFACE):
                await client.receive()  # what came first has been read
            client.write(sent[at:])
            assert (await client.reply(stream)).data == framed(MESSAGE)


@pytest.mark.parametrize("pad", [0, 1, 255])
@pytest.mark.parametrize("priority", [False, True])
async def test_padding_and_priorities_are_skipped(client: Http2Client, pad: int, priority: bool) -> None:
    stream, frames = call_frames(client, priority=priority, pad=pad)
    client.send(*frames)
    assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_large_messages_may_be_padded(client: Http2Client) -> None:
    stream, block = client.head(path=ECHO)
    client.send(HeadersFrame(stream, block, flags=["END_HEADERS"]))
    sent = framed(LARGE)
    for start in range(0, len(sent), 100_000):
        data = DataFrame(stream, sent[start : start + 100_000], flags=["PADDED"], pad_length=200)
        client.write(data.serialize())
    client.send(DataFrame(stream, flags=["END_STREAM"]))
    client.open_window(1 << 20)
    client.open_window(1 << 20, stream)
    assert (await client.reply(stream)).data == sent


async def test_headers_may_be_continued_in_frames_of_any_size(client: Http2Client) -> None:
    stream, block = client.head({"x-long": "v" * 100}, ECHO)
    client.send(HeadersFrame(stream, block[:1]))
    client.send(*(ContinuationFrame(stream, block[at : at + 1]) for at in range(1, len(block) - 1)))
    client.send(ContinuationFrame(stream, block[-1:]), ContinuationFrame(stream, flags=["END_HEADERS"]))
    client.end(stream, framed(MESSAGE))
    assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_what_nobody_knows_is_ignored(client: Http2Client) -> None:
    client.write(raw_frame(0xEE, 0xFF, 7, b"whatever"))
    client.send(
        SettingsFrame(0, {0xABC: 1, 0x10: 99}),
        PriorityFrame(5, depends_on=3, stream_weight=7),
        GoAwayFrame(0),
    )
    assert await echoes(client)


async def test_a_client_may_end_its_message_with_headers(client: Http2Client) -> None:
    stream = client.begin(framed(MESSAGE), path=ECHO, whole=False)
    client.send(HeadersFrame(stream, b"\x00\x01x\x01y", flags=["END_HEADERS", "END_STREAM"]))
    assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_two_messages_in_a_call_are_refused(served: Serving, client: Http2Client) -> None:
    for data in (framed(MESSAGE) * 2, framed(b"") + b"\x00", framed(LARGE) * 2):
        assert (await client.call(data, path=ECHO)).grpc_status == 3
    assert await echoes(client)
    assert served.service.failures == {"malformed": 3}


@pytest.mark.parametrize("message", [MESSAGE, bytes(200_000) + LARGE], ids=["small", "large"])
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "zstd", "snappy"])
async def test_messages_may_be_compressed(client: Http2Client, coding: str, message: bytes) -> None:
    compress = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstandard.compress,
        "snappy": lambda body: bytes(cramjam.snappy.compress(body)),
    }
    sent = compress.get(coding, bytes)(message)
    client.open_window(1 << 20)
    stream, block = client.head({"grpc-encoding": coding}, ECHO)
    client.send(HeadersFrame(stream, block, flags=["END_HEADERS"]), WindowUpdateFrame(stream, 1 << 20))
    client.end(stream, framed(sent, compressed=coding != "identity"))
    assert (await client.reply(stream)).data == framed(message)


async def test_an_encoding_that_is_not_served_is_refused_with_those_that_are(served: Serving, client: Http2Client) -> None:
    reply = await client.call(framed(MESSAGE, compressed=True), {"grpc-encoding": "br"}, ECHO)
    assert (reply.grpc_status, reply.trailers_only) == (12, True)
    assert reply.headers["grpc-accept-encoding"].split(",") == ["identity", "gzip", "deflate", "zstd", "snappy"]
    assert served.service.failures == {"unsupported_encoding": 1}


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({":method": "GET"}, "405", "method_not_allowed"),
        ({"content-type": "application/json"}, "415", "unsupported_media_type"),
        ({"content-type": "application/grpc-web+proto"}, "415", "unsupported_media_type"),
        ({"content-type": "application/grpcother"}, "415", "unsupported_media_type"),
    ],
)
async def test_what_is_no_call_gets_a_status_of_http(
    served: Serving, client: Http2Client, headers: dict[str, str], status: str, kind: str
) -> None:
    assert (await client.call(framed(MESSAGE), headers, ECHO)).headers[":status"] == status
    assert served.service.failures == {kind: 1}
    assert await echoes(client, headers={"content-type": "application/grpc;charset=utf-8"})


@pytest.mark.parametrize(
    ("opening", "hint"),
    [
        (b"POST /v1/traces HTTP/1.1\r\nHost: collector.test\r\nContent-Length: 0\r\n\r\n", b"port 4318"),
        (b"PRI * HTTP/1.1\r\n\r\n", b"port 4318"),
        (bytes.fromhex("16030100a5010000a10303"), b""),
        (b"\x16", b""),
    ],
    ids=["http1", "nearly", "tls", "a byte of tls"],
)
async def test_what_is_not_http2_is_explained_counted_and_closed(served: Serving, opening: bytes, hint: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(opening)
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert hint in answer
    assert bool(answer) == bool(hint)
    assert served.service.failures == {"malformed": 1}
    assert ("TLS" in served.service.reasons[0]) != bool(hint)
    writer.close()


async def test_a_long_status_goes_out_in_several_frames(served: Serving) -> None:
    message = "\N{FIRE}" * 1000
    served.service.failure = Refused(message, "invalid")
    async with await Http2Client.connect(served.port) as client:
        reply = await client.call(framed(MESSAGE), path=ECHO)
    assert reply.grpc_status == 3
    assert len(reply.headers["grpc-message"]) == 12 * len(message)
