"""Spans by one of their fields: what a group's text is in SQL, and which words of the search box find the spans of a group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from collector.query.language import read_field
from collector.query.predicates import Attribute, Column, Field
from collector.query.store import DURATION, EVENT_TIMES, START
from collector.query.wording import Wording
from config.ottl_grammar import MOST_CHARACTERS

_TEXTS: Final[Mapping[Column, str]] = {
    "name": "SpanName",
    "kind": "lower(SpanKind)",
    "status": "lower(StatusCode)",
    "status message": "StatusMessage",
    "service": "ServiceName",
    "scope name": "ScopeName",
    "scope version": "ScopeVersion",
}
_LONGEST: Final = 2000
"""Characters of a text that is searched for."""


def is_groupable(field: Field) -> bool:
    """Whether spans can be grouped by the field."""
    if isinstance(field, Attribute):
        return field.level in ("span", "resource", "span or resource")
    return field in _TEXTS


@dataclass(frozen=True, slots=True)
class OfRoot:
    """A field of the root of a span's trace."""

    field: Literal["name", "service"]


Label = Field | OfRoot
"""What tells spans of a series from others."""
_ONE_OF_MANY: Final[Mapping[Column, str]] = {
    "event name": "`Events.Name`[1]",
    "event time since start": (
        f"if(empty({EVENT_TIMES}), '', concat(toString(toInt64({EVENT_TIMES}[1]) - toInt64({START})), 'ns'))"
    ),
    "link trace id": "`Links.TraceId`[1]",
    "link span id": "`Links.SpanId`[1]",
}
_LABELS: Final[Mapping[Column, str]] = {
    **_TEXTS,
    **_ONE_OF_MANY,
    # As a query would have it.
    "duration": f"concat(toString({DURATION}), 'ns')",
    "span id": "SpanId",
    "parent span id": "ParentSpanId",
    "trace id": "TraceId",
}


def is_label(field: Field) -> bool:
    """Whether spans can be told apart by the field."""
    return isinstance(field, Attribute) or field in _LABELS


def label_text(wording: Wording, label: Label) -> str:
    """An expression for the text of a label, empty where a span lacks it: of events and links that of the first that has it.

    That of a root needs `Wording.roots` beside the spans.
    """
    if isinstance(label, OfRoot):
        return {"name": "RootName", "service": "RootService"}[label.field]
    return wording.text(label) if isinstance(label, Attribute) else _LABELS[label]


def group_text(wording: Wording, field: Field) -> str:
    """An expression for the text of a groupable field; empty where a span lacks it."""
    return wording.text(field) if isinstance(field, Attribute) else _TEXTS[field]


@dataclass(frozen=True, slots=True)
class Key:
    """What spans are grouped by.

    Attributes:
        words: as the language of the search box names it.
        field: which is groupable.
    """

    words: str
    field: Field


def read_key(text: str) -> Key:
    """What a name means, as in the language of the search box; `operation` is the name of a span.

    Raises:
        ValueError: it names nothing that spans can be grouped by.
    """
    words = "name" if text == "operation" else text
    field = read_field(words)
    if not is_groupable(field):
        raise ValueError(
            "spans cannot be grouped by this; use service, operation, kind, status, status.message, scope.name, scope.version,"
            " or the key of an attribute of the span or its resource, such as http.route"
        )
    return Key(words, field)


def search_words(keys: Sequence[Key], texts: Sequence[str]) -> str | None:
    """What finds the spans of the group that has these texts; None where words cannot say it, as of long texts."""
    terms = []
    for key, text in zip(keys, texts, strict=True):
        # Whoever asks for a kind or a status names one.
        equal = equals(key.words, text) if text or key.field not in ("kind", "status") else None
        if equal is None:
            return None
        # A group's text is empty where there is no such attribute.
        terms.append(equal if text or not isinstance(key.field, Attribute) else f"({equal} or {key.words} = nil)")
    words = " and ".join(terms)
    return words if len(words) <= MOST_CHARACTERS else None


def equals(words: str, text: str) -> str | None:
    """A condition that a field has this text; None where that cannot be written."""
    if len(text) > _LONGEST:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return f"{words} = {json.dumps(text, ensure_ascii=False)}"
