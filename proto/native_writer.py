"""How the data of a column of ClickHouse's Native format is written, type by type.

LowCardinality states its version before anything else of its column (`version_of`), then come its dictionary and codes; an Array
or Map is its cumulated sizes, then its elements.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from proto import native_kernels as kernels
from proto.native_rows import Maps
from proto.room import Room
from proto.texts import Bytes, Integers, Texts, distinct_texts

_DICTIONARY_VERSION: Final = np.uint64(1).tobytes()
_HAS_DICTIONARY: Final = 1 << 9 | 1 << 10  # additional keys are in the block, and they are to be read
_WORD: Final = struct.Struct("<Q")
_WORDS: Final = struct.Struct("<2Q")
_CODE_TYPES: Final = (np.uint8, np.uint16, np.uint32)
_LENGTH_BYTES: Final = 5
"""The most that the length of a text takes."""


def version_of(kind: str) -> bytes:
    """What stands before all data of a column of this type."""
    return _DICTIONARY_VERSION if "LowCardinality" in kind else b""


class NativeWriter(Room):
    """Column data, one value a row, appended to what is there."""

    __slots__ = ()

    def append(self, piece: bytes | Bytes) -> None:
        """These bytes."""
        end = self.size + len(piece)
        self.reserve(len(piece))[self.size : end] = np.frombuffer(piece, np.uint8)
        self.size = end

    def numbers(self, column: Integers, dtype: type[np.generic]) -> None:
        """Numbers of a fixed size."""
        end = self.size + len(column) * np.dtype(dtype).itemsize
        self.reserve(end - self.size)[self.size : end].view(dtype)[:] = column
        self.size = end

    def strings(self, texts: Texts) -> None:
        """String."""
        out = self.reserve(int(texts.lengths.sum()) + _LENGTH_BYTES * len(texts.lengths))
        self.size = kernels.write_texts(out, self.size, *texts)

    def span_ids(self, data: Bytes, offsets: Integers, length: int) -> None:
        """String of ids in hexadecimal, of so many bytes each where they are not absent."""
        out = self.reserve((2 * length + 1) * len(offsets))
        self.size = kernels.write_span_ids(out, self.size, data, offsets, length)

    def ids(self, ids: Texts) -> None:
        """String of ids in hexadecimal, of any length."""
        out = self.reserve(2 * int(ids.lengths.sum()) + _LENGTH_BYTES * len(ids.lengths))
        self.size = kernels.write_ids(out, self.size, *ids)

    def sizes(self, counts: Integers) -> None:
        """What stands before the elements of an Array or Map."""
        self.numbers(np.cumsum(counts, dtype=np.uint64), np.uint64)

    def dictionary(self, texts: Texts, codes: Integers) -> None:
        """LowCardinality behind its version: `texts` are those that differ. Nothing at all when there are no rows."""
        if not len(codes):
            return
        self.numbers(codes, self._dictionary_head(texts, len(codes)))

    def _dictionary_head(self, texts: Texts, rows: int) -> type[np.generic]:
        """What stands before the codes of so many rows. Returns their type."""
        size = len(texts.offsets)
        width = 0 if size <= 1 << 8 else 1 if size <= 1 << 16 else 2
        self.append(_WORDS.pack(width | _HAS_DICTIONARY, size))
        self.strings(texts)
        self.append(_WORD.pack(rows))
        return _CODE_TYPES[width]

    def low_cardinality(self, texts: Texts, text_of_row: Integers | None = None) -> None:
        """LowCardinality; `text_of_row`, where given, says which of the texts each row has."""
        codes, distinct = distinct_texts(texts)
        if text_of_row is None:
            self.dictionary(distinct, codes)
        elif len(text_of_row):
            kind = self._dictionary_head(distinct, len(text_of_row))
            self.numbers(codes.astype(kind)[text_of_row], kind)

    def maps(self, maps: Maps) -> None:
        """Map(LowCardinality(String), String)."""
        row = maps.list_of_row
        if row is None:
            self.sizes(maps.counts)
            self.dictionary(maps.keys, maps.codes)
            self.append(maps.values)
            return
        ends = np.cumsum(maps.counts[row], dtype=np.uint64)
        self.numbers(ends, np.uint64)
        elements = int(ends[-1]) if len(ends) else 0
        if not elements:
            return
        kind = self._dictionary_head(maps.keys, elements)
        codes = maps.codes.astype(kind)
        self._runs(codes.view(np.uint8), codes.itemsize * np.cumsum(maps.counts, dtype=np.int64), row)
        self._runs(maps.values, maps.value_ends, row)

    def _runs(self, source: Bytes, ends: Integers, run_of_row: Integers) -> None:
        """For each row one of the runs that lie one behind the other and end there."""
        sizes = np.diff(ends, prepend=np.int64(0))
        out = self.reserve(int(np.dot(np.bincount(run_of_row, minlength=len(ends)), sizes)))
        self.size = kernels.write_runs(out, self.size, source, ends - sizes, sizes, run_of_row)

    def map_types(self, maps: Maps) -> None:
        """The letters of the types of a Map's values, as LowCardinality."""
        self.low_cardinality(maps.types, maps.list_of_row)
