"""A gRPC client that shows the frames: what the receiver contract says about the wire cannot be seen through a library."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_CHUNK = 16_000


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
    """One HTTP/2 connection with prior knowledge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.events: list[h2.events.Event] = []
        self._replies: dict[int, Reply] = {}

    @classmethod
    async def connect(cls, port: int) -> Self:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.connection.initiate_connection()
        await client.flush()
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    async def flush(self) -> None:
        self._writer.write(self.connection.data_to_send())
        await self._writer.drain()

    async def call(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT) -> Reply:
        """Send one request and wait for the end of its answer."""
        stream = await self.begin(data, headers, path)
        return await self.reply(stream)

    async def begin(self, data: bytes, headers: dict[str, str] | None = None, path: str = EXPORT) -> int:
        """Send one request, of few enough bytes for the initial window, and return its stream."""
        stream = self.connection.get_next_available_stream_id()
        head = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "collector.test",
            "te": "trailers",
            "content-type": "application/grpc",
        } | (headers or {})
        self.connection.send_headers(stream, list(head.items()))
        for start in range(0, len(data), _CHUNK):
            self.connection.send_data(stream, data[start : start + _CHUNK])
        self.connection.end_stream(stream)
        await self.flush()
        self._replies[stream] = Reply()
        return stream

    async def reply(self, stream: int) -> Reply:
        reply = self._replies[stream]
        while not reply.ended:
            await self.receive()
        return reply

    async def receive(self) -> bool:
        """Take in what the server sent next; False at the end of the connection."""
        async with asyncio.timeout(10):
            data = await self._reader.read(65536)
        for event in self.connection.receive_data(data):
            self.events.append(event)
            self._note(event)
        await self.flush()
        return bool(data)

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                reply = self._replies[event.stream_id]
                reply.headers = dict(event.headers)
                reply.trailers_only = event.stream_ended is not None
            case h2.events.TrailersReceived():
                self._replies[event.stream_id].trailers = dict(event.headers)
            case h2.events.DataReceived():
                self._replies[event.stream_id].data += event.data
            case h2.events.StreamEnded() | h2.events.StreamReset():
                self._replies[event.stream_id].ended = True
