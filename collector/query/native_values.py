"""Columns of answers in the Native format as Python's values, for what goes from span to span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.grouped_sketches import GroupedSketches
from collector.query.attributes import Attributes
from proto.distinct import distinct
from proto.native_decode import Coded, Column, Lists, Maps
from proto.texts import Texts

_ALL: Final = slice(None)


def array_of(column: Column) -> NDArray[Any]:
    """A column of numbers as it is.

    Raises:
        TypeError: the column is none, as in the functions below.
    """
    if not isinstance(column, np.ndarray):
        raise _unfit(column, "numbers")
    return column


def numbers_of(column: Column) -> list[int]:
    """A column of whole numbers as a list."""
    values: list[int] = array_of(column).tolist()
    return values


def sketches_of(column: Column) -> GroupedSketches:
    """A column of sketches, with each row as a group."""
    maps = _maps(column)
    count = len(maps.bounds) - 1
    groups = np.repeat(np.arange(count), np.diff(maps.bounds))
    return GroupedSketches(count, groups, array_of(maps.keys).astype(np.int64), array_of(maps.values))


def strings_of(column: Column) -> list[str]:
    """A column of texts as a list. Bytes that are not UTF-8 become surrogates; equal texts of a dictionary are one object."""
    if isinstance(column, Coded):
        texts = [text.decode(errors="surrogateescape") for text in column.texts]
        return [texts[code] for code in column.codes.tolist()]
    if not isinstance(column, Texts):
        raise _unfit(column, "texts")
    data = column.data.data
    bounds = zip(column.offsets.tolist(), (column.offsets + column.lengths).tolist(), strict=True)
    return [str(data[start:end], "utf-8", "surrogateescape") for start, end in bounds]


def lists_of(column: Column) -> list[list[Any]]:
    """A column of arrays of numbers, texts or maps as a list for each row; maps have no types yet."""
    if not isinstance(column, Lists):
        raise _unfit(column, "arrays")
    items = column.items
    if isinstance(items, Maps):
        values: list[Any] = attributes_of(items, [""] * (len(items.bounds) - 1))
    else:
        values = numbers_of(items) if isinstance(items, np.ndarray) else strings_of(items)
    return [values[start:end] for start, end in pairwise(column.bounds.tolist())]


def attributes_of(column: Column, types: Sequence[str], rows: slice = _ALL) -> list[Attributes]:
    """Some rows of a column of maps as attributes.

    Args:
        types: the codes of each of these rows' values.
        rows: which; all by default.
    """
    maps = _maps(column)
    starts, ends = maps.bounds[:-1][rows], maps.bounds[1:][rows]
    if not len(starts):
        return []
    first = int(starts[0])
    keys, values = (strings_of(_part(each, first, int(ends[-1]))) for each in (maps.keys, maps.values))
    bounds = zip((starts - first).tolist(), (ends - first).tolist(), types, strict=True)
    return [Attributes(tuple(keys[start:end]), tuple(values[start:end]), of_row) for start, end, of_row in bounds]


def row_keys(column: Column) -> Iterator[tuple[bytes, bytes]]:
    """For each row of a column of maps what equal maps have in common, and others do not; no text is made for it."""
    maps = _maps(column)
    keys, values = coded(maps.keys).codes, coded(maps.values).codes
    for start, end in pairwise(maps.bounds.tolist()):
        yield keys[start:end].tobytes(), values[start:end].tobytes()


def coded(column: Column) -> Coded:
    """A column of texts with a dictionary, whether it came with one or not."""
    if isinstance(column, Coded):
        return column
    if not isinstance(column, Texts):
        raise _unfit(column, "texts")
    return Coded(*distinct(column))


def _part(column: Column, start: int, end: int) -> Column:
    if isinstance(column, Coded):
        return column._replace(codes=column.codes[start:end])
    if isinstance(column, Texts):
        return Texts(column.data, column.offsets[start:end], column.lengths[start:end])
    raise _unfit(column, "texts")


def _maps(column: Column) -> Maps:
    if not isinstance(column, Maps):
        raise _unfit(column, "maps")
    return column


def _unfit(column: Column, wanted: str) -> TypeError:
    return TypeError(f"a column of {type(column).__name__}, where {wanted} are needed")
