"""What a span must be like to be found: a tree of predicates.

Languages in which one can ask (TraceQL, and parameters of other systems' query APIs) are read into these; `wording.py` words them
for the store. An attribute that a span lacks fits no comparison, `!=` and `!~` included; `Not` turns that round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from collector.query.store import STATUS_CODES

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "=~", "!~", "starts with", "equals ignoring case", "contains ignoring case"]
"""Patterns (`=~`, `!~`) are RE2 and must match a whole text."""
Value = str | int | float | bool
Level = Literal["span or resource", "span", "resource", "scope", "event", "link"]
"""Where an attribute is looked for. In the resource, where the span may have it too, only if the span does not."""
Column = Literal[
    "name",
    "kind",
    "status",
    "status message",
    "duration",
    "start",
    "trace duration",
    "span id",
    "parent span id",
    "trace id",
    "trace state",
    "service",
    "scope name",
    "scope version",
    "event name",
    "event time since start",
    "link trace id",
    "link span id",
    "annotation",
]
EVERYWHERE: Final[tuple[Level, ...]] = ("span", "resource", "scope", "event", "link")
"""Where a span can have attributes."""
MOST_LEVELS: Final = 64
"""Ancestors and descendants are looked for over so many levels, since spans may be their own ancestors."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by its key."""

    level: Level
    key: str


Field = Attribute | Column

ArithmeticOperator = Literal["+", "-", "*", "/", "%", "^"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What two numbers make; nothing where one of them is no number."""

    operator: ArithmeticOperator
    left: Number
    right: Number


Number = Attribute | Column | int | float | Arithmetic
"""A field that is read as a number, a constant, or what is made of numbers."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field that the span has and that compares so with a value; of several events or links, that of any.

    Numbers are compared as numbers, except that attributes equal a whole number, or do not, by its digits; everything else is
    compared as text.
    """

    field: Field
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Calculated:
    """Two numbers that the span has, or its trace has as a whole, compare so."""

    left: Number
    operator: Operator
    right: Number


@dataclass(frozen=True, slots=True)
class Alike:
    """The span has both fields, and their texts are the same, or not."""

    left: Field
    operator: Literal["=", "!="]
    right: Field


@dataclass(frozen=True, slots=True)
class Exists:
    """The span has this field, and it is not empty; an attribute may be."""

    field: Field


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Predicate


@dataclass(frozen=True, slots=True)
class AllOf:
    """All terms hold; so does the empty one, of every span."""

    terms: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the terms holds."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class HasRelative:
    """The parent of the span, or a child, another child of its parent, any span above or below it, or any of its trace (itself
    included), fits."""

    relative: Literal["parent", "child", "sibling", "ancestor", "descendant", "anybody"]
    term: Predicate


@dataclass(frozen=True, slots=True)
class CountsChildren:
    """The number of the span's children compares so."""

    operator: Operator
    value: int | float


@dataclass(frozen=True, slots=True)
class Measured:
    """Of the spans of the trace that fit the term, and agree with this one in the fields `by`, this measure compares so.

    Attributes:
        measure: how many there are; or the nanoseconds from the first start to the last end; or what to make of a number of each.
        number: for the measures that need one; not of the trace as a whole.
        operator: none of those for texts.
    """

    term: Predicate
    measure: Literal["count", "extent", "avg", "min", "max", "sum"]
    number: Number | None
    operator: Operator
    value: int | float
    by: tuple[Field, ...] = ()


Predicate = Comparison | Calculated | Alike | Exists | Not | AllOf | AnyOf | HasRelative | CountsChildren | Measured

EVERY_SPAN: Final[Predicate] = AllOf()
ROOT: Final = Comparison("parent span id", "=", "")
FAILED: Final = Comparison("status", "=", STATUS_CODES[2])
