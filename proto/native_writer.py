"""How the data of a column of ClickHouse's Native format is written, type by type.

LowCardinality states its version before anything else of its column (`version_of`), then come its dictionary and codes; an Array
or Map is its cumulated sizes, then its elements.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto import native_kernels as kernels
from proto.native_rows import Maps
from proto.room import Room
from proto.texts import Bytes, Integers, Texts, distinct_texts

_DICTIONARY_VERSION: Final = np.uint64(1).tobytes()
_HAS_DICTIONARY: Final = 1 << 9 | 1 << 10  # additional keys are in the block, and they are to be read
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
        self.append(np.ascontiguousarray(column, dtype).view(np.uint8))

    def strings(self, texts: Texts) -> None:
        """String."""
        out = self.reserve(int(texts.lengths.sum()) + _LENGTH_BYTES * len(texts.lengths))
        self.size = kernels.write_texts(out, self.size, *texts)

    def ids(self, ids: Texts) -> None:
        """String of ids in hexadecimal."""
        out = self.reserve(2 * int(ids.lengths.sum()) + _LENGTH_BYTES * len(ids.lengths))
        self.size = kernels.write_ids(out, self.size, *ids)

    def sizes(self, counts: Integers) -> None:
        """What stands before the elements of an Array or Map."""
        self.numbers(np.cumsum(counts, dtype=np.uint64), np.uint64)

    def dictionary(self, texts: Texts, codes: Integers) -> None:
        """LowCardinality behind its version: `texts` are those that differ. Nothing at all when there are no rows."""
        if not len(codes):
            return
        size = len(texts.offsets)
        width = 0 if size <= 1 << 8 else 1 if size <= 1 << 16 else 2
        self.append(np.array([width | _HAS_DICTIONARY, size], np.uint64).tobytes())
        self.strings(texts)
        self.append(np.uint64(len(codes)).tobytes())
        self.numbers(codes, _CODE_TYPES[width])

    def low_cardinality(self, texts: Texts, text_of_row: Integers | None = None) -> None:
        """LowCardinality; `text_of_row`, where given, says which of the texts each row has."""
        codes, distinct = distinct_texts(texts)
        self.dictionary(distinct, codes if text_of_row is None else codes[text_of_row])

    def maps(self, maps: Maps) -> None:
        """Map(LowCardinality(String), String)."""
        row = maps.list_of_row
        if row is None:
            self.sizes(maps.counts)
            self.dictionary(maps.keys, maps.codes)
            self.append(maps.values)
            return
        counts = maps.counts.astype(np.int64)
        self.sizes(counts[row])
        codes = np.empty(4 * int(counts[row].sum()), np.uint8)
        kernels.write_runs(codes, 0, maps.codes.view(np.uint8), 4 * (np.cumsum(counts) - counts), 4 * counts, row)
        self.dictionary(maps.keys, codes.view(np.int32))
        starts = np.concatenate([np.zeros(1, np.int64), maps.value_ends[:-1]])
        sizes = maps.value_ends - starts
        out = self.reserve(int(sizes[row].sum()))
        self.size = kernels.write_runs(out, self.size, maps.values, starts, sizes, row)

    def map_types(self, maps: Maps) -> None:
        """The letters of the types of a Map's values, as LowCardinality."""
        self.low_cardinality(maps.types, maps.list_of_row)
