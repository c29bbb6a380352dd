"""A gRPC client that shows the frames: what the receiver contract says about the wire cannot be seen through a library."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ENHANCE_YOUR_CALM = 0xB
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_CHUNK = 16_384
_FRAME_HEAD = 9


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message as it goes into DATA frames."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


@dataclass
class Reply:
    """What came back on one stream.

    Attributes:
        headers: of the first HEADERS frame.
        trailers: of the second, if there was one.
        data: of all DATA frames.
        trailers_only: whether the first HEADERS frame ended the stream.
        ended: whether the stream is over.
    """

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    trailers_only: bool = False
    ended: bool = False

    @property
    def grpc_status(self) -> int:
        return int((self.headers | self.trailers)["grpc-status"])


class Http2Client:
    """One HTTP/2 connection with prior knowledge. It sends no more than the initial window of 64 KiB allows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._next_stream = 1
        self._replies: dict[int, Reply] = {}
        self.pings_answered = 0
        self.go_away_code: int | None = None
        """Error code of the server's last GOAWAY; None before one came."""

    @classmethod
    async def connect(cls, port: int) -> Self:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client._writer.write(_PREFACE)
        client._send(SettingsFrame(0))
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def call(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT) -> Reply:
        """Send one request and wait for the end of its answer."""
        return await self.reply(self.begin(data, headers, path))

    def begin(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT, *, whole: bool = True) -> int:
        """Send one request, or the first part of one, and return its stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        head = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "collector.test",
            "te": "trailers",
            "content-type": "application/grpc",
        } | (headers or {})
        self._send(HeadersFrame(stream, self._encoder.encode(head), flags=["END_HEADERS"]))
        self._replies[stream] = Reply()
        self._send_data(stream, data)
        if whole:
            self.end(stream)
        return stream

    def end(self, stream: int, data: bytes = b"") -> None:
        """Send the rest of a request."""
        self._send_data(stream, data)
        self._send(DataFrame(stream, flags=["END_STREAM"]))

    async def reply(self, stream: int) -> Reply:
        """Wait for the end of a stream."""
        reply = self._replies[stream]
        while not reply.ended:
            await self.receive()
        return reply

    async def ping(self) -> None:
        """Ping the server and wait for its answer, or for its GOAWAY."""
        answered = self.pings_answered
        self._send(PingFrame(0, bytes(8)))
        while self.pings_answered == answered and self.go_away_code is None:
            await self.receive()

    async def go_away(self) -> int:
        """Wait for the server's GOAWAY; its error code."""
        while self.go_away_code is None:
            await self.receive()
        return self.go_away_code

    async def read_to_end(self) -> None:
        """Take in frames until the server closes the connection."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                await self.receive()

    async def receive(self) -> None:
        """Take in one frame.

        Raises:
            asyncio.IncompleteReadError: the server closed the connection.
        """
        async with asyncio.timeout(10):
            frame, length = Frame.parse_frame_header(memoryview(await self._reader.readexactly(_FRAME_HEAD)))
            frame.parse_body(memoryview(await self._reader.readexactly(length)))
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self._send(SettingsFrame(0, flags=["ACK"]))
            case PingFrame():
                if "ACK" in frame.flags:
                    self.pings_answered += 1
                else:
                    self._send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case GoAwayFrame():
                self.go_away_code = frame.error_code
            case HeadersFrame():
                self._take_headers(frame)
            case DataFrame():
                self._replies[frame.stream_id].data += frame.data
            case RstStreamFrame():
                self._replies[frame.stream_id].ended = True

    def _take_headers(self, frame: HeadersFrame) -> None:
        reply = self._replies[frame.stream_id]
        headers = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
        ends = "END_STREAM" in frame.flags
        if reply.headers:
            reply.trailers = headers
        else:
            reply.headers, reply.trailers_only = headers, ends
        reply.ended = ends

    def _send_data(self, stream: int, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            self._send(DataFrame(stream, data[start : start + _CHUNK]))

    def _send(self, frame: Frame) -> None:
        self._writer.write(frame.serialize())
