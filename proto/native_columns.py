"""Columns of any table to a block of ClickHouse's Native format: for tables that hold what was made of spans.

A column has one of the types that TYPES and `NativeColumn.type` name. `SimpleAggregateFunction(f, T)` is written as T.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.native_writer import NativeWriter, version_of
from proto.spans import members
from proto.texts import Integers, Texts, known_texts
from proto.wire import encode_varint

TYPES: Final[Mapping[str, type[np.generic]]] = {
    "Bool": np.bool_,
    "UInt8": np.uint8,
    "Int16": np.int16,
    "UInt32": np.uint32,
    "DateTime": np.uint32,
    "UInt64": np.uint64,
    "Float64": np.float64,
}
"""Types of numbers → what they are written as; a DateTime is seconds since 1970."""

_MAP: Final = re.compile(r"Map\((\w+), (\w+)\)")


class Strings(NamedTuple):
    """Values of a column of texts: the texts that differ, and which of them each row has, integers, shape (rows,)."""

    texts: Sequence[str]
    codes: Integers


class NumberMaps(NamedTuple):
    """Values of a column of maps between numbers.

    Attributes:
        counts: entries of each row, shape (rows,).
        keys, values: of all entries, one row behind the other, shape (entries,).
    """

    counts: Integers
    keys: NDArray[Any]
    values: NDArray[Any]


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """A column, its values included.

    Attributes:
        name: of the column.
        type: one of TYPES for numbers, `String` or `LowCardinality(String)` for Strings, `Map(K, V)` of TYPES for NumberMaps.
        values: one a row.
    """

    name: str
    type: str
    values: NDArray[Any] | Strings | NumberMaps

    def select(self, rows: NDArray[np.intp]) -> NativeColumn:
        """The column with only these rows, in this order."""
        values = self.values
        if isinstance(values, Strings):
            return replace(self, values=Strings(values.texts, values.codes[rows]))
        if isinstance(values, NumberMaps):
            counts = values.counts[rows]
            starts = (np.cumsum(values.counts) - values.counts)[rows]
            entries = members(starts, counts)
            return replace(self, values=NumberMaps(counts, values.keys[entries], values.values[entries]))
        return replace(self, values=values[rows])


def encode_columns(columns: Sequence[NativeColumn], rows: int) -> bytes:
    """A block of these columns, each of which has so many rows: at least one.

    Raises:
        KeyError: a column has a type of numbers that is not in TYPES.
    """
    out = NativeWriter()
    out.append(encode_varint(len(columns)) + encode_varint(rows))
    for column in columns:
        for text in (column.name.encode(), column.type.encode()):
            out.append(encode_varint(len(text)) + text)
        out.append(version_of(column.type))
        _write(column, out)
    return out.bytes[: out.size].tobytes()


def _write(column: NativeColumn, out: NativeWriter) -> None:
    values = column.values
    if isinstance(values, Strings):
        texts = known_texts(values.texts)
        if column.type == "String":
            out.strings(Texts(texts.data, texts.offsets[values.codes], texts.lengths[values.codes]))
        else:
            out.dictionary(texts, values.codes)
    elif isinstance(values, NumberMaps):
        types = _MAP.fullmatch(column.type)
        if types is None:
            raise KeyError(column.type)
        out.sizes(values.counts)
        out.numbers(values.keys, TYPES[types[1]])
        out.numbers(values.values, TYPES[types[2]])
    else:
        out.numbers(values, TYPES[column.type])
