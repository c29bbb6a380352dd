"""A connection of the gRPC server with nothing around it: bytes go in, cut at random, and what it sends and keeps is checked."""

from __future__ import annotations

import asyncio
import contextvars
import gzip
import zlib
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final, cast

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from collector.errors import Refused, Retryable
from collector.receivers.grpc_server.call import Call, CallFailed, Method, Serve
from collector.receivers.grpc_server.calls import Service
from collector.receivers.grpc_server.connection import Connection
from collector.receivers.grpc_server.frames import PREFACE
from collector.receivers.grpc_server.headers import Status
from collector.receivers.grpc_server.shared import Shared
from collector.receivers.in_flight import InFlight
from collector.receivers.settings import Keepalive
from proto.errors import MalformedRequest
from tests.support.grpc_servers import ECHO, WATCH, TestService, refuse
from tests.support.http2 import framed

_CUTS: Final = (1, 2, 9, 40, 1000, 1 << 17)
_MOST_CUTS: Final = 400
_WRITES_BEFORE_PAUSE: Final = 2000
_LARGEST_FRAME: Final = 1 << 14
_SENT: Final = {
    HeadersFrame,
    DataFrame,
    RstStreamFrame,
    SettingsFrame,
    PingFrame,
    GoAwayFrame,
    WindowUpdateFrame,
    ContinuationFrame,
}


class _Loop:
    """As much of an event loop as a connection needs; time stands still."""

    def __init__(self) -> None:
        self.ready: deque[Callable[[], object]] = deque()
        self.timers: list[asyncio.TimerHandle] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return 1000.0

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def call_soon(self, callback: Callable[..., object], *args: object, context: contextvars.Context | None = None) -> None:
        self.ready.append(lambda: (context or contextvars.copy_context()).run(callback, *args))

    def call_at(self, when: float, callback: Callable[..., object]) -> asyncio.TimerHandle:
        self.timers.append(asyncio.TimerHandle(when, callback, (), cast("Any", self)))
        return self.timers[-1]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.timers.remove(handle)

    def create_task(self, work: Any) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.Task(work, loop=cast("Any", self)))
        return self.tasks[-1]

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("Any", self))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody has looked at: `run_connection` looks at all."""

    def run(self) -> None:
        while self.ready:
            self.ready.popleft()()


class _Transport:
    """Keeps what is written; its peer reads now and then."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.sent: list[bytes] = []
        self.unread = 0
        self.is_closed = self.is_paused = False

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the end"
        self.sent.append(data)
        self.unread += len(data)
        if self.unread > _WRITES_BEFORE_PAUSE and self.connection is not None and not self.is_paused:
            self.connection.pause_writing()

    def read(self) -> None:
        """Let the peer read all."""
        was_full = self.unread > _WRITES_BEFORE_PAUSE
        self.unread = 0
        if was_full and self.connection is not None:
            self.connection.resume_writing()

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class _Service(TestService):
    """Refuses nothing for reasons that are no fault of the peer's, and answers at once."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__(InFlight(1 << 17))
        self._loop = loop

    def failed(self, error: Exception) -> Status:
        assert isinstance(error, MalformedRequest | Refused | Retryable | CallFailed), error
        return super().failed(error)

    def _watching(self, call: Call) -> Serve:
        async def watch(message: bytes) -> None:
            call.send(bytes(message))
            await self._loop.create_future()

        return watch


async def _at_once(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def run_connection(body: bytes) -> None:
    """Send a connection these bytes, behind a preface or without one, and end it."""
    random = Random(zlib.crc32(body))
    loop, transport = _Loop(), _Transport()
    service = _Service(loop)
    served = Service(service.methods, Method(refuse, max_bytes=0), service.failed, 60.0, _at_once)
    shared = Shared(served, Keepalive(max_connection_idle_s=9.0), random.choice((None, 2)), 10)
    connection = Connection(shared, cast("asyncio.AbstractEventLoop", loop))
    transport.connection = connection
    connection.connection_made(cast("asyncio.BaseTransport", transport))
    left = memoryview(body if random.random() < 0.02 else PREFACE + body)
    largest = max(random.choice(_CUTS), len(left) // _MOST_CUTS)
    while left and not transport.is_closed:
        buffer = connection.get_buffer(-1)
        assert len(buffer)
        size = min(len(buffer), len(left), random.randint(1, largest))
        buffer[:size] = left[:size]
        left = left[size:]
        connection.buffer_updated(size)
        if random.random() < 0.5 or transport.is_paused:
            loop.run()
        while transport.is_paused and not transport.is_closed:
            transport.read()
            loop.run()
        if random.random() < 0.001:
            connection.leave()
    if random.random() < 0.5:
        loop.run()
    transport.is_closed = True
    connection.connection_lost(None)
    loop.run()
    assert service.holds_nothing
    assert all(task.cancelled() or task.exception() is None for task in loop.tasks)
    assert not [*loop.timers, *served.tasks, *shared.connections]
    _check(b"".join(transport.sent))


def _check(sent: bytes) -> None:
    """What was sent are frames of a server, which a client can read."""
    if sent.startswith(b"HTTP/1.1 426"):
        return
    at, decoder, block, is_first = 0, hpack.Decoder(), b"", True
    begun: set[int] = set()
    while at < len(sent):
        frame, length = Frame.parse_frame_header(memoryview(sent[at : at + 9]))
        frame.parse_body(memoryview(sent[at + 9 : at + 9 + length]))
        at += 9 + length
        assert length <= _LARGEST_FRAME
        assert type(frame) in _SENT
        assert (type(frame) is SettingsFrame) or not is_first
        is_first = False
        if isinstance(frame, HeadersFrame | ContinuationFrame):
            block += frame.data
            if "END_HEADERS" in frame.flags:
                assert dict(decoder.decode(block))
                block = b""
            begun.add(frame.stream_id)
        elif isinstance(frame, DataFrame):
            assert frame.stream_id in begun
        elif isinstance(frame, GoAwayFrame):
            assert frame.error_code != 2, "a fault of ours"
    assert at == len(sent)


class _Client:
    """Writes the frames of one connection."""

    def __init__(self) -> None:
        self._encoder = hpack.Encoder()

    def block(self, path: str = ECHO, **headers: str) -> bytes:
        head = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "content-type": "application/grpc"}
        block: bytes = self._encoder.encode(head | {name.replace("_", "-"): value for name, value in headers.items()})
        return block

    def head(self, stream: int, *flags: str, **more: str) -> HeadersFrame:
        return HeadersFrame(stream, self.block(**more), flags=["END_HEADERS", *flags])

    def call(self, stream: int, message: bytes = framed(b"message"), **more: str) -> list[Frame]:
        return [self.head(stream, **more), DataFrame(stream, message, flags=["END_STREAM"])]

    def continued(self, stream: int) -> list[Frame]:
        block = self.block(x="y" * 40)
        return [HeadersFrame(stream, block[:9]), ContinuationFrame(stream, block[9:], flags=["END_HEADERS"])]


def connections() -> list[bytes]:
    """What clients send behind the preface."""
    large, packed = framed(bytes(40_000)), framed(gzip.compress(bytes(50_000)), compressed=True)
    padded = DataFrame(3, large, flags=["PADDED", "END_STREAM"], pad_length=200)
    parts = [DataFrame(3, large[:20_000]), DataFrame(3, large[20_000:], flags=["END_STREAM"])]
    opened = [WindowUpdateFrame(0, 99_999), WindowUpdateFrame(1, 99_999)]
    shut = [WindowUpdateFrame(1, 9), SettingsFrame(0, {4: 0}), PingFrame(0, bytes(8)), SettingsFrame(0, {4: 100})]
    ends: list[Callable[[_Client], list[Frame]]] = [
        lambda client: [frame for stream in (3, 5, 7) for frame in client.call(stream)],
        lambda client: [client.head(3, "PADDED"), padded],
        lambda client: [client.head(3), parts[0], *client.call(5, large), parts[1], *opened],
        lambda client: [*client.continued(3), RstStreamFrame(3, 8)],
        lambda client: client.call(3, packed, grpc_encoding="gzip"),
        lambda client: [SettingsFrame(0, {4: 3, 5: 20_000}), *client.call(3), *shut],
        lambda client: [*client.call(3, path=WATCH), WindowUpdateFrame(0, 9), RstStreamFrame(3, 8)],
        lambda client: [PriorityFrame(3), client.head(5, "END_STREAM"), client.head(7, path="/no"), GoAwayFrame(0)],
        lambda client: [client.head(3), DataFrame(3, framed(b"") * 2), client.head(5), client.head(5, "END_STREAM")],
    ]
    samples = []
    for end in ends:
        client = _Client()
        frames = [SettingsFrame(0), *client.call(1), *end(client)]
        samples.append(b"".join(frame.serialize() for frame in frames))
    return samples


PIECES: Final = (
    *(bytes((0, 0, size, kind, flags, 0, 0, 0, stream)) for kind, size in ((0, 7), (1, 1), (4, 0), (6, 8), (8, 4), (9, 1))
      for flags in (0, 1, 4, 5, 8) for stream in (0, 1, 3)),
    WindowUpdateFrame(0, 1 << 30).serialize(),
    SettingsFrame(0, {4: 0}).serialize(),
    SettingsFrame(0, {4: 1 << 30}).serialize(),
    RstStreamFrame(3, 8).serialize(),
    b"\x83\x84",
)  # fmt: skip
"""Frames, and how they begin."""
