"""Attributes of spans that a search tells beside them: those that the query names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from collector.query.attributes import to_json
from collector.query.grouping import is_label
from collector.query.hits import SpanKey
from collector.query.predicates import Attribute, Field, Level
from collector.query.shown import Shown

_OF_SPAN: Final[dict[Level, tuple[Literal["attributes", "resource"], ...]]] = {
    "span": ("attributes",),
    "resource": ("resource",),
    "span or resource": ("attributes", "resource"),
}
_BESIDE: Final = ("name", "duration", "span id", "trace id", "kind", "status", "status message")
"""What is told of each span anyway, or read of it besides its attributes."""
_KINDS: Final = {"stringValue": "text", "boolValue": "truth", "intValue": "number", "doubleValue": "number"}
"""Members of values → what Grafana's data source has columns for."""


class _Named(NamedTuple):
    key: str
    value: dict[str, Any]
    text: str


def is_read_alone(field: Field) -> bool:
    """Whether a field is read by itself: what is no attribute of the span or its resource, nor told anyway."""
    if isinstance(field, Attribute):
        return field.level not in _OF_SPAN
    return field not in _BESIDE and is_label(field)


def told_attributes(shown: Mapping[SpanKey, Shown], fields: Mapping[str, Field]) -> dict[SpanKey, list[dict[str, Any]]]:
    """What each span has of the fields, as pairs of OTLP's JSON.

    All values of a key are of one kind: Grafana's data source makes a column of them, and fails as a whole where a text stands
    among numbers, or what it has no columns for, such as arrays. Those are told as texts, all that the key has.
    """
    found = {key: [each for word, field in fields.items() for each in _named(word, field, span)] for key, span in shown.items()}
    kinds = defaultdict(set)
    for named in found.values():
        for each in named:
            kinds[each.key].add(_KINDS.get(next(iter(each.value), "")))
    are_texts = {key for key, of_key in kinds.items() if len(of_key) > 1 or None in of_key}
    return {
        key: [{"key": each.key, "value": {"stringValue": each.text} if each.key in are_texts else each.value} for each in named]
        for key, named in found.items()
    }


def _named(word: str, field: Field, span: Shown) -> Iterator[_Named]:
    """A field with its value; nothing where the span has none, or shows it anyway."""
    if not isinstance(field, Attribute) or field.level not in _OF_SPAN:
        texts: dict[Field, str] = {
            "kind": span.kind.lower(),
            "status": span.status.lower(),
            "status message": span.status_message,
            **span.others,
        }
        text = texts.get(field)
        if text:
            yield _Named(field.key if isinstance(field, Attribute) else word, {"stringValue": text}, text)
        return
    for level in _OF_SPAN[field.level]:
        attributes = getattr(span, level)
        for pair in to_json(attributes):
            if pair["key"] == field.key:
                yield _Named(field.key, pair["value"], attributes.get(field.key))
                return
