"""The gRPC server of our own under attack: it ends the connection or bears it, serves others meanwhile, and keeps nothing."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PriorityFrame, RstStreamFrame, SettingsFrame

from collector.receivers.settings import GrpcSettings, Keepalive
from tests.support.grpc_servers import ECHO, LARGEST, MOST_CALLS, Serving, echoes, serving
from tests.support.http2 import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, PREFACE, Http2Client, framed
from tests.support.waiting import until

MANY = 3000
REFUSED = 200_000
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE


@pytest.fixture
async def served() -> AsyncIterator[Serving]:
    """A server, and a client that is served when all is over, on a connection that was there before."""
    async with serving() as served, await Http2Client.connect(served.port) as bystander:
        assert await echoes(bystander)
        yield served
        assert await echoes(bystander)


@pytest.fixture
async def attacker(served: Serving) -> AsyncIterator[Http2Client]:
    async with await Http2Client.connect(served.port) as client:
        assert await echoes(client)
        yield client


def head_of(client: Http2Client) -> tuple[int, HeadersFrame]:
    stream, block = client.head(path=ECHO)
    return stream, HeadersFrame(stream, block, flags=["END_HEADERS"])


async def is_told_to_calm_down(served: Serving, attacker: Http2Client) -> bool:
    """Whether an attacker is told so, closed, and counted."""
    code = await attacker.go_away()
    await attacker.read_to_end()
    await until(lambda: served.service.holds_nothing)
    return code == ENHANCE_YOUR_CALM and served.service.failures["malformed"] == 1


async def test_calls_that_are_reset_at_once(served: Serving, attacker: Http2Client) -> None:
    for _ in range(MANY):
        stream, head = head_of(attacker)
        attacker.send(head, RstStreamFrame(stream, 8))
    assert await is_told_to_calm_down(served, attacker)


@pytest.mark.parametrize("kind", ["settings", "acknowledged", "priority", "reset", "unknown", "data", "trailers", "continuation"])
async def test_floods_of_frames_that_ask_for_nothing(served: Serving, attacker: Http2Client, kind: str) -> None:
    stream, head = head_of(attacker)
    attacker.send(HeadersFrame(stream, head.data) if kind == "continuation" else head)
    frames: dict[str, Frame] = {
        "settings": SettingsFrame(0),
        "acknowledged": SettingsFrame(0, flags=["ACK"]),
        "priority": PriorityFrame(stream + 2),
        "reset": RstStreamFrame(1, 8),
        "data": DataFrame(stream),
        "trailers": HeadersFrame(stream, b"\x83", flags=["END_HEADERS"]),
        "continuation": ContinuationFrame(stream, b"\x83"),
    }
    frame = b"\x00\x00\x00\xee\x00\x00\x00\x00\x00" if kind == "unknown" else frames[kind].serialize()
    attacker.write(frame * MANY)
    assert await is_told_to_calm_down(served, attacker)


async def test_headers_without_end(served: Serving, attacker: Http2Client) -> None:
    stream, head = head_of(attacker)
    attacker.send(HeadersFrame(stream, head.data), *[ContinuationFrame(stream, bytes(8000))] * 5)
    assert await is_told_to_calm_down(served, attacker)


@pytest.mark.parametrize("size", [100 << 10, (1 << 24) - 1])
async def test_a_frame_that_is_announced_to_be_large(served: Serving, attacker: Http2Client, size: int) -> None:
    attacker.write(size.to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x05")
    assert await is_told_to_calm_down(served, attacker)


async def test_a_block_of_headers_that_grows_beyond_all_bounds(served: Serving, attacker: Http2Client) -> None:
    value = b"\x7f\x81\x1e" + b"v" * (127 + 1 + 30 * 128)
    stream, _ = attacker.head()
    attacker.send(HeadersFrame(stream, b"\x40\x01x" + value + b"\xbe" * 1000, flags=["END_HEADERS"]))
    assert await attacker.go_away() == COMPRESSION_ERROR
    await attacker.read_to_end()


async def test_messages_that_are_announced_and_do_not_come(served: Serving, attacker: Http2Client) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(MOST_CALLS - 1):
        stream, head = head_of(attacker)
        attacker.send(head, DataFrame(stream, b"\x00" + LARGEST.to_bytes(4, "big") + b"x"))
    await until(lambda: served.service.in_flight.held_bytes == MOST_CALLS - 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < (MOST_CALLS * LARGEST >> 10) // 5
    async with await Http2Client.connect(served.port) as other:
        assert await echoes(other)
    attacker.close()
    await until(lambda: served.service.holds_nothing)


async def test_bytes_beyond_those_that_may_be_in_flight(served: Serving, attacker: Http2Client) -> None:
    served.service.in_flight.max_bytes = 10 * LARGEST
    for _ in range(30):
        stream, head = head_of(attacker)
        attacker.send(head, DataFrame(stream, b"\x00" + LARGEST.to_bytes(4, "big")))
        attacker.write(DataFrame(stream, bytes(LARGEST - 1)).serialize())
        await attacker.drain()
    await until(lambda: served.service.failures["unavailable"] == 20)
    assert served.service.in_flight.held_bytes <= 10 * LARGEST
    attacker.close()
    await until(lambda: served.service.holds_nothing)


async def test_thousands_of_calls_that_do_not_end(served: Serving, attacker: Http2Client) -> None:
    for _ in range(MANY):
        attacker.send(head_of(attacker)[1])
    await until(lambda: served.service.failures["unavailable"] == MANY - MOST_CALLS)
    assert served.service.open_calls == MOST_CALLS
    attacker.close()
    await until(lambda: served.service.holds_nothing)


@pytest.mark.parametrize("stream", ["connection", "call"])
async def test_a_window_that_is_opened_too_far(served: Serving, attacker: Http2Client, stream: str) -> None:
    call, head = head_of(attacker)
    attacker.send(head)
    for _ in range(2):
        attacker.open_window((1 << 31) - 1, call if stream == "call" else 0)
    assert await attacker.go_away() == FLOW_CONTROL_ERROR
    await attacker.read_to_end()


async def test_answers_that_nobody_lets_out(served: Serving) -> None:
    async with await Http2Client.connect(served.port, settings={INITIAL_WINDOW_SIZE: 0}) as attacker:
        for _ in range(MOST_CALLS - 1):
            attacker.begin(framed(b"message"), path=ECHO)
        await until(lambda: len(served.service.answered) == MOST_CALLS)
        # Neither of these may cost more the more calls wait.
        for _ in range(10_000):
            attacker.open_window(1)
        shut, opened = ((INITIAL_WINDOW_SIZE << 32 | size).to_bytes(6, "big") for size in (0, 1))
        payload = (opened + shut) * 2000
        attacker.write(len(payload).to_bytes(3, "big") + b"\x04" + bytes(5) + payload)
        async with await Http2Client.connect(served.port) as other:
            assert await echoes(other)
        assert served.service.open_calls == MOST_CALLS - 1


async def test_a_peer_that_does_not_read() -> None:
    keepalive = Keepalive(timeout_s=0.5)
    async with serving(GrpcSettings(keepalive=keepalive)) as served, await Http2Client.connect(served.port) as other:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", served.port))
            deaf.setblocking(False)
            calls = b"".join(
                HeadersFrame(stream, b"\x83\x84", flags=["END_HEADERS"]).serialize() for stream in range(1, 2 * REFUSED, 2)
            )
            with suppress(ConnectionError):
                await asyncio.get_running_loop().sock_sendall(deaf, PREFACE + SettingsFrame(0).serialize() + calls)
            assert await echoes(other)
            await until(lambda: is_broken(deaf))
        # Most of these came, and would have been answered, were it not seen that nobody reads.
        assert 0 < served.service.failures["unsupported_media_type"] < REFUSED // 2
        assert await echoes(other)


def is_broken(connection: socket.socket) -> bool:
    """Whether the other side has closed it."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
