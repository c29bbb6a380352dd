"""The gRPC server of our own: what breaks a rule of HTTP/2 ends the connection, what may happen does not."""

from __future__ import annotations

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support.grpc_servers import ECHO, LARGEST, Serving, echoes
from tests.support.http2 import (
    COMPRESSION_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Client,
    framed,
    raw_frame,
)

MESSAGE = b"a message"
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE


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


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (raw_frame(0, 8, 1, b"\x05abc"), PROTOCOL_ERROR),
        (raw_frame(1, 8, 1, b"\x05abc"), PROTOCOL_ERROR),
        (raw_frame(1, 4, 0, b"\x83"), PROTOCOL_ERROR),
        (raw_frame(3, 0, 1, b"123"), FRAME_SIZE_ERROR),
        (raw_frame(3, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (raw_frame(4, 0, 0, b"12345"), FRAME_SIZE_ERROR),
        (raw_frame(4, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
        (raw_frame(4, 0, 1, b""), PROTOCOL_ERROR),
        (raw_frame(6, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
        (raw_frame(6, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (raw_frame(7, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (raw_frame(8, 0, 0, b"123"), FRAME_SIZE_ERROR),
        (raw_frame(8, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (raw_frame(4, 0, 0, b"\x00\x04\x80\x00\x00\x00" + b"\x00\x04\x00\x00\x00\x01"), FLOW_CONTROL_ERROR),
        (raw_frame(4, 0, 0, b"\x00\x02\x00\x00\x00\x02"), PROTOCOL_ERROR),
        (raw_frame(4, 0, 0, b"\x00\x05\x00\x00\x00\x02"), PROTOCOL_ERROR),
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
