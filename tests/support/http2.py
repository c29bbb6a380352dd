"""A gRPC client that shows the frames: what the receiver contract says about the wire cannot be seen through a library."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType
from typing import Self

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_CHUNK = 16_384
_FRAME_HEAD = 9


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message as it goes into DATA frames."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def raw_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame that the library would not write."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


@dataclass
class Reply:
    """What came back on one stream.

    Attributes:
        headers: of the first HEADERS frame.
        trailers: of the second, if there was one.
        data: of all DATA frames.
        trailers_only: whether the first HEADERS frame ended the stream.
        ended: whether the stream is over.
        reset_code: why it was reset, if it was.
    """

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    trailers_only: bool = False
    ended: bool = False
    reset_code: int | None = None

    @property
    def grpc_status(self) -> int:
        return int((self.headers | self.trailers)["grpc-status"])


class Http2Client:
    """One HTTP/2 connection with prior knowledge. It sends as if all windows were open, and leaves its own as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._begun = HeadersFrame(1)
        self._next_stream = 1
        self._replies: dict[int, Reply] = {}
        self.pings = 0
        """Those of the server."""
        self.pings_answered = 0
        self.go_away_code: int | None = None
        """Error code of the server's last GOAWAY; None before one came."""
        self.go_away_message = b""
        self.last_stream_taken: int | None = None
        """The last stream that it says it has taken, or will."""
        self.settings: dict[int, int] = {}
        """Those of the server."""
        self.settings_answered = 0
        self.answers = True
        """Whether it acknowledges settings and pings of the server."""

    @classmethod
    async def connect(cls, port: int, *, settings: dict[int, int] | None = None, tls: SSLContext | None = None) -> Self:
        """Connect, and send the preface."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
        client.write(PREFACE)
        client.send(SettingsFrame(0, settings or {}))
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def call(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT) -> Reply:
        """Send one request and wait for the end of its answer."""
        return await self.reply(self.begin(data, headers, path))

    def begin(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT, *, whole: bool = True) -> int:
        """Send one request, or the first part of one, and return its stream."""
        stream, block = self.head(headers, path)
        self.send(HeadersFrame(stream, block, flags=["END_HEADERS"]))
        self._send_data(stream, data)
        if whole:
            self.end(stream)
        return stream

    def head(self, headers: dict[str, str] | None = None, path: str = EXPORT) -> tuple[int, bytes]:
        """The number of a new stream, and the headers that it is to begin with."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._replies[stream] = Reply()
        head = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "collector.test",
            "te": "trailers",
            "content-type": "application/grpc",
        } | (headers or {})
        return stream, self._encoder.encode(head)

    def end(self, stream: int, data: bytes = b"") -> None:
        """Send the rest of a request."""
        self._send_data(stream, data)
        self.send(DataFrame(stream, flags=["END_STREAM"]))

    async def reply(self, stream: int) -> Reply:
        """Wait for the end of a stream."""
        reply = self._replies[stream]
        while not reply.ended:
            await self.receive()
        return reply

    def so_far(self, stream: int) -> Reply:
        """What has come of an answer."""
        return self._replies[stream]

    async def ping(self) -> None:
        """Ping the server and wait for its answer, or for its GOAWAY."""
        answered = self.pings_answered
        self.send(PingFrame(0, bytes(8)))
        while self.pings_answered == answered and self.go_away_code is None:
            await self.receive()

    async def go_away(self) -> int:
        """Wait for the server's GOAWAY; its error code."""
        while self.go_away_code is None:
            await self.receive()
        return self.go_away_code

    async def read_to_end(self) -> None:
        """Take in frames until the server closes the connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.receive()

    async def receive(self) -> None:
        """Take in one frame.

        Raises:
            asyncio.IncompleteReadError: the server closed the connection.
        """
        async with asyncio.timeout(10):
            frame, length = Frame.parse_frame_header(memoryview(await self._reader.readexactly(_FRAME_HEAD)))
            assert length <= _CHUNK, "larger than was allowed"
            frame.parse_body(memoryview(await self._reader.readexactly(length)))
        match frame:
            case SettingsFrame():
                if "ACK" in frame.flags:
                    self.settings_answered += 1
                else:
                    self.settings = frame.settings
                    if self.answers:
                        self.send(SettingsFrame(0, flags=["ACK"]))
            case PingFrame():
                if "ACK" in frame.flags:
                    self.pings_answered += 1
                    return
                self.pings += 1
                if self.answers:
                    self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case GoAwayFrame():
                self.go_away_code, self.go_away_message = frame.error_code, frame.additional_data
                self.last_stream_taken = frame.last_stream_id
            case HeadersFrame():
                self._take_block(frame, frame)
            case DataFrame():
                self._replies[frame.stream_id].data += frame.data
            case ContinuationFrame():
                self._take_block(frame, self._begun)
            case RstStreamFrame():
                reply = self._replies.setdefault(frame.stream_id, Reply())
                reply.ended, reply.reset_code = True, frame.error_code

    def _take_block(self, frame: HeadersFrame | ContinuationFrame, begun: HeadersFrame) -> None:
        if frame is not begun:
            begun.data += frame.data
        self._begun = begun
        if "END_HEADERS" in frame.flags:
            self._take_headers(begun)

    def _take_headers(self, frame: HeadersFrame) -> None:
        reply = self._replies.setdefault(frame.stream_id, Reply())
        headers = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
        ends = "END_STREAM" in frame.flags
        if reply.headers:
            reply.trailers = headers
        else:
            reply.headers, reply.trailers_only = headers, ends
        reply.ended = ends

    def _send_data(self, stream: int, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            self.send(DataFrame(stream, data[start : start + _CHUNK]))

    def open_window(self, size: int, stream: int = 0) -> None:
        """Let the server send so many bytes more."""
        self.send(WindowUpdateFrame(stream, size))

    def send(self, *frames: Frame) -> None:
        """Send frames, whatever they are."""
        self.write(b"".join(frame.serialize() for frame in frames))

    def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the server has taken most of what was sent. Raises ConnectionError when it will not."""
        await self._writer.drain()
