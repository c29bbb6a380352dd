"""Comparisons and calculations of columns, by the rules of the OpenTelemetry Transformation Language.

nil equals nil alone. Values of different types differ, and neither is less than the other; an int and a float are compared as
floats. Calculations take two ints, two floats, or times and durations, and fail for everything else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from collector.processors.ottl.columns import (
    BOOL,
    BYTES,
    DURATION,
    FAILED,
    FLOAT,
    INT,
    LIST,
    MAP,
    NAMES,
    NIL,
    STRING,
    TIME,
    Column,
    Mask,
    Rows,
    canonical,
)

_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NIL_EQUALS_NIL: Final = frozenset({"==", "<=", ">="})


def failed(*columns: Column) -> Mask:
    """Rows in which one of the columns has no value."""
    mask = np.zeros(1, np.bool_)
    for column in columns:
        if column.failure:
            mask = mask | (column.types == FAILED)
    return mask


def compare(sign: str, left: Column, right: Column) -> Mask:
    """Rows in which the comparison holds; nothing is said of those in which a value failed."""
    compared = _OPERATORS[sign]
    result = np.full(max(len(left), len(right)), sign == "!=")
    for code in (BOOL, INT, TIME, DURATION):
        _where(result, left, code, right, code, lambda: compared(left.numbers, right.numbers))
    _where(result, left, FLOAT, right, FLOAT, lambda: compared(left.floats, right.floats))
    _where(result, left, INT, right, FLOAT, lambda: compared(left.numbers.astype(np.float64), right.floats))
    _where(result, left, FLOAT, right, INT, lambda: compared(left.floats, right.numbers.astype(np.float64)))
    _where(result, left, NIL, right, NIL, lambda: np.array([sign in _NIL_EQUALS_NIL]))
    for code in (STRING, BYTES):
        _where(result, left, code, right, code, lambda code=code: _compare_texts(sign, left, right, code))  # type: ignore[misc]  # a default binds now
    if sign in ("==", "!="):
        for code in (LIST, MAP):
            _where(result, left, code, right, code, lambda code=code: compared(*_ranks(left, right, code, canonical)))  # type: ignore[misc]  # a default binds now
    return result


def _where(result: Mask, left: Column, left_code: Any, right: Column, right_code: Any, compared: Callable[[], Mask]) -> None:
    """Put into `result` what was compared, in the rows in which both sides have these types."""
    rows = left.types == left_code
    if not rows.any():
        return
    others = right.types == right_code
    if not others.any():
        return
    np.copyto(result, compared(), where=rows & others)


def _compare_texts(sign: str, left: Column, right: Column, code: Any) -> Mask:
    """Texts or bytes, by their order byte by byte; where one is to equal a constant, the others need not be looked at."""
    if sign in ("==", "!="):
        for column, constant in ((left, right), (right, left)):
            if len(constant) == 1:
                equal: Mask = column.numbers == column.values.place(constant.value(0))
                return equal if sign == "==" else ~equal
    ranks: Mask = _OPERATORS[sign](*_ranks(left, right, code, lambda value: value))
    return ranks


def _ranks(left: Column, right: Column, code: Any, key: Callable[[Any], Any]) -> tuple[Rows, Rows]:
    """For each row of both sides the place of its value in the order of all of them. Values of other types are left out."""
    kind = {STRING: str, BYTES: bytes, LIST: list, MAP: dict}[code]
    keys: list[list[Any]] = [
        [key(value) if type(value) is kind else None for value in side.values.all()] for side in (left, right)
    ]
    order = {value: place for place, value in enumerate(sorted({each for side in keys for each in side if each is not None}))}
    # What could not be read, or is of another type, equals nothing.
    left_ranks, right_ranks = (
        np.array([order.get(each, unknown) for each in side], np.int64) for side, unknown in zip(keys, (-1, -2), strict=True)
    )
    return _gathered(left_ranks, left), _gathered(right_ranks, right)


def _gathered(ranks: Rows, column: Column) -> Rows:
    # Rows of other types hold numbers that are no places; what comes of them is not looked at.
    return ranks[np.clip(column.numbers, 0, len(ranks) - 1)]


def calculate(sign: str, left: Column, right: Column) -> Column:
    """A sum, difference, product or quotient. Ints wrap around as 64 bits do, and are divided towards zero."""
    size = max(len(left), len(right))
    types = np.full(size, FAILED, np.uint8)
    numbers = np.zeros(size, np.int64)
    is_time = {"+": [(TIME, DURATION, TIME), (DURATION, TIME, TIME), (DURATION, DURATION, DURATION)]}
    is_time["-"] = [(TIME, TIME, DURATION), (TIME, DURATION, TIME), (DURATION, DURATION, DURATION)]
    with np.errstate(all="ignore"):
        for first, second, result in [(INT, INT, INT), *is_time.get(sign, [])]:
            rows = (left.types == first) & (right.types == second)
            if rows.any():
                if sign == "/":
                    rows &= right.numbers != 0
                np.copyto(numbers, _integers(sign, left.numbers, right.numbers), where=rows)
                np.copyto(types, result, where=rows)
        rows = (left.types == FLOAT) & (right.types == FLOAT)
        if rows.any():
            if sign == "/":
                rows &= right.floats != 0
            np.copyto(numbers, _floats(sign, left, right).view(np.int64), where=rows)
            np.copyto(types, FLOAT, where=rows)
    missing = types == FAILED
    if not missing.any():
        return Column(types, numbers)
    return Column(types, numbers, failure=left.failure or right.failure or _why(sign, left, right, int(np.argmax(missing))))


def _integers(sign: str, left: Rows, right: Rows) -> Rows:
    if sign != "/":
        result: Rows = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](left, right)
        return result
    quotient: Rows = np.floor_divide(left, right)
    # Towards zero: what was rounded down below zero goes up.
    quotient += (quotient < 0) & (quotient * right != left)
    return quotient


def _floats(sign: str, left: Column, right: Column) -> Rows:
    operators = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    result: Rows = operators[sign](left.floats, right.floats)
    return result


def _why(sign: str, left: Column, right: Column, row: int) -> str:
    first, second = (int(side.types[row if len(side) > 1 else 0]) for side in (left, right))
    if sign == "/" and first == second:
        return "division by zero"
    return f"cannot calculate {NAMES[first]} {sign} {NAMES[second]}"
