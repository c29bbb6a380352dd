"""What the language of the search box calls the fields of spans and the measures of traces, and which values they take.

Names of OTTL mean what they mean in conditions of filters. Any other name is the key of an attribute of the span or its resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from collector.query.conditions import Measure
from collector.query.predicates import EVERYWHERE, Attribute, Column, Field
from collector.query.predicates import Level as AttributeLevel
from config.ottl_nodes import Level
from config.ottl_paths import FIELDS, PREFIXES
from config.problems import nearest

Takes = Literal["text", "kind", "status", "id", "duration", "count", "anything"]
"""Values that a subject is compared with; `anything` are those that attributes may have."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared.

    Attributes:
        fields: of the span; where there are several, one of them must compare so. Empty for a measure.
        measure: of the trace; None for a field.
        takes: which values.
    """

    fields: tuple[Field, ...]
    measure: Measure | None
    takes: Takes


_OF_SPAN: Final[Mapping[str, tuple[Column, Takes]]] = {
    "name": ("name", "text"),
    "kind": ("kind", "kind"),
    "kind.string": ("kind", "kind"),
    "status": ("status", "status"),
    "status.code": ("status", "status"),
    "status.message": ("status message", "text"),
    "duration": ("duration", "duration"),
    "trace_id": ("trace id", "id"),
    "trace_id.string": ("trace id", "id"),
    "span_id": ("span id", "id"),
    "span_id.string": ("span id", "id"),
    "parent_span_id": ("parent span id", "id"),
    "parent_span_id.string": ("parent span id", "id"),
    "trace_state": ("trace state", "text"),
}
_COLUMNS: Final[Mapping[str, tuple[Column, Takes]]] = {
    **_OF_SPAN,
    **{f"span.{name}": field for name, field in _OF_SPAN.items()},
    "service": ("service", "text"),
    "scope.name": ("scope name", "text"),
    "scope.version": ("scope version", "text"),
    "instrumentation_scope.name": ("scope name", "text"),
    "instrumentation_scope.version": ("scope version", "text"),
    "event.name": ("event name", "text"),
    "spanevent.name": ("event name", "text"),
    "link.trace_id": ("link trace id", "id"),
    "link.span_id": ("link span id", "id"),
    "trace.annotation": ("annotation", "text"),
}
_MEASURES: Final[Mapping[str, tuple[Measure, Takes]]] = {
    "trace.duration": ("duration", "duration"),
    "trace.spans": ("spans", "count"),
    "trace.errors": ("errors", "count"),
    "trace.root.service": ("root service", "text"),
    "trace.root.name": ("root name", "text"),
}
_LEVELS: Final[Mapping[str, tuple[AttributeLevel, ...]]] = {
    "span": ("span",),
    "resource": ("resource",),
    "scope": ("scope",),
    "instrumentation_scope": ("scope",),
    "event": ("event",),
    "spanevent": ("event",),
    "link": ("link",),
    "any": EVERYWHERE,
}
_PREFIXES: Final[Mapping[str, Level]] = {**PREFIXES, "event": Level.EVENT}


def subject_of(steps: list[tuple[str, list[str]]]) -> Subject:
    """What a path names.

    Args:
        steps: names that dots part, each with the keys in brackets behind it.

    Raises:
        ValueError: it names nothing that can be searched by; the text says what could.
    """
    names = [name for name, _ in steps]
    keys = steps[-1][1]
    if any(inside for _, inside in steps[:-1]) or len(keys) > 1:
        raise ValueError("has one key in brackets at most, at its end")
    name = ".".join(names)
    if keys:
        return _with_key(names, keys[0])
    if name in _COLUMNS:
        column, takes = _COLUMNS[name]
        return Subject((column,), None, takes)
    if name in _MEASURES:
        measure, takes = _MEASURES[name]
        return Subject((), measure, takes)
    if names[0] == "trace":
        known = (*_MEASURES, *(column for column in _COLUMNS if column.startswith("trace.")))
        hint = nearest(name, known) or f"there are {', '.join(known)}"
        raise ValueError(f'{name} is nothing that is known of a trace; {hint}; an attribute of that name is any["{name}"]')
    if names[0] not in _LEVELS:
        _refuse_other_fields(name, name, Level.SPAN)
        # Not anywhere: only attributes of spans and resources have indexes.
        return Subject((Attribute("span or resource", name),), None, "anything")
    rest = ".".join(names[1:])
    if not rest:
        raise ValueError(f"must say which attribute, as in {name}.key")
    if names[0] in _PREFIXES:
        _refuse_other_fields(name, rest, _PREFIXES[names[0]])
    return _attribute(names[0], rest)


def _with_key(names: list[str], key: str) -> Subject:
    match names:
        case ["attributes"]:
            return _attribute("span", key)
        case [first] | [first, "attributes"] if first in _LEVELS:
            return _attribute(first, key)
    levels = ", ".join(f'{level}["key"]' for level in _LEVELS)
    raise ValueError(f"{'.'.join(names)} has no keys; attributes by their keys are {levels}")


def _attribute(first: str, key: str) -> Subject:
    if not key:
        raise ValueError("the key must not be empty")
    return Subject(tuple(Attribute(level, key) for level in _LEVELS[first]), None, "anything")


def _refuse_other_fields(name: str, rest: str, level: Level) -> None:
    """What has a meaning in conditions of filters must not have another one here."""
    if rest.split(".")[0] in {field.split(".")[0] for field in FIELDS[level]}:
        raise ValueError(f'{name} is a field that cannot be searched by; an attribute of that name is any["{rest}"]')
