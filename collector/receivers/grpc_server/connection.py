"""One HTTP/2 connection (RFC 9113), as far as gRPC needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, cast

from collector.errors import Refused
from collector.receivers.grpc_server import frames
from collector.receivers.grpc_server.blocks import NOT_CONTINUED, BlockReader
from collector.receivers.grpc_server.call import Call
from collector.receivers.grpc_server.calls import Calls
from collector.receivers.grpc_server.frames import ConnectionFailed
from collector.receivers.grpc_server.headers import MAX_LIST_BYTES, HeadReader
from collector.receivers.grpc_server.patience import Patience
from collector.receivers.grpc_server.reading import FrameReader, NotHttp2
from collector.receivers.grpc_server.restraint import WINDOW
from collector.receivers.grpc_server.shared import Shared
from proto.errors import MalformedRequest

T = TypeVar("T")

_WINDOW_STEP: Final = 1 << 20
_IDLE_FRAMES: Final = 1000
_IDLE_FRAMES_S: Final = 1.0
"""More frames than this in this time that ask for nothing are an attack (RFC 9113, 10.5)."""
_TLS_HANDSHAKE: Final = b"\x16"
_OF_CONNECTIONS: Final = frozenset((frames.SETTINGS, frames.PING, frames.GOAWAY))
_LAST_CALLS: Final = b"leaving?"
"""The ping whose answer says that a peer has heard that it is to leave: what comes behind it is no call any more."""

_IN_HTTP_1: Final = (
    "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: close, Upgrade\r\n"
    "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}"
)


class Connection(asyncio.BufferedProtocol):
    """One connection.

    Args:
        shared: with the others.
        loop: the event loop.
    """

    _transport: asyncio.Transport
    _calls: Calls
    _patience: Patience

    def __init__(self, shared: Shared, loop: asyncio.AbstractEventLoop) -> None:
        self._shared = shared
        self._loop = loop
        self._reader = FrameReader(shared.buffer, self)
        self._heads = HeadReader()
        self._target: Call | None = None
        self._last_stream = 0
        self._blocks = BlockReader()
        self._read_since_update = 0
        self._idle_frames = 0
        self._idle_since_s = 0.0
        self._is_asked = False
        self._is_leaving = False
        self._is_closing = False

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        shared = self._shared
        self._patience = Patience(self, shared.keepalive, shared.service.message_timeout_s, self._loop)
        self._calls = Calls(shared.service, transport, self._loop, self._patience)
        self._patience.begin()
        shared.add(self)
        if shared.is_stopping:
            self.abandon()
        elif len(shared.connections) > shared.max_connections:
            self.abandon(Refused(f"more than {shared.max_connections} connections are open", "unavailable"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._shared.remove(self)
        self._calls.lose()
        self._patience.stop()

    def pause_writing(self) -> None:
        # Who does not read answers need not send requests, and those that have come wait.
        self._reader.is_paused = True
        self._transport.pause_reading()
        self._patience.stuck(is_stuck=True)

    def resume_writing(self) -> None:
        self._patience.stuck(is_stuck=False)
        # Not at once: frames may be being passed on.
        self._loop.call_soon(self._go_on)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.room()

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_closing:
            return
        self._patience.heard_s = self._loop.time()
        try:
            self._reader.received(nbytes)
        except NotHttp2 as error:
            self._explain(error.opening)
        except ConnectionFailed as error:
            self._shared.service.failed(MalformedRequest(f"a connection broke a rule of HTTP/2: {error}", "connection"))
            self._end(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours ends this connection, and no other
            self._shared.service.failed(error)
            self._end(frames.INTERNAL_ERROR, "internal error")

    # What the server and time ask for.

    @property
    def has_calls(self) -> bool:
        """Whether a call is open."""
        return len(self._calls) > 0

    @property
    def oldest_unfinished_s(self) -> float:
        """As that of `Calls`."""
        return self._calls.oldest_unfinished_s

    def leave(self) -> None:
        """Ask the peer to leave (NET-11, NET-15). Calls that are on their way are still taken (RFC 9113, 6.8)."""
        if self._is_asked or self._is_closing:
            return
        self._is_asked = True
        self._patience.leaves()
        if self._reader.is_greeted:
            self._calls.outgoing.put(frames.go_away(frames.STREAM, frames.NO_ERROR))
            self._calls.outgoing.put(frames.frame(frames.PING, 0, 0, _LAST_CALLS))
        else:
            self.part()

    def part(self) -> None:
        """Take no more calls, and close when those that are open have ended."""
        if self._is_leaving or self._is_closing:
            return
        self._is_leaving = True
        self._patience.parts()
        if self._reader.is_greeted:
            self._calls.outgoing.put(frames.go_away(self._last_stream, frames.NO_ERROR))
        self.rests()

    def rests(self) -> None:
        """No call is open, perhaps."""
        if self._is_leaving and not len(self._calls):
            self._close()

    def ping(self) -> None:
        """Have the peer show that it is there."""
        self._calls.outgoing.put(frames.frame(frames.PING, 0, 0, bytes(8)))

    def end_slow_calls(self, before_s: float) -> None:
        """Refuse calls that began before that time, and whose messages have not come."""
        timeout_s = self._shared.service.message_timeout_s
        self._calls.end_slow(before_s, lambda: Refused(f"the message did not arrive within {timeout_s:g} seconds", "slow_body"))

    def abandon(self, error: Exception | None = None) -> None:
        """Close at once; `error` says what for, if anybody is to be told."""
        if error is not None:
            self._shared.service.failed(error)
        self._is_closing = True
        self._transport.abort()

    # What the reader finds.

    def greeted(self) -> None:
        self._patience.greeted()
        max_streams = self._shared.max_streams
        settings = {
            **({} if max_streams is None else {frames.MAX_CONCURRENT_STREAMS: max_streams}),
            frames.INITIAL_WINDOW_SIZE: WINDOW,
            # Whole requests in few frames.
            frames.MAX_FRAME_SIZE: frames.LARGEST_FRAME,
            frames.MAX_HEADER_LIST_SIZE: MAX_LIST_BYTES,
        }
        self._calls.outgoing.put(frames.settings_frame(settings))
        # Bytes are bounded by refusing calls, not by making all of a connection wait for one.
        self._calls.outgoing.put(frames.window_update(0, frames.LARGEST_WINDOW - frames.FIRST_WINDOW))

    def data_begins(self, stream: int, size: int) -> None:
        if self._blocks.is_open:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, NOT_CONTINUED)
        self._check_begun(stream, "DATA")
        if not size:
            self._count_idle()
        call = self._calls.get(stream)
        self._target = None if call is None or call.has_ended else call
        self._read_since_update += size
        if self._read_since_update >= _WINDOW_STEP:
            self._calls.outgoing.put(frames.window_update(0, self._read_since_update))
            self._read_since_update = 0

    def data(self, part: memoryview) -> None:
        if (call := self._receiving()) is not None:
            self._add(call, call.message.add, part)

    def room(self) -> memoryview | None:
        call = self._receiving()
        return None if call is None else call.message.room()

    def filled(self, size: int) -> None:
        if (call := self._receiving()) is not None:
            self._add(call, call.message.filled, size)

    def data_ends(self, *, ends_stream: bool) -> None:
        call, self._target = self._target, None
        if ends_stream and call is not None:
            self._idle_frames = 0
            self._calls.complete(call)

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._blocks.is_open != (kind == frames.CONTINUATION):
            raise ConnectionFailed(frames.PROTOCOL_ERROR, NOT_CONTINUED)
        if stream and kind in _OF_CONNECTIONS:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"a frame of type {kind} on stream {stream}")
        match kind:
            case frames.HEADERS:
                block = self._blocks.begin(flags, stream, payload)
                if block is not None:
                    self._headers(stream, block)
            case frames.CONTINUATION:
                self._count_idle()
                block = self._blocks.go_on(flags, stream, payload)
                if block is not None:
                    self._headers(stream, block)
            case frames.WINDOW_UPDATE:
                self._update_window(stream, frames.number_in(payload, "WINDOW_UPDATE"))
            case frames.RST_STREAM:
                self._count_idle()
                frames.number_in(payload, "RST_STREAM")
                self._check_begun(stream, "RST_STREAM")
                self._calls.reset(stream)
            case frames.SETTINGS:
                self._count_idle()
                self._settle(flags, payload)
            case frames.PING:
                self._answer_ping(flags, payload)
            case frames.PUSH_PROMISE:
                raise ConnectionFailed(frames.PROTOCOL_ERROR, "PUSH_PROMISE, which only servers send")
            case _:
                # GOAWAY: the client will close. PRIORITY, and what nobody knows: of no matter (RFC 9113, 5.5).
                self._count_idle()

    def _check_begun(self, stream: int, what: str) -> None:
        """Raise ConnectionFailed for a stream that cannot have such a frame: none, one without a head, or one of a server."""
        if not stream & 1 or (stream > self._last_stream and not self._is_leaving):
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"{what} of stream {stream}, which has not begun")

    def _go_on(self) -> None:
        """Read again, first what had come before."""
        if self._patience.is_stuck:
            return
        if self._reader.resume():
            self.buffer_updated(0)
        if not self._reader.is_paused:
            self._transport.resume_reading()

    def _receiving(self) -> Call | None:
        """The call whose DATA is being read, unless it is over."""
        call = self._target
        return call if call is not None and self._calls.get(call.stream) is call else None

    def _add(self, call: Call, add: Callable[[T], None], what: T) -> None:
        try:
            add(what)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            self._calls.refuse(call, error)

    def _headers(self, stream: int, block: bytes) -> None:
        """The head of a call, or what stands behind its message."""
        head = self._heads.read(block)
        if not stream & 1:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, f"stream {stream}, whose number is not a client's")
        if stream <= self._last_stream or self._is_leaving:
            # What stands behind a message; or a call that nobody looks at, as the client was told.
            self._count_idle()
            call = self._calls.get(stream)
            if call is not None and self._blocks.ends_stream:
                self._idle_frames = 0
                self._calls.complete(call)
            return
        self._last_stream = stream
        if self._shared.max_streams is not None and len(self._calls) >= self._shared.max_streams:
            self._calls.outgoing.put(frames.reset(stream, frames.REFUSED_STREAM))
            return
        self._calls.begin(stream, head, self._patience.heard_s, has_ended=self._blocks.ends_stream)

    def _update_window(self, stream: int, size: int) -> None:
        if not size:
            raise ConnectionFailed(frames.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        if not stream:
            self._calls.outgoing.window_grows(None, size)
            return
        self._check_begun(stream, "WINDOW_UPDATE")
        call = self._calls.get(stream)
        if call is not None:
            self._calls.outgoing.window_grows(call, size)

    def _settle(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise ConnectionFailed(frames.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that has some")
            return
        outgoing = self._calls.outgoing
        first_window = frames.settings_in(payload).get(frames.INITIAL_WINDOW_SIZE)
        if first_window is not None:
            outgoing.first_window_becomes(first_window)
        outgoing.put(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _answer_ping(self, flags: int, payload: bytes) -> None:
        if len(payload) != frames.PING_BYTES:
            raise ConnectionFailed(frames.FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        self._count_idle()
        if flags & frames.ACK:
            if self._is_asked and payload == _LAST_CALLS:
                self.part()
            return
        if not self._patience.bears_ping(has_calls=self.has_calls):
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, "too_many_pings")
        self._calls.outgoing.put(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _count_idle(self) -> None:
        """A frame that asks for nothing has come."""
        if self._patience.heard_s - self._idle_since_s > _IDLE_FRAMES_S:
            self._idle_since_s, self._idle_frames = self._patience.heard_s, 0
        self._idle_frames += 1
        if self._idle_frames > _IDLE_FRAMES:
            raise ConnectionFailed(frames.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def _explain(self, opening: bytes) -> None:
        """Tell a peer that speaks something else what is spoken here (GRPC-14)."""
        if opening.startswith(_TLS_HANDSHAKE):
            what = "a handshake of TLS came, and none is configured here; configure the client without it"
        else:
            what = "gRPC is spoken here: OTLP over HTTP goes to the receiver's HTTP endpoint, usually port 4318"
            self._transport.write(_IN_HTTP_1.format(len(what), what).encode())
        self._shared.service.failed(MalformedRequest(what, "connection"))
        self._close()

    def _end(self, code: int, message: str) -> None:
        """Close after telling the peer why."""
        self._calls.outgoing.put(frames.go_away(self._last_stream, code, message))
        self._close()

    def _close(self) -> None:
        """Close once everything has been sent, if that does not take long."""
        if self._is_closing:
            return
        self._is_closing = True
        self._calls.outgoing.flush()
        self._transport.close()
        self._patience.closes()
