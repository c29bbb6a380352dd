"""The one message of a call, as it arrives (gRPC over HTTP/2, Length-Prefixed-Message)."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from collector.receivers.answers import too_large
from collector.receivers.in_flight import Lease
from proto.errors import MalformedRequest

_FRAMING: Final = struct.Struct(">BI")
_UNKNOWN: Final = -1


def framed(message: bytes) -> bytes:
    """A message that is not compressed, as it goes into DATA."""
    return _FRAMING.pack(0, len(message)) + message


class Message:
    """What has come of a message. What has only been announced is room that was never written to, and takes no memory.

    Args:
        limit: largest number of bytes that it may have.
        lease: grows by what comes; None where nobody counts.
    """

    __slots__ = ("_bytes", "_framing", "_free", "_lease", "_limit", "_missing", "is_compressed")

    def __init__(self, limit: int, lease: Lease | None) -> None:
        self._limit = limit
        self._lease = lease
        self._framing = b""
        self._bytes = b""
        self._free = memoryview(b"")
        self._missing = _UNKNOWN
        self.is_compressed = False

    def add(self, part: memoryview) -> None:
        """Further bytes. They are copied.

        Raises:
            Refused: the message is, or will be, larger than allowed.
            Retryable: too many bytes are in flight.
            MalformedRequest: it is already whole.
        """
        if self._missing == _UNKNOWN:
            part = self._after_framing(part)
        size = len(part)
        if not size:
            return
        if size > self._missing:
            raise MalformedRequest("more than one message came in a call that takes one")
        if size == self._missing and not self._free:
            # All at once, as most messages come.
            self._bytes = bytes(part)
            self._count(size)
            return
        room = self.room()
        assert room is not None  # noqa: S101 - more is to come
        room[:size] = part
        self.filled(size)

    def room(self) -> memoryview | None:
        """Where its next bytes can be received; None if there is none to come, or before its size is known."""
        if self._missing <= 0:
            return None
        if not self._free:
            array = np.empty(self._missing, np.uint8)
            self._free = array.data
            array.flags.writeable = False
            self._bytes = array.data  # type: ignore[assignment] # reads as bytes do
        return self._free

    def filled(self, size: int) -> None:
        """So many bytes have been received there.

        Raises:
            Retryable: too many bytes are in flight.
        """
        self._free = self._free[size:]
        self._count(size)

    def take(self) -> bytes:
        """All of it, not to be changed, for who takes it alone: nothing is kept here.

        Raises:
            MalformedRequest: it has not all come.
        """
        if self._missing:
            raise MalformedRequest("no complete message could be read from the call")
        message, self._bytes, self._free = self._bytes, b"", memoryview(b"")
        return message

    def _after_framing(self, part: memoryview) -> memoryview:
        """What is left of the message's first bytes behind those that tell its size."""
        taken = _FRAMING.size - len(self._framing)
        self._framing += part[:taken]
        if len(self._framing) < _FRAMING.size:
            return part[taken:]
        compressed, size = _FRAMING.unpack(self._framing)
        if compressed > 1:
            raise MalformedRequest(f"a message begins with {compressed}; it must be 0, or 1 where it is compressed")
        if size > self._limit:
            raise too_large(self._limit)
        self.is_compressed = bool(compressed)
        self._missing = size
        return part[taken:]

    def _count(self, size: int) -> None:
        self._missing -= size
        if self._lease is not None:
            self._lease.grow(size)
