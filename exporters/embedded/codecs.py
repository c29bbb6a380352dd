"""Content-Encoding of requests and answers.

The engine itself reads compressed files, so an INSERT's body stays as it came; only a body that holds the statement is unpacked
here. What Python has no codec for (br, snappy) is unpacked by the engine: see `data.unpack_by_engine`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
import zstandard

from exporters.embedded.errors import error

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = ("gzip", "deflate", "br", "xz", "zstd", "lz4", "bz2", "snappy")
"""Encodings of requests, by the names that both HTTP and the engine use."""

_ALIASES = {"": "none", "identity": "none", "x-gzip": "gzip", "x-deflate": "deflate"}
_BROKEN = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zstd.ZstdError)


class Compressor(Protocol):
    """A stream compressor of the standard library's shape."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        opening = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(opening + self._frame.compress(data))

    def flush(self) -> bytes:
        opening = b"" if self._begun else self._frame.begin()
        return bytes(opening + self._frame.flush())


# In the order of preference when a client accepts several: the cheap ones first, since most clients are on this machine.
_COMPRESSORS: dict[str, Callable[[], Compressor]] = {
    "lz4": _Lz4,
    "zstd": lambda: zstandard.ZstdCompressor(level=1).compressobj(),
    "gzip": lambda: zlib.compressobj(3, wbits=31),
    "deflate": lambda: zlib.compressobj(3),
    "xz": lzma.LZMACompressor,
    "bz2": bz2.BZ2Compressor,
}


def request_encoding(header: str) -> str:
    """The engine's name of a request's Content-Encoding, or `none`. Raises DatabaseError 48 for one that is unknown."""
    name = header.strip().lower()
    name = _ALIASES.get(name, name)
    if name == "none" or name in ENCODINGS:
        return name
    known = ", ".join(f"'{encoding}'" for encoding in ("auto", "none", *ENCODINGS))
    message = f"Unknown compression method '{name}'. Only {known} are supported as compression methods"
    raise error(48, "NOT_IMPLEMENTED", message)


def answer_compressor(accepted: str) -> tuple[str, Compressor] | None:
    """The encoding for an Accept-Encoding header and a compressor for it; None if the answer stays as it is."""
    offered = set()
    for item in accepted.lower().split(","):
        name, _, weight = item.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0"):
            offered.add(name.strip())
    for name, make in _COMPRESSORS.items():
        if name in offered:
            return name, make()
    return None


def unpack(encoding: str, data: bytes, max_bytes: int) -> bytes:
    """Unpack a body in an encoding that Python knows.

    Raises:
        DatabaseError: broken data (354), or more than `max_bytes` of it (229, like a query that is too large).
    """
    try:
        unpacked = _read(encoding, data, max_bytes + 1)
    except _BROKEN as broken:
        raise error(354, "ZLIB_INFLATE_FAILED", f"Cannot unpack a body with Content-Encoding {encoding}: {broken}") from None
    if len(unpacked) > max_bytes:
        raise error(229, "QUERY_IS_TOO_LARGE", f"The unpacked body is larger than the maximum of {max_bytes} bytes")
    return unpacked


def _read(encoding: str, data: bytes, size: int) -> bytes:
    source = io.BytesIO(data)
    match encoding:
        case "gzip":
            return gzip.GzipFile(fileobj=source).read(size)
        case "deflate":
            return _inflated(data, size)
        case "lz4":
            return bytes(lz4.frame.LZ4FrameFile(source).read(size))
        case "zstd":
            return zstd.ZstdFile(source).read(size)
        case "xz":
            return lzma.LZMAFile(source).read(size)
        case "bz2":
            return bz2.BZ2File(source).read(size)
        case _:
            return data


def _inflated(data: bytes, size: int) -> bytes:
    member = zlib.decompressobj()
    plain = member.decompress(data, size)
    if data and not member.eof and len(plain) < size:
        raise EOFError("it ends too early")
    return plain
