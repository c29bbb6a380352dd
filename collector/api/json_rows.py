"""JSON of long lists of records that all have the same members, made column by column.

A dictionary for each of 100,000 spans takes longer to make than the rest of an answer, and more memory than its bytes.

records({"name": texts(["a", "b"]), "startTimeUnixNano": nanoseconds([1, 2])})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from collector.query.attributes import utf8

T = TypeVar("T")

_FLAGS: Final = ("false", "true")


@dataclass(frozen=True, slots=True)
class Member:
    """The values of one member, in the order of the records.

    Attributes:
        form: of one value in JSON, for `%`.
        values: what stands in it.
    """

    form: str
    values: Sequence[Any]


def texts(values: Sequence[str]) -> Member:
    """Texts, of which many are alike; bytes in them that are not UTF-8 become U+FFFD."""
    return named(values, str)


def named(values: Sequence[T], name: Callable[[T], str]) -> Member:
    """The names of values, of which many are alike."""
    written = {value: orjson.dumps(utf8(name(value))).decode() for value in set(values)}
    return Member("%s", list(map(written.__getitem__, values)))


def ids(values: Sequence[str]) -> Member:
    """Texts, of which few are alike and usually all are letters and digits."""
    together = "".join(values)
    return Member('"%s"', values) if together.isascii() and together.isalnum() else texts(values)


def nanoseconds(values: Sequence[int]) -> Member:
    """Integers that may exceed 2^53, as texts."""
    return Member('"%d"', values)


def counts(values: Sequence[int]) -> Member:
    """Integers that stay below."""
    return Member("%d", values)


def positions(values: Sequence[int]) -> Member:
    """Positions in a list; null for what lies below 0."""
    return Member("%s", ["null" if value < 0 else value for value in values])


def flags(values: Sequence[bool]) -> Member:
    return Member("%s", list(map(_FLAGS.__getitem__, values)))


def documents(values: Sequence[Any]) -> Member:
    """Anything; best where most are null."""
    return Member("%s", ["null" if value is None else orjson.dumps(value).decode() for value in values])


def taken(values: Sequence[T], rows: Iterable[int]) -> list[T]:
    """The values at these places."""
    return list(map(values.__getitem__, rows))


def records(members: Mapping[str, Member]) -> orjson.Fragment:
    """The list of the records, for a place in a document.

    Raises:
        ValueError: members have different numbers of values.
    """
    form = "{" + ",".join(f'"{name}":{member.form}' for name, member in members.items()) + "}"
    values = zip(*(member.values for member in members.values()), strict=True)
    return orjson.Fragment(f"[{','.join(map(form.__mod__, values))}]")
