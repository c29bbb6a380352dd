"""Blocks of headers from the frames that they come in: HEADERS, and CONTINUATION right behind it (RFC 9113, 6.2 and 6.10)."""

from __future__ import annotations

from typing import Final

from collector.receivers.grpc_server.frames import (
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    PADDED,
    PRIORITY_BYTES,
    PROTOCOL_ERROR,
    WITH_PRIORITY,
    ConnectionFailed,
)
from collector.receivers.grpc_server.headers import MAX_BLOCK_BYTES

NOT_CONTINUED: Final = "headers that are not continued as they must be"
"""What is wrong with a frame that comes amid those of a block, or with one that continues none."""


class BlockReader:
    """Puts the blocks of one connection together.

    Attributes:
        is_open: whether the next frame must continue a block.
        ends_stream: whether the last block ends its stream.
    """

    __slots__ = ("_begun", "_stream", "ends_stream", "is_open")

    def __init__(self) -> None:
        self._begun = b""
        self._stream = 0
        self.is_open = False
        self.ends_stream = False

    def begin(self, flags: int, stream: int, payload: bytes) -> bytes | None:
        """The block of a frame of HEADERS, if it is whole.

        Raises:
            ConnectionFailed: there is more padding than fits.
        """
        start, end = 0, len(payload)
        if flags & PADDED:
            end -= payload[0] if payload else 1
            start = 1
        if flags & WITH_PRIORITY:
            start += PRIORITY_BYTES
        if start > end:
            raise ConnectionFailed(PROTOCOL_ERROR, "HEADERS with more padding than bytes")
        self.ends_stream = bool(flags & END_STREAM)
        if flags & END_HEADERS:
            return payload[start:end]
        self.is_open, self._begun, self._stream = True, payload[start:end], stream
        return None

    def go_on(self, flags: int, stream: int, payload: bytes) -> bytes | None:
        """The block that a frame of CONTINUATION belongs to, if it is whole.

        Raises:
            ConnectionFailed: it is of another stream, or the block is too large.
        """
        if stream != self._stream:
            raise ConnectionFailed(PROTOCOL_ERROR, NOT_CONTINUED)
        block = self._begun + payload
        if len(block) > MAX_BLOCK_BYTES:
            raise ConnectionFailed(ENHANCE_YOUR_CALM, f"headers of more than {MAX_BLOCK_BYTES} bytes")
        self.is_open = not flags & END_HEADERS
        self._begun = block if self.is_open else b""
        return None if self.is_open else block
