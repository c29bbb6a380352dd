"""The fields of TraceQL: what each means, and which values it is compared with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from collector.query.predicates import Attribute, Column, Field, Level
from config.problems import nearest

Takes = Literal["text", "kind", "status", "duration", "count", "anything", "place"]
"""Values that a field is compared with; `place` is a position in the tree, of which only the root's is known."""
Place = Literal["nestedSetParent", "nestedSetLeft", "nestedSetRight"]
"""What tells where in its tree a span stands."""
Of = Literal["span", "parent", "root", "trace"]
"""Whose field it is: of the span itself, of its parent, of the root of its trace, of the trace as a whole."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared; `field` is None for what is no field of a span, `place` for what is none in a tree."""

    field: Field | None
    takes: Takes
    of: Of = "span"
    place: Place | None = None

    @property
    def is_many(self) -> bool:
        """Whether a span may have several of it."""
        level = self.field.level if isinstance(self.field, Attribute) else str(self.field).partition(" ")[0]
        return level in ("event", "link")


_SPAN: Final[Mapping[str, tuple[Column, Takes]]] = {
    "name": ("name", "text"),
    "status": ("status", "status"),
    "statusMessage": ("status message", "text"),
    "kind": ("kind", "kind"),
    "duration": ("duration", "duration"),
}
INTRINSICS: Final[Mapping[str, Subject]] = {
    **{name: Subject(column, takes) for name, (column, takes) in _SPAN.items()},
    **{f"span:{name}": Subject(column, takes) for name, (column, takes) in _SPAN.items()},
    "span:id": Subject("span id", "text"),
    "span:parentID": Subject("parent span id", "text"),
    "trace:id": Subject("trace id", "text"),
    "trace:duration": Subject(None, "duration", "trace"),
    "traceDuration": Subject(None, "duration", "trace"),
    "trace:rootName": Subject("name", "text", "root"),
    "rootName": Subject("name", "text", "root"),
    "trace:rootService": Subject("service", "text", "root"),
    "rootServiceName": Subject("service", "text", "root"),
    "span:childCount": Subject(None, "count"),
    "event:name": Subject("event name", "text"),
    "event:timeSinceStart": Subject("event time since start", "duration"),
    "link:traceID": Subject("link trace id", "text"),
    "link:spanID": Subject("link span id", "text"),
    "instrumentation:name": Subject("scope name", "text"),
    "instrumentation:version": Subject("scope version", "text"),
    **{place: Subject(None, "place", place=place) for place in get_args(Place)},
}
_LEVELS: Final[Mapping[str, Level]] = {
    "": "span or resource",
    "span": "span",
    "resource": "resource",
    "event": "event",
    "link": "link",
    "instrumentation": "scope",
}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def subject_of(word: str) -> Subject:
    """The subject that an attribute or the name of an intrinsic stands for.

    Raises:
        ValueError: there is none; the text says what there is.
    """
    if "." not in word:
        if word not in INTRINSICS:
            remedy = nearest(word, INTRINSICS) or f"attributes are written as .{word}, and texts in double quotes"
            raise ValueError(f"{word} is no field that is served here; {remedy}")
        return INTRINSICS[word]
    own = word.removeprefix("parent.")
    of: Of = "span"
    if own != word:
        of, own = "parent", own if own.partition(".")[0] in _LEVELS else f".{own}"
    scope, _, key = own.partition(".")
    if scope not in _LEVELS:
        raise ValueError(f"{word} is no field that is served here; attributes are written as .{word}")
    return Subject(Attribute(_LEVELS[scope], _unquoted(key)), "anything", of)


def _unquoted(key: str) -> str:
    """The key without the quotes around its odd parts."""
    parts = re.split(r'"((?:\\.|[^"\\])*)"', key)
    return "".join(_ESCAPED.sub(r"\1", part) if index % 2 else part for index, part in enumerate(parts))
