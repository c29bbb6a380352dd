"""Which fields conditions can ask for, and of which types they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config.ottl_nodes import ATTRIBUTE, Level, Type, Types


@dataclass(frozen=True, slots=True)
class Field:
    """A field.

    Attributes:
        types: of its value, or of the value under a key where `keyed`.
        keyed: whether it holds values under keys, of which one must be named.
        countable: whether `Len` can count what is in it.
    """

    types: Types
    keyed: bool = False
    countable: bool = False


def _field(*types: Type) -> Field:
    return Field(frozenset(types))


_ATTRIBUTES: Final = {
    "attributes": Field(ATTRIBUTE, keyed=True, countable=True),
    "dropped_attributes_count": _field(Type.INT),
}

FIELDS: Final[Mapping[Level, Mapping[str, Field]]] = {
    Level.RESOURCE: {**_ATTRIBUTES, "schema_url": _field(Type.STRING)},
    Level.SCOPE: {
        **_ATTRIBUTES,
        "name": _field(Type.STRING),
        "version": _field(Type.STRING),
        "schema_url": _field(Type.STRING),
    },
    Level.SPAN: {
        **_ATTRIBUTES,
        "name": _field(Type.STRING),
        "kind": _field(Type.INT),
        "kind.string": _field(Type.STRING),
        "kind.deprecated_string": _field(Type.STRING),
        "status.code": _field(Type.INT),
        "status.message": _field(Type.STRING),
        "trace_id": _field(Type.BYTES),
        "trace_id.string": _field(Type.STRING),
        "span_id": _field(Type.BYTES),
        "span_id.string": _field(Type.STRING),
        "parent_span_id": _field(Type.BYTES),
        "parent_span_id.string": _field(Type.STRING),
        "trace_state": Field(frozenset({Type.STRING}), keyed=True),
        "start_time": _field(Type.TIME),
        "end_time": _field(Type.TIME),
        "start_time_unix_nano": _field(Type.INT),
        "end_time_unix_nano": _field(Type.INT),
        "events": Field(frozenset({Type.LIST}), countable=True),
        "links": Field(frozenset({Type.LIST}), countable=True),
        "dropped_events_count": _field(Type.INT),
        "dropped_links_count": _field(Type.INT),
        "flags": _field(Type.INT),
    },
    Level.EVENT: {
        **_ATTRIBUTES,
        "name": _field(Type.STRING),
        "time": _field(Type.TIME),
        "time_unix_nano": _field(Type.INT),
        "event_index": _field(Type.INT),
    },
}
"""By what has them, the fields by their names."""

PREFIXES: Final[Mapping[str, Level]] = {
    "resource": Level.RESOURCE,
    "instrumentation_scope": Level.SCOPE,
    "scope": Level.SCOPE,
    "span": Level.SPAN,
    "spanevent": Level.EVENT,
}
"""What a path may begin with; without, it is about the span, or in conditions on events about the event."""

ENUMS: Final[Mapping[str, int]] = {
    "SPAN_KIND_UNSPECIFIED": 0,
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
    "STATUS_CODE_UNSET": 0,
    "STATUS_CODE_OK": 1,
    "STATUS_CODE_ERROR": 2,
}
"""Names of numbers."""

ENUMS_OF: Final[Mapping[str, str]] = {"kind": "SPAN_KIND_", "status.code": "STATUS_CODE_"}
"""Fields whose numbers have names, and what these begin with."""
