"""Frames of HTTP/2 (RFC 9113, section 6): their numbers, and the bytes of those that a server sends."""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (RFC 9113, 3.4)."""

HEAD: Final = struct.Struct(">BHBBI")
"""Length (upper octet, lower two), type, flags, stream."""
HEAD_BYTES: Final = HEAD.size

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20
PRIORITY_BYTES: Final = 5
"""What that flag puts before a block of headers."""
PING_BYTES: Final = 8

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

FIRST_WINDOW: Final = 65_535
"""Bytes of DATA that may be sent on a connection, and on each stream, before anything was agreed upon."""
LARGEST_WINDOW: Final = (1 << 31) - 1
LARGEST_FRAME: Final = (1 << 24) - 1
EVERY_FRAME: Final = 1 << 14
"""Frames of so many bytes may be sent to everybody."""

_ALLOWED: Final = {
    ENABLE_PUSH: (0, 1, PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (0, LARGEST_WINDOW, FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (EVERY_FRAME, LARGEST_FRAME, PROTOCOL_ERROR),
}
"""Setting → its least and largest value, and what others are."""

STREAM: Final = (1 << 31) - 1
"""The bits of a stream's number; the one above them means nothing."""

_SETTING: Final = struct.Struct(">HI")
_NUMBER: Final = struct.Struct(">I")


class ConnectionFailed(Exception):
    """A peer broke a rule in a way after which its connection cannot go on.

    Args:
        code: of HTTP/2, for the peer.
        message: what it did.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings_frame(settings: dict[int, int]) -> bytes:
    """SETTINGS with these values."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(number, value) for number, value in settings.items()))


def settings_in(payload: bytes) -> dict[int, int]:
    """Values by number in the payload of SETTINGS; of several of one setting, the last one counts.

    Raises:
        ConnectionFailed: it has no whole number of them, or one has a value that it cannot have (RFC 9113, 6.5.2).
    """
    if len(payload) % _SETTING.size:
        raise ConnectionFailed(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    settings = {}
    for number, value in _SETTING.iter_unpack(payload):
        least, most, code = _ALLOWED.get(number, (0, value, NO_ERROR))
        if not least <= value <= most:
            raise ConnectionFailed(code, f"the value {value} of setting {number}")
        settings[number] = value
    return settings


def window_update(stream: int, size: int) -> bytes:
    """WINDOW_UPDATE: the peer may send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, code: int) -> bytes:
    """RST_STREAM."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def go_away(last_stream: int, code: int, message: str = "") -> bytes:
    """GOAWAY: streams after the last one have not been, and will not be, looked at."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last_stream) + _NUMBER.pack(code) + message.encode()[:1000])


def number_in(payload: bytes, what: str) -> int:
    """The one number that is the payload of a RST_STREAM or a WINDOW_UPDATE, without the bit that means nothing.

    Raises:
        ConnectionFailed: it is not as long as one.
    """
    if len(payload) != _NUMBER.size:
        raise ConnectionFailed(FRAME_SIZE_ERROR, f"{what} of {len(payload)} bytes")
    number: int = _NUMBER.unpack(payload)[0]
    return number & STREAM
