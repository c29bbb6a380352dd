"""Reads files of OTLP a piece at a time, so that what is in memory is bounded, however large a file is."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from typing import Final

from google.protobuf.message import DecodeError

_PIECE_BYTES: Final = 4 << 20
"""What collectors take at least, unless they are told otherwise."""
_MOST_BYTES: Final = 64 << 20
"""The largest part of a file that is read as a whole."""

_LONGEST_VARINT: Final = 10
_VARINT: Final = 0
_WITH_LENGTH: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}


class TooLarge(Exception):
    """A part of a file that can only be read as a whole is larger than that is done for."""


def requests_in(file: BufferedIOBase) -> Iterator[bytes]:
    """ExportTraceServiceRequests with all that a file of one of them has, each as large as collectors take where it can be.

    Raises:
        DecodeError: it is no protobuf.
        TooLarge: the spans of a resource are.
    """
    piece = bytearray()
    while field := _field(file):
        if piece and len(piece) + len(field) > _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
        piece += field
    yield bytes(piece)


def lines_in(file: BufferedIOBase) -> Iterator[bytes]:
    """The lines of a file that are not empty. Raises TooLarge."""
    while line := file.readline(_MOST_BYTES + 1):
        if len(line) > _MOST_BYTES:
            raise TooLarge(f"a line has more than {_MOST_BYTES >> 20} MiB")
        if line.strip():
            yield line


def text_in(file: BufferedIOBase) -> bytes:
    """All that a file has. Raises TooLarge."""
    text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise TooLarge(f"it has more than {_MOST_BYTES >> 20} MiB; write a request a line, into a file that ends in .jsonl")
    return text


def _field(file: BufferedIOBase) -> bytes:
    """The next field of a message, with its tag; empty at the end."""
    tag = _varint(file)
    if not tag:
        return b""
    kind = tag[0] & 7
    if kind in _FIXED_BYTES:
        return tag + _exactly(file, _FIXED_BYTES[kind])
    if kind not in (_VARINT, _WITH_LENGTH):
        raise DecodeError("it has a field of no known kind")
    number = _varint(file)
    if not number:
        raise DecodeError("it ends amid a field")
    if kind == _VARINT:
        return tag + number
    length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(number))
    if length > _MOST_BYTES:
        raise TooLarge(f"the spans of a resource have {length >> 20} MiB, more than {_MOST_BYTES >> 20}")
    return tag + number + _exactly(file, length)


def _varint(file: BufferedIOBase) -> bytes:
    """The bytes of the next number; empty at the end."""
    read = bytearray()
    while len(read) < _LONGEST_VARINT:
        byte = file.read(1)
        read += byte
        if not byte and read:
            raise DecodeError("it ends amid a number")
        if not byte or byte[0] < 0x80:
            return bytes(read)
    raise DecodeError("it has a number that is too long")


def _exactly(file: BufferedIOBase, length: int) -> bytes:
    read = file.read(length)
    if len(read) < length:
        raise DecodeError("it ends amid a field")
    return read
