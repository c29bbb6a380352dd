"""Headers of gRPC calls as HPACK (RFC 7541) writes them: those that come are read by the library, those that go are written here.

Nothing that goes out is put into the table that HPACK keeps for a connection, so that an answer is the same bytes on every one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import hpack

from collector.receivers.grpc_server.frames import COMPRESSION_ERROR, ConnectionFailed

MAX_BLOCK_BYTES: Final = 32 << 10
"""Largest block of headers, compressed."""
MAX_LIST_BYTES: Final = 64 << 10
"""Largest list of headers as RFC 9113, 10.5.1 counts it: names, values, and 32 bytes for each."""

_REMEMBERED_HEADS: Final = 16
_LONGEST_REMEMBERED: Final = 64
"""A block of so many bytes is more than any client needs; of longer ones, many would hold much memory."""
_REMEMBERED_STATUSES: Final = 1024
_STATUS_200: Final = b"\x88"
_NO_TABLE: Final = b"\x20"
_LITERAL: Final = b"\x00"
_MEDIA_TYPE: Final = re.compile(r"application/grpc(?![^+;])")
_AS_THEY_ARE: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Head:
    """How a call begins.

    Attributes:
        path: `/service/method`.
        headers: by name in lower case; of several with one name the last. Those that begin with `:` are among them.
        http_status: what it is answered with when it is no gRPC call, else 200 (GRPC-06).
    """

    path: str
    headers: Mapping[str, str]
    http_status: int


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ends.

    Attributes:
        code: of gRPC.
        message: for the caller's developer.
        metadata: further trailers; the names of those with bytes end with `-bin`.
    """

    code: int
    message: str = ""
    metadata: tuple[tuple[str, str | bytes], ...] = ()


class HeadReader:
    """Reads the blocks of headers of one connection, in the order in which they come."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_LIST_BYTES)
        self._heads: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """The head that a block holds.

        A client's calls differ by little, and then begin with the same few bytes: numbers of entries of the table. Such a block
        does not change the table, so it means the same until another one does.

        Raises:
            ConnectionFailed: it is no block of headers, or too large. What follows could not be understood.
        """
        head = self._heads.get(block)
        if head is not None:
            return head
        try:
            pairs = self._decoder.decode(block, raw=True)
        except (hpack.HPACKError, ValueError, IndexError) as error:
            raise ConnectionFailed(COMPRESSION_ERROR, f"headers that cannot be read: {error or type(error).__name__}") from None
        head = _head(pairs)
        lasts = _only_entries(block)
        if not lasts or len(self._heads) == _REMEMBERED_HEADS:
            self._heads.clear()
        if lasts:
            self._heads[block] = head
        return head


def _only_entries(block: bytes) -> bool:
    """Whether there are few bytes, and each is the number of an entry of the table (RFC 7541, 6.1)."""
    return 0 < len(block) <= _LONGEST_REMEMBERED and min(block) > 0x80 and max(block) < 0xFF


def _head(pairs: Iterable[tuple[bytes, bytes]]) -> Head:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    http_status = 200
    if headers.get(":method") != "POST":
        http_status = 405
    elif not _MEDIA_TYPE.match(headers.get("content-type", "")):
        http_status = 415
    return Head(headers.get(":path", ""), headers, http_status)


class BlockWriter:
    """Writes what blocks begin with on one connection: the first one says that no table is used."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def block(self, headers: bytes) -> bytes:
        """A block with these headers."""
        if self._begun:
            return headers
        self._begun = True
        return _NO_TABLE + headers


def http_headers(status: int) -> bytes:
    """Headers of an answer to what is no gRPC call."""
    return _pairs(((":status", str(status)), ("content-type", "text/plain")))


@lru_cache(_REMEMBERED_STATUSES)
def trailers(status: Status) -> bytes:
    """Trailers that end a call with a status (GRPC-05)."""
    pairs = [("grpc-status", str(status.code))]
    if status.message:
        pairs.append(("grpc-message", quote(status.message, safe=_AS_THEY_ARE, errors="replace")))
    pairs += [(name, value if isinstance(value, str) else _base64(value)) for name, value in status.metadata]
    return _pairs(pairs)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(_LITERAL + _text(name) + _text(value) for name, value in pairs)


def _text(text: str) -> bytes:
    """A string literal (RFC 7541, 5.2), not compressed: its length begins with seven bits."""
    encoded = text.encode("latin-1", "replace")
    length = len(encoded)
    if length < 0x7F:
        return bytes((length,)) + encoded
    octets = [0x7F]
    length -= 0x7F
    while length >= 0x80:
        octets.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*octets, length)) + encoded


ANSWER: Final = _STATUS_200 + _pairs((("content-type", "application/grpc"),))
"""Headers that an answer begins with."""
