"""From the bytes of a connection to frames: DATA as it arrives, everything else when it is whole."""

from __future__ import annotations

from typing import Final, Protocol

from collector.receivers.grpc_server.frames import (
    DATA,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEAD,
    HEAD_BYTES,
    PADDED,
    PREFACE,
    PROTOCOL_ERROR,
    STREAM,
    ConnectionFailed,
)
from collector.receivers.grpc_server.headers import MAX_BLOCK_BYTES

BUFFER_BYTES: Final = 256 << 10
"""What is read at once, at most. All connections read into one buffer, of which each keeps less than a frame."""

_LARGEST_WHOLE: Final = MAX_BLOCK_BYTES + 1024
_WORTH_RECEIVING_IN_PLACE: Final = 16 << 10


class FrameSink(Protocol):
    """What frames are for."""

    def greeted(self) -> None:
        """The preface has come."""

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """A frame other than DATA. Raises ConnectionFailed."""

    def data_begins(self, stream: int, size: int) -> None:
        """A frame of DATA begins, with so many bytes, padding among them. Raises ConnectionFailed."""

    def data(self, part: memoryview) -> None:
        """Bytes of it, which are gone after this."""

    def room(self) -> memoryview | None:
        """Where its next bytes may be received right away; None if they have to be given to `data`."""

    def filled(self, size: int) -> None:
        """So many bytes have been received there."""

    def data_ends(self, *, ends_stream: bool) -> None:
        """The frame of DATA is over."""


class NotHttp2(Exception):
    """A connection begins with something else.

    Args:
        opening: its first bytes.
    """

    def __init__(self, opening: bytes) -> None:
        super().__init__(opening)
        self.opening = opening


class FrameReader:
    """Takes the bytes of one connection apart.

    Args:
        buffer: shape (BUFFER_BYTES,); may be shared with other readers of the same thread, as nothing is left in it.
        sink: gets the frames.
    """

    __slots__ = (
        "_buffer",
        "_ends_stream",
        "_in_data",
        "_in_place",
        "_kept",
        "_left",
        "_padding",
        "_sink",
        "is_greeted",
        "is_paused",
    )

    def __init__(self, buffer: memoryview, sink: FrameSink) -> None:
        self._buffer = buffer
        self._sink = sink
        self._kept = b""
        self._in_place = False
        self._in_data = False
        self._left = 0
        self._padding = 0
        self._ends_stream = False
        self.is_greeted = False
        """Whether the preface has come."""
        self.is_paused = False
        """Whether no frame is to be begun; it is set while one is passed on, too."""

    def room(self) -> memoryview:
        """Where the next bytes are to be received."""
        if self._in_data and self._left >= _WORTH_RECEIVING_IN_PLACE:
            room = self._sink.room()
            if room is not None:
                self._in_place = True
                return room[: self._left]
        self._in_place = False
        kept = len(self._kept)
        if kept:
            self._buffer[:kept] = self._kept
        return self._buffer[kept:]

    def resume(self) -> bool:
        """Begin frames again; whether some had been received, which is to be said to `received` anew, as no bytes."""
        self.is_paused = False
        if self._kept:
            self.room()
        return bool(self._kept)

    def received(self, size: int) -> None:
        """So many bytes are in the room that was given last.

        Raises:
            NotHttp2: they are something else.
            ConnectionFailed: the peer broke a rule.
        """
        if self._in_place:
            self._in_place = False
            self._left -= size
            self._sink.filled(size)
            if not self._left and not self._padding:
                self._end_data()
            return
        end = len(self._kept) + size
        at = 0 if self.is_greeted else self._greet(bytes(self._buffer[: min(end, len(PREFACE))]))
        if self.is_greeted:
            at = self._frames(at, end)
        self._kept = bytes(self._buffer[at:end])

    def _greet(self, opening: bytes) -> int:
        if not PREFACE.startswith(opening):
            raise NotHttp2(opening)
        if len(opening) < len(PREFACE):
            return 0
        self.is_greeted = True
        self._sink.greeted()
        return len(PREFACE)

    def _frames(self, at: int, end: int) -> int:
        """Pass on the frames between two places of the buffer; where what is left begins."""
        buffer = self._buffer
        while True:
            if self._in_data:
                at = self._data(at, end)
                if self._in_data:
                    return at
            if end - at < HEAD_BYTES or self.is_paused:
                return at
            upper, lower, kind, flags, stream = HEAD.unpack_from(buffer, at)
            size = upper << 16 | lower
            stream &= STREAM
            if kind == DATA:
                if flags & PADDED and size and end - at == HEAD_BYTES:
                    return at
                at += HEAD_BYTES
                self._begin_data(stream, size, flags, buffer[at] if flags & PADDED and size else None)
                at += bool(flags & PADDED)
                continue
            if size > _LARGEST_WHOLE:
                raise ConnectionFailed(ENHANCE_YOUR_CALM, f"a frame of type {kind} with {size} bytes")
            if end - at < HEAD_BYTES + size:
                return at
            at += HEAD_BYTES
            self._sink.frame(kind, flags, stream, bytes(buffer[at : at + size]))
            at += size

    def _begin_data(self, stream: int, size: int, flags: int, padding: int | None) -> None:
        if flags & PADDED and (padding is None or padding >= size):
            raise ConnectionFailed(PROTOCOL_ERROR, "DATA with more padding than bytes")
        self._sink.data_begins(stream, size)
        self._in_data = True
        self._left = size if padding is None else size - 1 - padding
        self._padding = padding or 0
        self._ends_stream = bool(flags & END_STREAM)

    def _data(self, at: int, end: int) -> int:
        """Pass on what is there of a frame of DATA; where what follows begins."""
        if part := min(self._left, end - at):
            self._sink.data(self._buffer[at : at + part])
            self._left -= part
            at += part
        if not self._left:
            part = min(self._padding, end - at)
            self._padding -= part
            at += part
            if not self._padding:
                self._end_data()
        return at

    def _end_data(self) -> None:
        self._in_data = False
        self._sink.data_ends(ends_stream=self._ends_stream)
