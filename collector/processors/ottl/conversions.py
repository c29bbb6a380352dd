"""Values as another type: what `Int`, `Double`, `Bool` and `String` make of them."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final

import orjson

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf(inity)?|nan)", re.ASCII | re.IGNORECASE)
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def as_int(value: Any) -> int | None:
    """The whole number that a value says, or that a float has before its point; nil where there is none."""
    match value:
        case bool():
            return int(value)
        case int():
            return value
        case float() if math.isfinite(value):
            value = int(value)
        case str() if _INTEGER.fullmatch(value) and len(value) < 100:
            value = int(value)
        case _:
            return None
    return value if _SMALLEST <= value <= _LARGEST else None


def as_double(value: Any) -> float | None:
    """The number that a value says; nil where there is none."""
    match value:
        case bool() | int() | float():
            return float(value)
        case str() if _NUMBER.fullmatch(value):
            return float(value)
    return None


def as_bool(value: Any) -> bool | None:
    """Whether a value says true; nil where it says nothing."""
    match value:
        case bool() | int() | float():
            return bool(value)
        case str() if value in _TRUE | _FALSE:
            return value in _TRUE
    return None


def as_string(value: Any) -> str | None:
    """A value as a text; nil stays nil."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _decimal(value)
        case bytes():
            return value.hex()
    return orjson.dumps(_for_json(value), option=orjson.OPT_SORT_KEYS).decode()


def _decimal(value: float) -> str:
    """A float without exponent, as few digits as tell it from others."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _for_json(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case list():
            return [_for_json(each) for each in value]
        case dict():
            return {key: _for_json(each) for key, each in value.items()}
    return value
