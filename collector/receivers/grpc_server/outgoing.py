"""What a connection sends: frames that are written together, and answers within the windows that its client gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from collector.receivers.grpc_server.call import Call
from collector.receivers.grpc_server.frames import (
    CONTINUATION,
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
_MOST_AT_ONCE: Final = 512
"""Frames after which the event loop is not waited for: whether a peer reads is known before many more are made."""


class Outgoing:
    """Writes to one connection.

    Args:
        transport: of the connection.
        loop: its event loop.
        ended: is told of each call whose end has been sent.
        blocked: is told whether answers wait for a window.
    """

    def __init__(
        self,
        transport: asyncio.BaseTransport,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[Call], object],
        blocked: Callable[[bool], object],
    ) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._loop = loop
        self._ended = ended
        self._blocked = blocked
        self._frames: list[bytes] = []
        self._blocks = BlockWriter()
        self._window = FIRST_WINDOW
        # How many bytes of answers the client takes at first of each call.
        self._first_window = FIRST_WINDOW
        # In the order in which they began to wait: for the connection's window, and each for its own.
        self._waiting: dict[int, Call] = {}
        self._waiting_each: dict[int, Call] = {}

    def put(self, sent: bytes) -> None:
        """Send a frame, with all others of this turn of the event loop unless these are many."""
        frames = self._frames
        if not frames:
            self._loop.call_soon(self.flush)
        frames.append(sent)
        if len(frames) == _MOST_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Send now what was put."""
        frames, self._frames = self._frames, []
        if frames and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    def message(self, call: Call, message: bytes) -> None:
        """Send an answer's message when the client takes it."""
        if not call.has_answered:
            call.has_answered = True
            self._put_headers(END_HEADERS, call.stream, ANSWER)
        call.unsent += framed(message)
        self._send(call)

    def end(self, call: Call, trailers: bytes) -> None:
        """End a call once its messages have been sent."""
        call.trailers = trailers if call.has_answered else ANSWER + trailers
        self._send(call)

    def answer(self, stream: int, headers: bytes, *, has_ended: bool) -> None:
        """Answer a stream with headers alone; `has_ended` says whether its client has sent all that it will."""
        self._put_headers(_ENDS, stream, headers)
        if not has_ended:
            # Whatever else its client has to say does not matter (RFC 9113, 8.1).
            self.put(reset(stream, NO_ERROR))

    def forget(self, stream: int) -> None:
        """Nobody waits for what is left of a call."""
        waited = self._waiting.pop(stream, None) or self._waiting_each.pop(stream, None)
        if waited and not (self._waiting or self._waiting_each):
            self._blocked(False)

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
            largest = self._first_window + call.window
        if largest > LARGEST_WINDOW:
            raise ConnectionFailed(FLOW_CONTROL_ERROR, f"a window of {largest} bytes")
        if call is not None:
            self._send(call)
            return
        # Not all of them, which may be many: each that is looked at is sent, waits for its own window, or takes what there is.
        while self._waiting and self._window > 0:
            self._send(next(iter(self._waiting.values())))

    def first_window_becomes(self, size: int) -> None:
        """The client takes so many bytes of each call at first, and of those that are open as many more or less than it did."""
        grows, self._first_window = size > self._first_window, size
        if grows:
            for call in tuple(self._waiting_each.values()):
                self._send(call)

    def _put_headers(self, flags: int, stream: int, headers: bytes) -> None:
        """Send headers, in as many frames as their size needs."""
        block = self._blocks.block(headers)
        if len(block) <= EVERY_FRAME:
            self.put(frame(HEADERS, flags, stream, block))
            return
        self.put(frame(HEADERS, flags & ~END_HEADERS, stream, block[:EVERY_FRAME]))
        last = (len(block) - 1) // EVERY_FRAME * EVERY_FRAME
        for start in range(EVERY_FRAME, len(block), EVERY_FRAME):
            self.put(frame(CONTINUATION, END_HEADERS if start == last else 0, stream, block[start : start + EVERY_FRAME]))

    def _wait(self, call: Call, waiting: dict[int, Call]) -> None:
        """Have a call wait among these."""
        is_first = not (self._waiting or self._waiting_each)
        if call.stream not in waiting:
            self._waiting.pop(call.stream, None)
            self._waiting_each.pop(call.stream, None)
            waiting[call.stream] = call
        if is_first:
            self._blocked(True)

    def _send(self, call: Call) -> None:
        """Send what the windows have room for."""
        while call.unsent:
            own = self._first_window + call.window
            size = min(len(call.unsent), own, self._window, EVERY_FRAME)
            if size <= 0:
                self._wait(call, self._waiting_each if own <= 0 else self._waiting)
                return
            self.put(frame(DATA, 0, call.stream, call.unsent[:size]))
            call.unsent = call.unsent[size:]
            call.window -= size
            self._window -= size
        self.forget(call.stream)
        if call.trailers is not None:
            self.answer(call.stream, call.trailers, has_ended=call.has_ended)
            self._ended(call)
