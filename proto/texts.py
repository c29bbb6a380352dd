"""Texts as views into the bytes that hold them, and which of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.native_kernels import index_texts

Bytes = NDArray[np.uint8]
Integers = NDArray[Any]

_FIRST_TEXTS: Final = 256


class Texts(NamedTuple):
    """Texts as views: `data` (uint8, read-only), and offset and length of each (integers, shape (rows,))."""

    data: Bytes
    offsets: Integers
    lengths: Integers


class Index:
    """Room in which a kernel finds the texts that differ.

    Args:
        texts: how many there is room for at first, a power of two. Names and keys are few, as a rule, and a large table is slow.

    Attributes:
        tables: a hash table of their codes, and the offset and the length of the first text of each code.
    """

    def __init__(self, texts: int = _FIRST_TEXTS) -> None:
        self._make(texts)

    def _make(self, texts: int) -> None:
        self.tables = (np.zeros(4 * texts, np.int32), np.empty(texts, np.int64), np.empty(texts, np.int64))

    def grow(self) -> None:
        """Start again with room for eight times as many."""
        self._make(8 * len(self.tables[1]))

    def distinct(self, data: Bytes, size: int) -> Texts:
        """The texts that differ, once there are `size` of them."""
        return Texts(data, self.tables[1][:size], self.tables[2][:size])


def distinct_texts(texts: Texts, *, are_many: bool = False) -> tuple[NDArray[np.int32], Texts]:
    """For each text its place among those that differ, and those, in the order in which they first come.

    Args:
        are_many: one in four may differ from all before it, as of values; names and keys are few.
    """
    codes = np.empty(len(texts.offsets), np.int32)
    offsets, lengths = (np.ascontiguousarray(each, np.int32) for each in (texts.offsets, texts.lengths))
    index = Index(1 << max(len(codes) // 4, _FIRST_TEXTS).bit_length() if are_many else _FIRST_TEXTS)
    while (size := index_texts(codes, texts.data, offsets, lengths, *index.tables)) < 0:
        index.grow()
    return codes, index.distinct(texts.data, size)


def known_texts(names: Sequence[str]) -> Texts:
    """Texts that are not in any request."""
    return texts_of([name.encode() for name in names])


def texts_of(texts: Sequence[bytes]) -> Texts:
    """Texts as views into bytes of their own."""
    lengths = np.array([len(text) for text in texts], np.int64)
    return Texts(np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths) - lengths, lengths)


def pick(texts: Texts, rows: NDArray[Any]) -> Texts:
    """Those in these rows: a mask, or indices."""
    return Texts(texts.data, texts.offsets[rows], texts.lengths[rows])


def text_at(texts: Texts, row: int) -> bytes:
    """One of the texts."""
    start = int(texts.offsets[row])
    return texts.data[start : start + int(texts.lengths[row])].tobytes()
