"""What values of attributes become when they are hashed or get another type. All functions are pure.

Values are rows of dtype ATTRIBUTE whose texts lie in `data`; all work is done once for each value that differs.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.distinct import distinct_strings, distinct_values
from proto.spans import ARRAY, BOOL, DOUBLE, INT, KVLIST, STRING, Table

Bytes = NDArray[np.uint8]

_INTEGER: Final = re.compile(rb"[+-]?[0-9]{1,400}")
_DOUBLE: Final = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(rb"[+-]?(?:inf|infinity)|nan", re.IGNORECASE)


class Numbers(NamedTuple):
    """Numbers as attributes hold them, int64, of doubles the bits; and for which values there are any, bool."""

    numbers: NDArray[np.int64]
    known: NDArray[np.bool_]


def hashed(data: Bytes, values: Table) -> tuple[NDArray[np.int32], list[bytes]]:
    """The SHA-1 of each value in hexadecimal: for each its place among those that differ, and those.

    Of a number its eight bytes count, the lowest first, of a boolean one, and of arrays and key-value lists their JSON. The hash
    of nothing is nothing, as in the OpenTelemetry Collector.
    """
    codes = np.empty(len(values), np.int32)
    texts: list[bytes] = []
    kinds = values["type"]
    nested = (kinds == ARRAY) | (kinds == KVLIST)
    numeric = (kinds == INT) | (kinds == DOUBLE)
    boolean = kinds == BOOL
    for chosen, width in ((nested, 0), (numeric, 8), (boolean, 1), (~(nested | numeric | boolean), 0)):
        if not chosen.any():
            continue
        part = values[chosen]
        places: NDArray[Any]
        if width:
            differing, places = np.unique(part["number"], return_inverse=True)
            contents = [number.to_bytes(8, "little", signed=True)[:width] for number in differing.tolist()]
        else:
            places, contents = distinct_values(data, part) if chosen is nested else distinct_strings(data, part)
        codes[chosen] = places + len(texts)
        texts += [hashlib.sha1(content, usedforsecurity=False).hexdigest().encode() if content else b"" for content in contents]
    return codes, texts


def as_integers(data: Bytes, values: Table) -> Numbers:
    """Values as integers: doubles without their fractions, booleans as 0 and 1, decimal texts."""
    numbers = values["number"].copy()
    known = (values["type"] == INT) | (values["type"] == BOOL)
    chosen = values["type"] == DOUBLE
    doubles = numbers[chosen].view(np.float64)
    fits = (doubles >= -(2.0**63)) & (doubles < 2.0**63)
    numbers[chosen] = np.where(fits, doubles, 0).astype(np.int64)
    known[chosen] = fits
    _read_texts(data, values, Numbers(numbers, known), _read_integer)
    return Numbers(numbers, known)


def as_doubles(data: Bytes, values: Table) -> Numbers:
    """Values as doubles: integers, booleans as 0 and 1, texts in decimal or scientific notation."""
    numbers = values["number"].copy()
    known = values["type"] == DOUBLE
    chosen = (values["type"] == INT) | (values["type"] == BOOL)
    numbers[chosen] = numbers[chosen].astype(np.float64).view(np.int64)
    known |= chosen
    _read_texts(data, values, Numbers(numbers, known), _read_double)
    return Numbers(numbers, known)


def read_double(text: bytes) -> float | None:
    """The number that a text says, or None; what is too large for a double is none."""
    if _NO_NUMBER.fullmatch(text):
        return float(text)
    if not _DOUBLE.fullmatch(text) or np.isinf(number := float(text)):
        return None
    return number


def _read_texts(data: Bytes, values: Table, into: Numbers, read: Any) -> None:
    chosen = values["type"] == STRING
    if chosen.any():
        codes, texts = distinct_strings(data, values[chosen])
        found = [read(text) for text in texts]
        into.numbers[chosen] = np.array([number or 0 for number in found], np.int64)[codes]
        into.known[chosen] = np.array([number is not None for number in found])[codes]


def _read_integer(text: bytes) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _read_double(text: bytes) -> int | None:
    number = read_double(text)
    return None if number is None else int(np.float64(number).view(np.int64))
