"""Reads answers of HTTP/1.1 as far as a load generator must: the status, where the answer ends, and its body where that is asked.

Framing is that of RFC 9112, section 6.3. One answer at a time: requests are not pipelined.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

MAX_HEAD_BYTES: Final = 64 << 10
MAX_KEPT_BYTES: Final = 4 << 20
"""A longer body is counted, and not kept beyond this."""
_MAX_LINE_BYTES: Final = 8 << 10
_NO_BODY: Final = (204, 304)
_FIRST_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?(?=\r\n)")
_FRAMING: Final = re.compile(rb"\r\n(content-length|transfer-encoding|connection):[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class MalformedAnswer(Exception):
    """What came is no answer of HTTP/1.1; the text says why, the same for the same cause."""


class _State(Enum):
    HEAD = "head"
    LENGTH = "a body of known length"
    CHUNK_SIZE = "the line before a chunk"
    CHUNK = "a chunk"
    CHUNK_END = "the line end behind a chunk"
    TRAILER = "lines behind the last chunk"
    TO_THE_END = "a body that ends with the connection"
    DONE = "whole"


class AnswerReader:
    """Reads one answer after another from a connection.

    Args:
        keeps_body: whether bodies are kept.
        without_body: whether answers have none, whatever their heads say, because the requests ask for heads (HEAD).

    Attributes:
        status: of the answer, once its head was read.
        head: of the answer, where bodies are kept.
        body: as far as it is kept.
        nbytes: how much was read of it, with its head.
        stays_open: whether another request may follow on the connection.
    """

    detail = ""
    """What HTTP says beyond its status is in the body."""
    __slots__ = ("_buffer", "_keeps_body", "_left", "_state", "_without_body", "body", "head", "nbytes", "status", "stays_open")

    def __init__(self, *, keeps_body: bool = False, without_body: bool = False) -> None:
        self._keeps_body = keeps_body
        self._without_body = without_body
        self.begin()

    def begin(self) -> None:
        """Make ready for the next answer."""
        self._state = _State.HEAD
        self._buffer = b""
        self._left = 0
        self.status = 0
        self.head = b""
        self.body = bytearray()
        self.nbytes = 0
        self.stays_open = True

    def feed(self, data: bytes) -> bool:
        """Take what came; whether the answer is whole now.

        Raises:
            MalformedAnswer: it is none, or more came than the answer.
        """
        self.nbytes += len(data)
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        while data and self._state is not _State.DONE:
            data = self._step(data)
            if self._buffer:
                return False
        if data:
            raise MalformedAnswer("bytes behind the answer")
        return self._state is _State.DONE

    def end(self) -> bool:
        """The connection has ended; whether the answer is whole by that."""
        return self._state is _State.TO_THE_END

    def _step(self, data: bytes) -> bytes:
        """Read one part; what is left. What is too short to tell goes into the buffer."""
        match self._state:
            case _State.HEAD:
                return self._head(data)
            case _State.LENGTH | _State.CHUNK:
                return self._content(data)
            case _State.TO_THE_END:
                self._keep(data)
                return b""
            case _:
                return self._line(data)

    def _head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            if len(data) > MAX_HEAD_BYTES:
                raise MalformedAnswer("head too long")
            if not b"HTTP/1.".startswith(data[:7]):
                raise MalformedAnswer("no answer of HTTP/1.1")
            self._buffer = data
            return b""
        first = _FIRST_LINE.match(data)
        if first is None:
            raise MalformedAnswer("no answer of HTTP/1.1")
        status = int(first[2])
        if status < 200:
            if status == 101:
                raise MalformedAnswer("switches to another protocol")
            return data[end + 4 :]
        self.status = status
        self.stays_open = first[1] == b"1"  # the minor version, until a header says otherwise
        if self._keeps_body:
            self.head = data[:end]
        self._framing(_FRAMING.findall(data, 0, end), status)
        return data[end + 4 :]

    def _framing(self, fields: list[tuple[bytes, bytes]], status: int) -> None:
        length, coding, options = None, b"", b""
        for name, value in fields:
            match len(name):
                case 14:
                    if not _LENGTH.fullmatch(value.rstrip()) or length not in (None, int(value)):
                        raise MalformedAnswer("length of the body that is none")
                    length = int(value)
                case 17:
                    coding = value.strip().lower()
                case _:
                    options += value.lower()
        if options:
            self.stays_open = b"close" not in options and (self.stays_open or b"keep-alive" in options)
        if self._without_body or status in _NO_BODY:
            self._state = _State.DONE
        elif coding:
            # With both, the sender may be confused about where its answer ends.
            self.stays_open &= length is None
            self._state = _State.CHUNK_SIZE if coding.endswith(b"chunked") else _State.TO_THE_END
        elif length is not None:
            self._left = length
            self._state = _State.LENGTH if length else _State.DONE
        else:
            self._state = _State.TO_THE_END
        if self._state is _State.TO_THE_END:
            self.stays_open = False

    def _content(self, data: bytes) -> bytes:
        mine = data[: self._left] if len(data) > self._left else data
        self._keep(mine)
        self._left -= len(mine)
        if not self._left:
            self._state = _State.CHUNK_END if self._state is _State.CHUNK else _State.DONE
        return data[len(mine) :]

    def _line(self, data: bytes) -> bytes:
        end = data.find(b"\r\n")
        if end < 0 or end > _MAX_LINE_BYTES:
            if len(data) > _MAX_LINE_BYTES:
                raise MalformedAnswer("line between chunks too long")
            self._buffer = data
            return b""
        match self._state:
            case _State.CHUNK_SIZE:
                size = _CHUNK_SIZE.fullmatch(data, 0, end)
                if size is None:
                    raise MalformedAnswer("chunk without a size")
                self._left = int(size[1], 16)
                self._state = _State.CHUNK if self._left else _State.TRAILER
            case _State.CHUNK_END:
                if end:
                    raise MalformedAnswer("chunk without an end")
                self._state = _State.CHUNK_SIZE
            case _:
                if not end:
                    self._state = _State.DONE
        return data[end + 2 :]

    def _keep(self, data: bytes) -> None:
        if self._keeps_body and len(self.body) < MAX_KEPT_BYTES:
            self.body += data
