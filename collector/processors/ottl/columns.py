"""Columns of values of any type: numbers as they are, everything else as places in a list of the values that differ.

So what Python does is done once for each value that differs, and what is done for each row, NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.ottl_nodes import Type
from proto.texts import Texts

Mask = NDArray[np.bool_]
Rows = NDArray[Any]

# Codes of types; what is not listed under `Type` failed.
NIL, BOOL, INT, FLOAT, STRING, BYTES, LIST, MAP, TIME, DURATION, FAILED = map(np.uint8, range(11))

CODES: Final = {
    Type.NIL: NIL,
    Type.BOOL: BOOL,
    Type.INT: INT,
    Type.FLOAT: FLOAT,
    Type.STRING: STRING,
    Type.BYTES: BYTES,
    Type.LIST: LIST,
    Type.MAP: MAP,
    Type.TIME: TIME,
    Type.DURATION: DURATION,
}
NAMES: Final = {int(code): each.value for each, code in CODES.items()}
_BY_CLASS: Final[dict[type, np.uint8]] = {
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STRING,
    bytes: BYTES,
    list: LIST,
    dict: MAP,
    type(None): NIL,
}
_MODULUS: Final = 1 << 64


class Failure(Exception):
    """A value cannot be worked out; the text says why."""


class Values(Sequence[Any]):
    """The values that differ: str, bytes, list or dict; made when they are first asked for.

    Args:
        make: makes them.
        count: how many there are.
        find: the places where a str or bytes may stand, of all; without, every place is looked at.
        views: where they lie in a batch's data, as attributes hold them, if they come from there.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        count: int,
        find: Callable[[str | bytes], Rows] | None = None,
        views: Texts | None = None,
    ) -> None:
        self.views = views
        self._make = make
        self._made: list[Any] | None = None
        self._count = count
        self._find = find

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self.all()[place]

    def all(self) -> list[Any]:
        """All of them."""
        if self._made is None:
            self._made = [self._make(place) for place in range(self._count)]
        return self._made

    def texts(self) -> list[bytes]:
        """All of them as bytes: what is a str in UTF-8, of others any."""
        if self.views is None:
            return [value.encode() if isinstance(value, str) else b"" for value in self.all()]
        data, offsets, lengths = self.views.data.data, self.views.offsets, self.views.lengths
        return [bytes(data[start:end]) for start, end in zip(offsets.tolist(), (offsets + lengths).tolist(), strict=True)]

    def place(self, value: str | bytes) -> int:
        """Where the value stands, or -1. Values of one type differ, so there is one place at most."""
        if self._find is None or self._made is not None:
            return next((place for place, each in enumerate(self.all()) if type(each) is type(value) and each == value), -1)
        candidates = self._find(value).tolist()
        return next((place for place in candidates if self._make(place) == value), -1)


NOTHING: Final = Values(lambda place: None, 0)


@dataclass(frozen=True, slots=True)
class Column:
    """A value for each row, or one for all.

    Attributes:
        types: a code for each row, uint8; shape (rows,), or (1,) where all rows have the same value.
        numbers: int64, of the same shape. BOOL, INT, TIME, DURATION: the value, of FLOAT its bits, of all others but NIL and
            FAILED the place in `values`.
        values: those that differ.
        failure: why the first of those failed that did.
    """

    types: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    values: Values = NOTHING
    failure: str = ""

    def __len__(self) -> int:
        return len(self.types)

    def take(self, rows: Rows) -> Column:
        """The column with its rows in another order, some of them perhaps more than once; one value for all stays so."""
        if len(self.types) == 1:
            return self
        return Column(self.types[rows], self.numbers[rows], self.values, self.failure)

    @property
    def floats(self) -> NDArray[np.float64]:
        """The numbers as FLOAT has them."""
        return self.numbers.view(np.float64)

    def value(self, row: int) -> Any:
        """The value of a row in Python; times and durations as nanoseconds. Raises Failure where there is none."""
        return value_of(int(self.types[row]), int(self.numbers[row]), self)


def value_of(code: int, number: int, column: Column) -> Any:
    """The Python value of a type and a number of a column. Raises Failure for FAILED."""
    if code == STRING or code in (BYTES, LIST, MAP):
        return column.values[number]
    if code == FLOAT:
        return float(np.int64(number).view(np.float64))
    if code == BOOL:
        return bool(number)
    if code == FAILED:
        raise Failure(column.failure)
    return None if code == NIL else number


def chosen(rows: Mask, column: Column, other: Column) -> Column:
    """The values of one column in the rows that are chosen, and of another in all others."""
    first, second = (len(each.values) for each in (column, other))
    numbers = np.where(is_text(other), other.numbers + first, other.numbers)
    values = Values(lambda place: column.values[place] if place < first else other.values[place - first], first + second)
    failure = column.failure or other.failure
    return Column(np.where(rows, column.types, other.types), np.where(rows, column.numbers, numbers), values, failure)


def of_one_type(code: np.uint8, numbers: NDArray[Any], values: Values = NOTHING) -> Column:
    """A column of values of one type."""
    return Column(np.full(len(numbers), code, np.uint8), np.ascontiguousarray(numbers).astype(np.int64, copy=False), values)


def of_results(results: Sequence[Any], code: np.uint8 | None = None) -> Column:
    """A column of Python values and failures.

    Args:
        code: the type of ints that are times or durations.
    """
    types = np.empty(len(results), np.uint8)
    numbers = np.zeros(len(results), np.int64)
    values: list[Any] = []
    places: dict[Any, int] = {}
    failure = ""
    for row, result in enumerate(results):
        if isinstance(result, Failure):
            types[row] = FAILED
            failure = failure or str(result)
            continue
        types[row] = _BY_CLASS[type(result)]
        match result:
            case bool() | None:
                numbers[row] = bool(result)
            case int():
                types[row] = INT if code is None else code
                numbers[row] = _wrapped(result)
            case float():
                numbers[row] = np.float64(result).view(np.int64)
            case _:
                key = (types[row], result) if isinstance(result, str | bytes) else (types[row], canonical(result))
                numbers[row] = places.setdefault(key, len(values))
                if numbers[row] == len(values):
                    values.append(result)
    return Column(types, numbers, Values(values.__getitem__, len(values)), failure)


def canonical(value: Any) -> str:
    """A text that is the same for equal values alone, with their types."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return repr(value)


def _wrapped(number: int) -> int:
    """The number as 64 bits hold it."""
    number %= _MODULUS
    return number - _MODULUS if number >= _MODULUS // 2 else number


def is_text(column: Column) -> Mask:
    """Rows whose numbers are places."""
    return (column.types >= STRING) & (column.types <= MAP)


def apply(function: Callable[..., Any], columns: Sequence[Column], code: np.uint8 | None = None) -> Column:
    """What a function makes of the values of each row; of each combination that differs it is asked once.

    Args:
        function: of one Python value for each column. May raise Failure.
        code: the type of ints that it gives.
    """
    varying = [column for column in columns if len(column) > 1]
    codes, firsts = combinations(varying) if varying else (None, [0])
    results = []
    for first in firsts:
        try:
            results.append(function(*(column.value(first if len(column) > 1 else 0) for column in columns)))
        except Failure as failure:
            results.append(failure)
    column = of_results(results, code)
    return column if codes is None else Column(column.types[codes], column.numbers[codes], column.values, column.failure)


def combinations(columns: Sequence[Column]) -> tuple[Rows, list[int]]:
    """For each row its place among the combinations of values that differ, and a row of each; for one or more columns."""
    codes = _distinct(columns[0])
    for column in columns[1:]:
        others = _distinct(column)
        codes = codes * (int(others.max(initial=0)) + 1) + others
        codes = np.unique(codes, return_inverse=True)[1]
    return _first_rows(codes)


def _distinct(column: Column) -> Rows:
    """A small number for each row, equal where values are."""
    texts = is_text(column)
    # nil and failures need no number of their own beside their type.
    codes = np.where(texts, column.numbers, len(column.values) + column.types.astype(np.int64))
    scalars = ~texts & (column.types != NIL) & (column.types != FAILED)
    if scalars.any():
        base = len(column.values) + int(FAILED) + 1
        numbers = np.unique(column.numbers[scalars], return_inverse=True)[1]
        codes[scalars] = base + numbers * (int(FAILED) + 1) + column.types[scalars]
    return codes


def _first_rows(codes: Rows) -> tuple[Rows, list[int]]:
    """Codes without gaps, and the first row of each."""
    most = int(codes.max(initial=0)) + 1
    if most > 4 * len(codes) + 64:
        _, firsts, dense = np.unique(codes, return_index=True, return_inverse=True)
        return dense, firsts.tolist()
    row_of_code = np.full(most, -1, np.int64)
    row_of_code[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    present = row_of_code >= 0
    place_of_code = np.cumsum(present) - 1
    return place_of_code[codes], row_of_code[present].tolist()
