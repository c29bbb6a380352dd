"""What a connection sends: frames that are written together, and answers within the windows that its client gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from collector.receivers.grpc_server.call import Call
from collector.receivers.grpc_server.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    EVERY_FRAME,
    FIRST_WINDOW,
    FLOW_CONTROL_ERROR,
    HEADERS,
    LARGEST_WINDOW,
    NO_ERROR,
    ConnectionFailed,
    frame,
    reset,
)
from collector.receivers.grpc_server.headers import ANSWER, BlockWriter
from collector.receivers.grpc_server.message import framed

_ENDS: Final = END_HEADERS | END_STREAM


class Outgoing:
    """Writes to one connection.

    Args:
        transport: of the connection.
        loop: its event loop.
        ended: is told of each call whose end has been sent.
    """

    def __init__(
        self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop, ended: Callable[[Call], object]
    ) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._loop = loop
        self._ended = ended
        self._frames: list[bytes] = []
        self._blocks = BlockWriter()
        self._window = FIRST_WINDOW
        self._waiting: dict[int, Call] = {}
        self.first_window = FIRST_WINDOW
        """How many bytes of answers the client takes at first on each stream."""

    def put(self, sent: bytes) -> None:
        """Send a frame, with all others of this turn of the event loop."""
        if not self._frames:
            self._loop.call_soon(self.flush)
        self._frames.append(sent)

    def flush(self) -> None:
        """Send now what was put."""
        if self._frames:
            self._transport.write(b"".join(self._frames))
            self._frames.clear()

    def message(self, call: Call, message: bytes) -> None:
        """Send an answer's message when the client takes it."""
        if not call.has_answered:
            call.has_answered = True
            self.put(frame(HEADERS, END_HEADERS, call.stream, self._blocks.block(ANSWER)))
        call.unsent += framed(message)
        self._send(call)

    def end(self, call: Call, trailers: bytes) -> None:
        """End a call once its messages have been sent."""
        call.trailers = trailers if call.has_answered else ANSWER + trailers
        self._send(call)

    def answer(self, stream: int, headers: bytes, *, has_ended: bool) -> None:
        """Answer a stream with headers alone; `has_ended` says whether its client has sent all that it will."""
        self.put(frame(HEADERS, _ENDS, stream, self._blocks.block(headers)))
        if not has_ended:
            # Whatever else its client has to say does not matter (RFC 9113, 8.1).
            self.put(reset(stream, NO_ERROR))

    def forget(self, stream: int) -> None:
        """Nobody waits for what is left of a call."""
        self._waiting.pop(stream, None)

    def window_grows(self, call: Call | None, size: int) -> None:
        """The client takes so many bytes more, of a call or (None) of all together.

        Raises:
            ConnectionFailed: more than there may be.
        """
        if call is None:
            self._window += size
            largest = self._window
        else:
            call.window += size
            largest = call.window
        if largest > LARGEST_WINDOW:
            raise ConnectionFailed(FLOW_CONTROL_ERROR, f"a window of {largest} bytes")
        for waiting in tuple(self._waiting.values()) if call is None else (call,):
            self._send(waiting)

    def _send(self, call: Call) -> None:
        """Send what the windows have room for."""
        while call.unsent:
            size = min(len(call.unsent), call.window, self._window, EVERY_FRAME)
            if size <= 0:
                self._waiting[call.stream] = call
                return
            self.put(frame(DATA, 0, call.stream, call.unsent[:size]))
            call.unsent = call.unsent[size:]
            call.window -= size
            self._window -= size
        self._waiting.pop(call.stream, None)
        if call.trailers is not None:
            self.answer(call.stream, call.trailers, has_ended=call.has_ended)
            self._ended(call)
