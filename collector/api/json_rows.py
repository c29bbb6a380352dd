"""JSON of long lists of records that all have the same members, written from columns.

A dictionary for each of 100,000 spans takes longer to make than the rest of an answer, and more memory than its bytes.

records({"name": texts(["a", "b"]), "startTimeUnixNano": nanoseconds([1, 2])})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from collector.query.attributes import utf8
from proto.json_records import HEX, LONGEST_NUMBER, POSITION, SIGNED, TEXT, UNSIGNED, write_records

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Member:
    """The values of one member, in the order of the records.

    Attributes:
        form: of `proto.json_records`.
        values: integers, shape (records,); places in `texts` where that is the form.
        texts: JSON.
        quoted: whether a value stands between quotes.
    """

    form: int
    values: Integers
    texts: Sequence[bytes] = ()
    quoted: bool = False


def texts(values: Sequence[str]) -> Member:
    """Texts, of which many are alike; bytes in them that are not UTF-8 become U+FFFD."""
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(value, len(places)) for value in values], np.int64)
    return coded(codes, list(places))


def coded(codes: Integers, values: Sequence[str]) -> Member:
    """Texts by their places in a list; bytes in them that are not UTF-8 become U+FFFD."""
    return Member(TEXT, codes, [orjson.dumps(utf8(value)) for value in values])


def named(values: Integers, name: Callable[[int], str]) -> Member:
    """The names of integers, of which many are alike."""
    found, codes = np.unique(values, return_inverse=True)
    return coded(codes, [name(value) for value in found.tolist()])


def ids(numbers: Integers, odd: Mapping[int, str]) -> Member:
    """Span ids as they stand in a `Skeleton`, whose texts of odd ids are given."""
    if not odd:
        return Member(HEX, numbers, quoted=True)
    found, codes = np.unique(numbers, return_inverse=True)
    return coded(codes, [odd.get(number) or (f"{number:016x}" if number else "") for number in found.tolist()])


def nanoseconds(values: Integers) -> Member:
    """Integers that may exceed 2^53, as texts."""
    return Member(_form(values), values, quoted=True)


def counts(values: Integers) -> Member:
    """Integers that stay below."""
    return Member(_form(values), values)


def positions(values: Integers) -> Member:
    """Positions in a list; null for what lies below 0."""
    return Member(POSITION, values)


def flags(values: NDArray[np.bool_]) -> Member:
    return Member(TEXT, values.astype(np.int64), (b"false", b"true"))


def documents(values: Mapping[int, Any], count: int) -> Member:
    """For so many records: anything by the record's place, null where there is nothing."""
    codes = np.zeros(count, np.int64)
    codes[list(values)] = range(1, len(values) + 1)
    return Member(TEXT, codes, [b"null", *map(orjson.dumps, values.values())])


def records(members: Mapping[str, Member]) -> orjson.Fragment:
    """The list of the records, for a place in a document.

    Raises:
        ValueError: members have different numbers of values.
    """
    count = len(next(iter(members.values())).values)
    (fragment,) = runs_of_records(members, [0, count])
    return fragment


def runs_of_records(members: Mapping[str, Member], bounds: Sequence[int]) -> list[orjson.Fragment]:
    """Lists of the records, one for each two successive bounds; raises as `records`."""
    sizes = {name: len(member.values) for name, member in members.items()}
    count, *others = set(sizes.values())
    if others:
        raise ValueError(f"members of different lengths: {sizes}")
    if not count:
        return [orjson.Fragment(b"[]")] * (len(bounds) - 1)
    values = np.empty((count, len(members)), np.uint64)
    known: list[bytes] = []
    room = 0
    for column, member in enumerate(members.values()):
        # Of integers with a sign the bits.
        values[:, column] = member.values.astype(np.uint64)
        if member.form == TEXT:
            lengths = np.array([len(text) for text in member.texts], np.int64)
            room += int(lengths[member.values].sum())
            values[:, column] += np.uint64(len(known))
            known += member.texts
        else:
            room += count * LONGEST_NUMBER
    constants, constant_ends = _parts(_constants(members))
    room += count * len(constants)
    out, ends = np.empty(room, np.uint8), np.zeros(count + 1, np.int64)
    forms = np.array([member.form for member in members.values()], np.uint8)
    write_records(out, ends[1:], values, forms, constants, constant_ends, *_parts(known))
    # Between two records stands a comma, before the first of a list its bracket.
    written = out.data
    return [
        orjson.Fragment(b"".join((b"[", written[ends[first] + 1 : ends[end]], b"]")) if first < end else b"[]")
        for first, end in pairwise(bounds)
    ]


def _constants(members: Mapping[str, Member]) -> list[bytes]:
    """What stands before each value, and behind the last. A record begins with the comma behind the one before."""
    found = []
    before = b",{"
    for name, member in members.items():
        quote = b'"' if member.quoted else b""
        found.append(before + orjson.dumps(name) + b":" + quote)
        before = quote + b","
    return [*found, before[:-1] + b"}"]


def _parts(parts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Parts one behind the other, and where each ends."""
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum([len(part) for part in parts], dtype=np.int64)


def _form(values: Integers) -> int:
    return UNSIGNED if values.dtype.kind == "u" else SIGNED
