"""The gRPC server of our own: the rules of HTTP/2 and gRPC, frame by frame, with both event loops."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import cramjam
import pytest
import zstandard
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from collector.errors import Refused
from collector.receivers.settings import GrpcSettings, Keepalive
from config.tls import ServerTls
from tests.support.certificates import Authority
from tests.support.grpc_servers import ECHO, LARGEST, MOST_CALLS, WATCH, Serving, serving
from tests.support.http2 import (
    COMPRESSION_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Http2Client,
    framed,
)
from tests.support.waiting import until

MESSAGE = b"a message"
LARGE = random.Random(1).randbytes(300_000)
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE


@pytest.fixture
async def served() -> AsyncIterator[Serving]:
    async with serving() as served:
        yield served


@pytest.fixture
async def client(served: Serving) -> AsyncIterator[Http2Client]:
    async with await Http2Client.connect(served.port) as client:
        yield client


async def echoes(client: Http2Client, message: bytes = MESSAGE, headers: dict[str, str] | None = None) -> bool:
    reply = await client.call(framed(message), headers, ECHO)
    return reply.grpc_status == 0 and reply.data == framed(message)


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
    client.send(ContinuationFrame(stream, block[-1:], flags=["END_HEADERS"]))
    client.end(stream, framed(MESSAGE))
    assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_what_nobody_knows_is_ignored(client: Http2Client) -> None:
    client.write(_raw(0xEE, 0xFF, 7, b"whatever"))
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


async def test_answers_wait_for_the_windows_of_their_client(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        streams = [client.begin(framed(MESSAGE), path=ECHO) for _ in range(3)]
        await until(lambda: len(served.service.answered) == 3)
        await client.ping()
        assert served.service.open_calls == 3
        client.open_window(5, streams[1])
        client.open_window(100, streams[2])
        reply = await client.reply(streams[2])
        assert reply.data == framed(MESSAGE)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 9}), SettingsFrame(0, {INITIAL_WINDOW_SIZE: 100}))
        for stream in streams[:2]:
            assert (await client.reply(stream)).data == framed(MESSAGE)
        assert not served.service.open_calls


async def test_a_window_may_become_less_than_nothing(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 10}) as client:
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == 1)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 0}))
        client.open_window(10, stream)
        await client.ping()
        client.open_window(4, stream)
        assert (await client.reply(stream)).data == framed(MESSAGE)


async def test_answers_share_the_window_of_their_connection(client: Http2Client) -> None:
    message = bytes(30_000)
    streams = [client.begin(framed(message), path=ECHO) for _ in range(4)]
    for stream in streams[:2]:
        assert (await client.reply(stream)).data == framed(message)
    client.open_window(1)
    client.open_window(60_000)
    for stream in streams[2:]:
        assert (await client.reply(stream)).data == framed(message)


async def test_a_client_may_leave_an_answer_that_waits(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == 1)
        client.send(RstStreamFrame(stream, 8))
        await until(lambda: served.service.holds_nothing)
        client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 1000}))
        assert await echoes(client)


async def test_a_client_that_does_not_open_its_windows_is_left_at_last() -> None:
    async with serving(GrpcSettings(keepalive=Keepalive(timeout_s=0.05))) as served:
        async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
            client.begin(framed(MESSAGE), path=ECHO)
            await client.read_to_end()
        assert served.service.holds_nothing


def _head(stream: int) -> Frame:
    # :method POST, :path /
    return HeadersFrame(stream, b"\x83\x84", flags=["END_HEADERS"])


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([DataFrame(1, b"x")], PROTOCOL_ERROR),
        ([_head(3), DataFrame(5, b"x")], PROTOCOL_ERROR),
        ([_head(3), DataFrame(2, b"x")], PROTOCOL_ERROR),
        ([_head(2)], PROTOCOL_ERROR),
        ([_head(3), _head(2)], PROTOCOL_ERROR),
        ([RstStreamFrame(1, 8)], PROTOCOL_ERROR),
        ([WindowUpdateFrame(1, 8)], PROTOCOL_ERROR),
        ([ContinuationFrame(1, b"\x83")], PROTOCOL_ERROR),
        ([HeadersFrame(1, b"\x83"), PingFrame(0)], PROTOCOL_ERROR),
        ([HeadersFrame(1, b"\x83"), DataFrame(1, b"x")], PROTOCOL_ERROR),
        ([HeadersFrame(1, b"\x83"), ContinuationFrame(3, b"\x84")], PROTOCOL_ERROR),
        ([PushPromiseFrame(1, promised_stream_id=2)], PROTOCOL_ERROR),
        ([HeadersFrame(1, b"\xff\xff\xff\xff\x0f", flags=["END_HEADERS"])], COMPRESSION_ERROR),
        ([SettingsFrame(0, {INITIAL_WINDOW_SIZE: 1 << 31})], FLOW_CONTROL_ERROR),
        ([WindowUpdateFrame(0, (1 << 31) - 1)], FLOW_CONTROL_ERROR),
    ],
)
async def test_what_breaks_a_rule_ends_the_connection_which_is_told_why(
    served: Serving, client: Http2Client, frames: list[Frame], code: int
) -> None:
    client.send(*frames)
    assert await client.go_away() == code
    assert client.go_away_message
    await client.read_to_end()
    assert served.service.failures["malformed"] == 1


def _raw(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (_raw(0, 8, 1, b"\x05abc"), PROTOCOL_ERROR),
        (_raw(1, 8, 1, b"\x05abc"), PROTOCOL_ERROR),
        (_raw(1, 4, 0, b"\x83"), PROTOCOL_ERROR),
        (_raw(3, 0, 1, b"123"), FRAME_SIZE_ERROR),
        (_raw(3, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (_raw(4, 0, 0, b"12345"), FRAME_SIZE_ERROR),
        (_raw(4, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
        (_raw(4, 0, 1, b""), PROTOCOL_ERROR),
        (_raw(6, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
        (_raw(6, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (_raw(7, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (_raw(8, 0, 0, b"123"), FRAME_SIZE_ERROR),
        (_raw(8, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (_raw(4, 0, 0, b"\x00\x04\x80\x00\x00\x00" + b"\x00\x04\x00\x00\x00\x01"), FLOW_CONTROL_ERROR),
        (_raw(4, 0, 0, b"\x00\x02\x00\x00\x00\x02"), PROTOCOL_ERROR),
        (_raw(4, 0, 0, b"\x00\x05\x00\x00\x00\x02"), PROTOCOL_ERROR),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
async def test_a_frame_that_cannot_be_ends_the_connection(client: Http2Client, sent: bytes, code: int) -> None:
    client.write(sent)
    assert await client.go_away() == code
    await client.read_to_end()


async def test_frames_of_streams_that_are_over_are_skipped(served: Serving, client: Http2Client) -> None:
    stream = client.begin(framed(MESSAGE), path=ECHO)
    await client.reply(stream)
    client.send(
        DataFrame(stream, b"more", flags=["END_STREAM"]),
        WindowUpdateFrame(stream, 5),
        RstStreamFrame(stream, 8),
        HeadersFrame(stream, b"\x83", flags=["END_HEADERS", "END_STREAM"]),
    )
    assert await echoes(client)


async def test_a_refused_message_is_skipped_while_it_comes(served: Serving, client: Http2Client) -> None:
    assert await echoes(client)  # settings are acknowledged before this, and not amid a frame
    stream, block = client.head(path=ECHO)
    data = DataFrame(stream, b"\x00" + (LARGEST + 1).to_bytes(4, "big") + bytes(LARGEST), flags=["END_STREAM"]).serialize()
    client.send(HeadersFrame(stream, block, flags=["END_HEADERS"]))
    client.write(data[:1000])
    reply = await client.reply(stream)
    assert (reply.grpc_status, reply.reset_code) == (8, None)
    client.write(data[1000:])
    assert await echoes(client)


async def test_more_streams_than_are_allowed_are_refused() -> None:
    async with serving(GrpcSettings(max_concurrent_streams=2)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        streams = [client.begin(framed(MESSAGE), path=ECHO) for _ in range(3)]
        assert (await client.reply(streams[2])).reset_code == REFUSED_STREAM
        assert client.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 2
        served.service.gate.set()
        for stream in streams[:2]:
            assert (await client.reply(stream)).grpc_status == 0
        assert await echoes(client)


async def test_calls_count_until_their_answers_are_sent(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as client:
        for _ in range(MOST_CALLS):
            client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: len(served.service.answered) == MOST_CALLS)
        await until(lambda: not served.service.in_flight.held_bytes)
        async with await Http2Client.connect(served.port) as other:
            assert (await other.call(framed(MESSAGE), path=ECHO)).grpc_status == 14
            client.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 100}))
            await until(lambda: served.service.holds_nothing)
            assert await echoes(other)


async def test_a_dead_peer_is_pinged_and_left() -> None:
    keepalive = Keepalive(time_s=0.05, timeout_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        assert await echoes(client)
        client.answers = False
        await client.read_to_end()
        assert client.go_away_code is None


async def test_a_live_peer_is_pinged_and_kept() -> None:
    keepalive = Keepalive(time_s=0.01, timeout_s=1)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        while client.pings < 2:
            await client.receive()
        assert await echoes(client)


async def test_an_idle_connection_is_told_to_go_away_and_closed_but_none_with_a_call() -> None:
    keepalive = Keepalive(max_connection_idle_s=0.3)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        stream = client.begin(framed(MESSAGE), path=ECHO)
        await until(lambda: served.service.open_calls == 1)
        async with await Http2Client.connect(served.port) as idle:
            assert await idle.go_away() == 0
            await idle.read_to_end()
        assert client.go_away_code is None
        served.service.gate.set()
        assert (await client.reply(stream)).grpc_status == 0
        assert await client.go_away() == 0
        await client.read_to_end()


async def test_an_old_connection_that_does_not_end_is_closed_after_its_grace() -> None:
    keepalive = Keepalive(max_connection_age_s=0.3, max_connection_age_grace_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        client.begin(framed(MESSAGE), path=ECHO)
        await client.read_to_end()
        assert client.go_away_code == 0
        served.service.gate.set()
        await until(lambda: served.service.holds_nothing)


async def test_calls_after_the_go_away_are_not_looked_at_and_earlier_ones_finish() -> None:
    keepalive = Keepalive(max_connection_age_s=0.5)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as client:
        served.service.gate.clear()
        stream = client.begin(framed(MESSAGE), path=ECHO, whole=False)
        await until(lambda: served.service.open_calls == 1)
        assert await client.go_away() == 0
        late = client.begin(framed(MESSAGE), path=ECHO)
        client.send(RstStreamFrame(late, 8), WindowUpdateFrame(late, 1))
        client.end(stream)
        served.service.gate.set()
        assert (await client.reply(stream)).grpc_status == 0
        await client.read_to_end()
        assert served.service.answered == [MESSAGE]


async def test_a_connection_that_does_not_speak_is_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.receivers.grpc_server.patience.HANDSHAKE_TIMEOUT_S", 0.05)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(PREFACE[:-1])
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert served.service.failures == {"slow_head": 1}


async def test_a_message_that_does_not_come_is_refused_and_others_are_not() -> None:
    async with serving(message_timeout_s=0.05) as served, await Http2Client.connect(served.port) as client:
        slow = [client.begin(framed(MESSAGE)[:at], path=ECHO, whole=False) for at in (0, 3, 7)]
        assert await echoes(client)
        for stream in slow:
            assert (await client.reply(stream)).grpc_status == 9
        assert served.service.failures == {"slow_body": 3}
        assert await echoes(client)


async def test_more_connections_than_are_allowed_are_closed_and_counted() -> None:
    async with serving(GrpcSettings(max_connections=1)) as served, await Http2Client.connect(served.port) as client:
        assert await echoes(client)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        assert served.service.failures == {"unavailable": 1}
        assert await echoes(client)
        client.close()
        await until(lambda: can_connect(served.port))


async def can_connect(port: int) -> bool:
    async with await Http2Client.connect(port) as client:
        try:
            return await echoes(client)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False


async def test_a_call_that_lasts_ends_when_its_client_leaves(served: Serving, client: Http2Client) -> None:
    streams = [client.begin(framed(MESSAGE), path=WATCH) for _ in range(2)]
    while not all(client.so_far(stream).data for stream in streams):
        await client.receive()
    client.send(RstStreamFrame(streams[0], 8))
    await until(lambda: served.service.open_calls == 1)
    client.close()
    await until(lambda: served.service.holds_nothing)


async def test_what_has_come_is_taken_in_though_its_connection_has_ended(served: Serving, client: Http2Client) -> None:
    served.service.gate.clear()
    client.begin(framed(MESSAGE), path=ECHO)
    client.begin(framed(MESSAGE), path=ECHO, whole=False)
    await until(lambda: len(served.service.answered) == 1)
    client.close()
    await until(lambda: served.service.open_calls == 1)
    assert served.service.in_flight.held_bytes == len(MESSAGE)
    served.service.gate.set()
    await until(lambda: served.service.holds_nothing)


async def test_an_idle_limit_forgets_connections_that_end_with_calls() -> None:
    keepalive = Keepalive(max_connection_idle_s=0.05)
    async with serving(GrpcSettings(keepalive=keepalive)) as served:
        async with await Http2Client.connect(served.port) as client:
            client.begin(framed(MESSAGE), path=ECHO, whole=False)
            await until(lambda: served.service.open_calls == 1)
        await until(lambda: served.service.holds_nothing)
        async with await Http2Client.connect(served.port) as other:
            await other.read_to_end()  # it came later: whatever the first had left to do is due


async def test_a_long_status_goes_out_in_several_frames(served: Serving) -> None:
    message = "\N{FIRE}" * 1000
    served.service.failure = Refused(message, "invalid")
    async with await Http2Client.connect(served.port) as client:
        reply = await client.call(framed(MESSAGE), path=ECHO)
    assert reply.grpc_status == 3
    assert len(reply.headers["grpc-message"]) == 12 * len(message)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_all_of_it_goes_over_tls_too(authority: Authority) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    context = authority.client_context()
    context.set_alpn_protocols(["h2"])
    async with serving(GrpcSettings(tls=tls)) as served, await Http2Client.connect(served.port, tls=context) as client:
        assert await echoes(client)
        client.open_window(1 << 24)
        stream, block = client.head(path=ECHO)
        client.send(HeadersFrame(stream, block, flags=["END_HEADERS"]), WindowUpdateFrame(stream, 1 << 20))
        client.end(stream, framed(LARGE))
        assert (await client.reply(stream)).data == framed(LARGE)
        last = client.begin(framed(MESSAGE), path=ECHO, whole=False)
        await until(lambda: served.service.open_calls == 1)
        stopping = asyncio.create_task(served.server.stop(60))
        assert await client.go_away() == 0
        client.end(last)
        assert (await client.reply(last)).grpc_status == 0
        await client.read_to_end()
        await stopping


async def test_more_connections_than_are_allowed_are_closed_over_tls(authority: Authority) -> None:
    tls = ServerTls(**authority.issue("127.0.0.1", file="server").settings)
    context = authority.client_context()
    async with (
        serving(GrpcSettings(tls=tls, max_connections=1)) as served,
        await Http2Client.connect(served.port, tls=context) as client,
    ):
        assert await echoes(client)
        async with await Http2Client.connect(served.port, tls=context) as other:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await other.receive()
        assert await echoes(client)
