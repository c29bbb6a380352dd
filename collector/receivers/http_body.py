"""Request bodies: read within limits, and undo their content coding without being blown up by it."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import cramjam
import lz4.frame
from aiohttp import web

from collector.errors import Refused
from collector.receivers.answers import too_large
from collector.receivers.in_flight import Lease
from collector.receivers.snappy import undo_snappy
from proto.errors import MalformedRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

INLINE_COMPRESSED_BYTES: Final = 4 << 10
"""Larger bodies are decompressed in a thread. So few bytes cannot keep the event loop busy for long, whatever they claim."""

_INPUT_STEP: Final = 16 << 10
_OUTPUT_STEP: Final = 1 << 20
_MAX_MEMBERS: Final = 1 << 16
"""Members (frames) that one body may be made of. Each costs up to an input step of copying, so their number is bounded."""

_ZSTD_WINDOW_LOG: Final = 23
"""A frame may make us keep 8 MiB of window: the bound that RFC 9659 sets for HTTP."""


async def read_body(request: web.BaseRequest, limit: int, timeout_s: float | None, lease: Lease) -> bytes:
    """The body as received, at most `limit` bytes, within `timeout_s` seconds (None: whenever it comes).

    Raises:
        Refused: `too_large` or `slow_body`.
        Retryable: too many bytes are in flight.
        ConnectionError: the client has gone.
    """
    content = request.content
    if content.is_eof():
        body = content.read_nowait()
        if len(body) > limit:
            raise too_large(limit)
        lease.grow(len(body))
        return body
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(timeout_s):
            while part := await content.readany():
                if lease.size + len(part) > limit:
                    raise too_large(limit)
                lease.grow(len(part))
                parts.append(part)
    except TimeoutError:
        raise Refused(f"the body did not arrive within {timeout_s:g} seconds", "slow_body") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Member(Protocol):
    """A decompressor of one member, in the shape that the standard library gives to bz2, lzma and zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor in that shape."""

    def __init__(self, window_bits: int) -> None:
        self._member = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, max_length)


def _gzip() -> _Member:
    return _Zlib(16 + zlib.MAX_WBITS)


def _zlib() -> _Member:
    return _Zlib(zlib.MAX_WBITS)


def _raw_deflate() -> _Member:
    return _Zlib(-zlib.MAX_WBITS)


def _zstd() -> _Member:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


def _lz4() -> _Member:
    member: _Member = lz4.frame.LZ4FrameDecompressor()
    return member


_MEMBERS: Final[dict[str, Callable[[], _Member]]] = {
    "gzip": _gzip,
    "deflate": _zlib,
    "zlib": _zlib,
    "zstd": _zstd,
    "lz4": _lz4,
}

_BROKEN: Final = (EOFError, zlib.error, zstd.ZstdError, cramjam.DecompressionError, RuntimeError)
"""What the libraries raise for what is not in a coding; lz4 knows RuntimeError only."""

_SNAPPY: Final = {"snappy": False, "x-snappy-framed": True}
"""Coding → whether it must be in frames."""


def decompress(coding: str, body: bytes, limit: int) -> bytes:
    """Undo a content coding, all members of it (COMP-08), stopping as soon as more than `limit` bytes come out (LIMIT-04).

    Args:
        coding: one of settings.CONTENT_CODINGS. `deflate` is zlib's container, or raw if it does not begin like one (COMP-03).

    Raises:
        Refused: `too_large`.
        MalformedRequest: the body is not in this coding, is cut off, or its checksum is wrong (COMP-07).
    """
    try:
        if coding in _SNAPPY:
            return undo_snappy(body, limit, framed=_SNAPPY[coding])
        new_member = _MEMBERS[coding]
        if coding == "deflate" and not _begins_like_zlib(body):
            new_member = _raw_deflate
        return _undone(new_member, body, limit)
    except _BROKEN as error:
        raise MalformedRequest(f"the body is not valid {coding}: {error}", "body") from None


def _undone(new_member: Callable[[], _Member], body: bytes, limit: int) -> bytes:
    """All that comes out, if it is no more than `limit` bytes. Raises Refused, and as `_inflated`."""
    parts: list[bytes] = []
    size = 0
    for part in _inflated(new_member, body):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflated(new_member: Callable[[], _Member], body: bytes) -> Iterator[bytes]:
    """What comes out, in steps of bounded size.

    Raises:
        EOFError: the last member is cut off, or there are too many; the library's own errors: see `decompress`.
    """
    member = new_member()
    members = 1
    for start in range(0, len(body), _INPUT_STEP):
        given = body[start : start + _INPUT_STEP]
        while given or not (member.eof or member.needs_input):
            if member.eof:
                members += 1
                if members > _MAX_MEMBERS:
                    raise EOFError(f"more than {_MAX_MEMBERS} members")
                member = new_member()
            yield member.decompress(given, _OUTPUT_STEP)
            given = member.unused_data or b"" if member.eof else b""
    if not member.eof:
        raise EOFError("it ends too early")


def _begins_like_zlib(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
