"""What conditions and statements are made of once they are read: trees of data, which say of every part what types it can have.

They are evaluated elsewhere; here are no values but those that stand in its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any, Final, Literal


class Type(StrEnum):
    """Types of values."""

    NIL = "nil"
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    BYTES = "bytes"
    LIST = "list"
    MAP = "map"
    TIME = "time"
    DURATION = "duration"


Types = frozenset[Type]

ATTRIBUTE: Final[Types] = frozenset(Type) - {Type.TIME, Type.DURATION}
"""What an attribute may be, one that is not there included."""


class Level(IntEnum):
    """What has a value of its own: each span, each of its events, or all spans of a scope or of a resource together."""

    CONSTANT = 0
    RESOURCE = 1
    SCOPE = 2
    SPAN = 3
    EVENT = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a condition.

    Attributes:
        types: what its value can be.
        level: what has a value of its own.
        at: where it begins in the text, in characters; two conditions that differ by this alone are equal.
    """

    types: Types
    level: Level
    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A value that stands in the text: nil, a bool, int, float, str or bytes, or a list or dict of them."""

    value: Any


@dataclass(frozen=True, slots=True)
class Path(Node):
    """A field of a span and what is around it.

    Attributes:
        name: of the field within its level, such as `kind.string`.
        key: of the attribute, or the entry, of which `name` has many; empty for other fields.
        inside: keys and positions that lead into its value.
    """

    name: str
    key: str
    inside: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list of values that are worked out."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of values.

    Attributes:
        function: its name.
        arguments: in the order of its parameters; None for one that is left out.
        inside: keys and positions that lead into its result.
    """

    function: str
    arguments: tuple[Node | None, ...]
    inside: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class FunctionName(Node):
    """A function that is not called here, but named for something else to call."""

    function: str


@dataclass(frozen=True, slots=True)
class Calculation(Node):
    """Two values, and what is done with them."""

    operator: Literal["+", "-", "*", "/"]
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two values, and what must hold between them."""

    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """Conditions of which all (`and`) or one (`or`) must hold, looked at from left to right as far as that is of interest."""

    operator: Literal["and", "or"]
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """The opposite of a condition."""

    term: Node


def parts(node: Node) -> Iterator[Node]:
    """A node, and all that are in it."""
    yield node
    for each in fields(node):
        value = getattr(node, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield from parts(part)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read and checked.

    Attributes:
        text: as written.
        level: what it is about, spans or events.
        root: what it says; a bool.
    """

    text: str
    level: Level
    root: Node

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was read and checked.

    Attributes:
        text: as written.
        level: what it is about: it is done for each resource, scope, span or event.
        editor: what it does.
        target: what that is done to.
        arguments: in the order of the editor's parameters, without the target; None for one that is left out.
        where: the condition under which it is done; None without one.
    """

    text: str
    level: Level
    editor: str
    target: Path
    arguments: tuple[Node | None, ...]
    where: Node | None

    def __str__(self) -> str:
        return self.text

    @property
    def reads(self) -> Level:
        """The highest level of what it looks at or changes: it comes out the same for all rows above that belong together."""
        parts = [self.target, *self.arguments, self.where]
        return max(part.level for part in parts if part is not None)
