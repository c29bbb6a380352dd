"""Which fields conditions can ask for and statements can set, and of which types they are."""

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
        settable: whether statements can set it.
    """

    types: Types
    keyed: bool = False
    countable: bool = False
    settable: bool = True


def _field(*types: Type, settable: bool = True) -> Field:
    return Field(frozenset(types), settable=settable)


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
        "kind.deprecated_string": _field(Type.STRING, settable=False),
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
        "events": Field(frozenset({Type.LIST}), countable=True, settable=False),
        "links": Field(frozenset({Type.LIST}), countable=True, settable=False),
        "dropped_events_count": _field(Type.INT),
        "dropped_links_count": _field(Type.INT),
        "flags": _field(Type.INT),
    },
    Level.EVENT: {
        **_ATTRIBUTES,
        "name": _field(Type.STRING),
        "time": _field(Type.TIME),
        "time_unix_nano": _field(Type.INT),
        "event_index": _field(Type.INT, settable=False),
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

CACHE: Final = "cache"
"""The field in which statements keep values for those behind them, under keys."""

RANGES: Final[Mapping[str, int]] = {
    "kind": len([name for name in ENUMS if name.startswith("SPAN_KIND_")]) - 1,
    "status.code": len([name for name in ENUMS if name.startswith("STATUS_CODE_")]) - 1,
    **dict.fromkeys(("flags", *(f"dropped_{each}_count" for each in ("attributes", "events", "links"))), 2**32 - 1),
    **dict.fromkeys(("start_time", "end_time", "time"), 2**63 - 1),
    **dict.fromkeys(("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano"), 2**63 - 1),
}
"""Fields that hold numbers, which begin with 0, and the largest of each."""
