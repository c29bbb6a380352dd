"""Blocks of ClickHouse's Native format to columns, without an object for each value.

Read are columns of numbers, DateTime64(9), String, LowCardinality(String), and of arrays and maps of these, in as many blocks as
there are; what was aggregated of such columns looks as they do. What each looks like is said in ClickHouse's
`SerializationLowCardinality` and in `proto.native_writer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.native_scan import scan_texts
from proto.texts import Texts

_NUMBERS: Final = {
    "UInt8": "<u1",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float64": "<f8",
}
_NANOSECONDS: Final = re.compile(r"DateTime64\(9(?:, '[^']*')?\)")
_LOW_CARDINALITY: Final = "LowCardinality(String)"
_ARRAY: Final = re.compile(r"Array\((.*)\)")
_MAP: Final = re.compile(r"Map\((LowCardinality\(String\)|\w+), (.*)\)")
_AGGREGATED: Final = re.compile(r"SimpleAggregateFunction\(\w+, (.*)\)")
_CODE_BYTES: Final = 0xFF
_CODES: Final = ("<u1", "<u2", "<u4", "<u8")


class Coded(NamedTuple):
    """A column of texts of which many are alike: for each row its place in a list (int32, shape (rows,)), and the list, in which
    none stands twice."""

    codes: NDArray[np.int32]
    texts: list[bytes]


class Lists(NamedTuple):
    """A column of arrays: where each begins and the last one ends in the column of all their items (int64, shape (rows + 1,))."""

    bounds: NDArray[np.int64]
    items: Column


class Maps(NamedTuple):
    """The same of maps, with a column of all their keys and one of their values."""

    bounds: NDArray[np.int64]
    keys: Column
    values: Column


Column = NDArray[Any] | Texts | Coded | Lists | Maps
"""Numbers, of times nanoseconds since 1970; texts; or arrays and maps of such."""


class NativeError(ValueError):
    """Bytes that are no blocks of these columns."""


def decode_blocks(body: bytes) -> dict[str, Column]:
    """The columns of an answer by their names; none when it has no rows.

    Raises:
        NativeError: the body is cut, is something else, or has a column of another type.
    """
    reader = _Reader(body, np.frombuffer(body, np.uint8))
    parts: dict[str, list[Column]] = {}
    try:
        while reader.position < len(body):
            for name, column in reader.block().items():
                parts.setdefault(name, []).append(column)
    except (IndexError, ValueError, OverflowError, RecursionError) as error:
        raise NativeError(f"not a block of ClickHouse's Native format: {error}") from error
    return {name: _joined(columns) for name, columns in parts.items()}


@dataclass(slots=True)
class _Reader:
    body: bytes
    data: NDArray[np.uint8]
    position: int = 0

    def block(self) -> Mapping[str, Column]:
        """The columns of the next block that have rows."""
        column_count, row_count = self._varint(), self._varint()
        columns = {}
        for _ in range(column_count):
            name, kind = self._text(), self._text()
            if row_count:
                columns[name] = self._column(kind, row_count)
        return columns

    def _column(self, kind: str, count: int) -> Column:
        if aggregated := _AGGREGATED.fullmatch(kind):
            kind = aggregated[1]
        self._versions(kind)
        return self._values(kind, count)

    def _versions(self, kind: str) -> None:
        """What the dictionaries in a column say before anything else of it."""
        if kind == _LOW_CARDINALITY:
            self._numbers("<u8", 1)
        elif of_array := _ARRAY.fullmatch(kind):
            self._versions(of_array[1])
        elif of_map := _MAP.fullmatch(kind):
            self._versions(of_map[1])
            self._versions(of_map[2])

    def _values(self, kind: str, count: int) -> Column:
        if kind in _NUMBERS:
            return self._numbers(_NUMBERS[kind], count)
        if kind == "String":
            return self._texts(count)
        if kind == _LOW_CARDINALITY:
            return self._coded(count)
        if of_array := _ARRAY.fullmatch(kind):
            bounds = self._bounds(count)
            return Lists(bounds, self._values(of_array[1], int(bounds[-1])))
        if of_map := _MAP.fullmatch(kind):
            bounds = self._bounds(count)
            return Maps(bounds, *(self._values(each, int(bounds[-1])) for each in of_map.groups()))
        if _NANOSECONDS.fullmatch(kind):
            return self._numbers("<i8", count)
        raise NativeError(f"a column of type {kind}")

    def _coded(self, count: int) -> Coded:
        if not count:
            # Of a dictionary without rows nothing is written.
            return Coded(np.empty(0, np.int32), [])
        flags, size = self._numbers("<u8", 2).tolist()
        texts = _bytes_of(self._texts(size))
        (of_codes,) = self._numbers("<u8", 1).tolist()
        codes = self._numbers(_CODES[flags & _CODE_BYTES], count)
        if of_codes != count or codes.max() >= len(texts):
            raise NativeError("a column whose dictionary does not fit it")
        return Coded(codes.astype(np.int32), texts)

    def _bounds(self, count: int) -> NDArray[np.int64]:
        ends = self._numbers("<u8", count)
        bounds = np.zeros(count + 1, np.int64)
        bounds[1:] = ends
        # Each item takes a byte at least.
        if np.any(bounds[1:] < bounds[:-1]) or bounds[-1] > len(self.data) - self.position:
            raise NativeError("an array that ends before it begins, or beyond the block")
        return bounds

    def _numbers(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.body, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def _texts(self, count: int) -> Texts:
        # Each takes a byte at least.
        if count > len(self.data) - self.position:
            raise IndexError(f"{count} texts in {len(self.data) - self.position} bytes")
        offsets, lengths = np.empty((2, count), np.int64)
        self.position = scan_texts(offsets, lengths, self.data, self.position)
        return Texts(self.data, offsets, lengths)

    def _text(self) -> str:
        size = self._varint()
        text = self.body[self.position : self.position + size]
        self.position += size
        if len(text) < size:
            raise NativeError("a text that is cut")
        return text.decode()

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self.body[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise NativeError("a number of more than 64 bits")


def _bytes_of(texts: Texts) -> list[bytes]:
    data, bounds = texts.data.data, zip(texts.offsets.tolist(), texts.lengths.tolist(), strict=True)
    return [bytes(data[start : start + length]) for start, length in bounds]


def _joined(parts: Sequence[Column]) -> Column:
    """The column of all blocks, which are of one type."""
    if len(parts) == 1:
        return parts[0]
    match parts[0]:
        case Texts():
            texts = [part for part in parts if isinstance(part, Texts)]
            return Texts(texts[0].data, *(np.concatenate([part[of] for part in texts]) for of in (1, 2)))
        case Coded():
            places: dict[bytes, int] = {}
            codes = []
            for part in parts:
                if isinstance(part, Coded):
                    of_part = np.array([places.setdefault(text, len(places)) for text in part.texts], np.int32)
                    codes.append(of_part[part.codes])
            return Coded(np.concatenate(codes), list(places))
        case Lists():
            lists = [part for part in parts if isinstance(part, Lists)]
            return Lists(_joined_bounds(lists), _joined([part.items for part in lists]))
        case Maps():
            maps = [part for part in parts if isinstance(part, Maps)]
            return Maps(_joined_bounds(maps), _joined([part.keys for part in maps]), _joined([part.values for part in maps]))
        case _:
            return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])


def _joined_bounds(parts: Sequence[Lists | Maps]) -> NDArray[np.int64]:
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
