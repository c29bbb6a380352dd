"""What the keys of spans in JSON mean, OTLP's and Zipkin's: the tables that the kernels look names up in.

A key is found by a hash of its length and three of its bytes, which sends every known key to a slot of its own (the multipliers
are searched for when the module is loaded), and then compared. Every key is known in lowerCamelCase and in snake_case (receiver
contract JSON-01, JSON-02); the names of enum values are keys too, of kinds whose field numbers are the values (JSON-13).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import unchecked_kernel
from proto.words import load64

# Kinds of JSON objects: the messages of OTLP, ...
SKIPPED, REQUEST, RESOURCE_SPANS, RESOURCE, SCOPE_SPANS, SCOPE, SPAN, EVENT, LINK, STATUS = range(10)
KEY_VALUE, ANY_VALUE, ARRAY_VALUE, KEY_VALUE_LIST = range(10, 14)
# ... those of Zipkin's API of version 2; tags have any keys, ...
ZIPKIN_SPAN, ZIPKIN_ENDPOINT, ZIPKIN_ANNOTATION, ZIPKIN_TAGS = range(14, 18)
# ... and the enums, whose "fields" are the names of their values.
SPAN_KIND, STATUS_CODE, ZIPKIN_KIND = 18, 19, 20
# What only resources have, and arrays that hold texts instead of messages.
ENTITY_REF, TEXTS = 21, 22

# Forms of a field's value in JSON and on the wire.
IGNORED = 0  # any value at all, not written
IGNORED_LIBRARY = 1  # the same, with a warning
TEXT = 2
BASE64 = 3
HEX = 4  # `child` is the number of bytes
TIME = 5  # fixed64
COUNT = 6  # uint32 as varint
FLAGS = 7  # uint32 as fixed32
ENUM = 8  # `child` is the kind that holds its names
BOOL = 9
INT = 10
DOUBLE = 11
MESSAGE = 12  # `child` is its kind
REPEATED = 13  # `child` is the kind of its messages
NAME = 14  # a name of an enum's value
SHORT_HEX = 15  # the same as HEX, but digits may be missing in front; of 16 bytes, eight may be missing altogether
DURATION = 16  # uint64 as varint

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES: Final = {
    **dict.fromkeys((TEXT, BASE64, HEX, SHORT_HEX, MESSAGE, REPEATED), _LENGTH_DELIMITED),
    **dict.fromkeys((COUNT, ENUM, BOOL, INT, DURATION), _VARINT),
    **dict.fromkeys((TIME, DOUBLE), _FIXED64),
    FLAGS: _FIXED32,
}


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    form: int
    child: int = SKIPPED

    @property
    def wire_key(self) -> int:
        return self.number << 3 | _WIRE_TYPES[self.form] if self.form in _WIRE_TYPES else self.number


_ATTRIBUTES: Final = (REPEATED, KEY_VALUE)
_SCHEMA: Final[dict[int, dict[str, _Field]]] = {
    REQUEST: {"resourceSpans": _Field(1, REPEATED, RESOURCE_SPANS)},
    RESOURCE_SPANS: {
        "resource": _Field(1, MESSAGE, RESOURCE),
        "scopeSpans": _Field(2, REPEATED, SCOPE_SPANS),
        "schemaUrl": _Field(3, TEXT),
        "instrumentationLibrarySpans": _Field(0, IGNORED_LIBRARY),
    },
    RESOURCE: {
        "attributes": _Field(1, *_ATTRIBUTES),
        "droppedAttributesCount": _Field(2, COUNT),
        "entityRefs": _Field(3, REPEATED, ENTITY_REF),
    },
    ENTITY_REF: {
        "schemaUrl": _Field(1, TEXT),
        "type": _Field(2, TEXT),
        "idKeys": _Field(3, REPEATED, TEXTS),
        "descriptionKeys": _Field(4, REPEATED, TEXTS),
    },
    TEXTS: {},
    SCOPE_SPANS: {
        "scope": _Field(1, MESSAGE, SCOPE),
        "spans": _Field(2, REPEATED, SPAN),
        "schemaUrl": _Field(3, TEXT),
    },
    SCOPE: {
        "name": _Field(1, TEXT),
        "version": _Field(2, TEXT),
        "attributes": _Field(3, *_ATTRIBUTES),
        "droppedAttributesCount": _Field(4, COUNT),
    },
    SPAN: {
        "traceId": _Field(1, HEX, 16),
        "spanId": _Field(2, HEX, 8),
        "traceState": _Field(3, TEXT),
        "parentSpanId": _Field(4, HEX, 8),
        "name": _Field(5, TEXT),
        "kind": _Field(6, ENUM, SPAN_KIND),
        "startTimeUnixNano": _Field(7, TIME),
        "endTimeUnixNano": _Field(8, TIME),
        "attributes": _Field(9, *_ATTRIBUTES),
        "droppedAttributesCount": _Field(10, COUNT),
        "events": _Field(11, REPEATED, EVENT),
        "droppedEventsCount": _Field(12, COUNT),
        "links": _Field(13, REPEATED, LINK),
        "droppedLinksCount": _Field(14, COUNT),
        "status": _Field(15, MESSAGE, STATUS),
        "flags": _Field(16, FLAGS),
    },
    EVENT: {
        "timeUnixNano": _Field(1, TIME),
        "name": _Field(2, TEXT),
        "attributes": _Field(3, *_ATTRIBUTES),
        "droppedAttributesCount": _Field(4, COUNT),
    },
    LINK: {
        "traceId": _Field(1, HEX, 16),
        "spanId": _Field(2, HEX, 8),
        "traceState": _Field(3, TEXT),
        "attributes": _Field(4, *_ATTRIBUTES),
        "droppedAttributesCount": _Field(5, COUNT),
        "flags": _Field(6, FLAGS),
    },
    STATUS: {"message": _Field(2, TEXT), "code": _Field(3, ENUM, STATUS_CODE)},
    KEY_VALUE: {"key": _Field(1, TEXT), "value": _Field(2, MESSAGE, ANY_VALUE)},
    ANY_VALUE: {
        "stringValue": _Field(1, TEXT),
        "boolValue": _Field(2, BOOL),
        "intValue": _Field(3, INT),
        "doubleValue": _Field(4, DOUBLE),
        "arrayValue": _Field(5, MESSAGE, ARRAY_VALUE),
        "kvlistValue": _Field(6, MESSAGE, KEY_VALUE_LIST),
        "bytesValue": _Field(7, BASE64),
    },
    ARRAY_VALUE: {"values": _Field(1, REPEATED, ANY_VALUE)},
    KEY_VALUE_LIST: {"values": _Field(1, REPEATED, KEY_VALUE)},
    ZIPKIN_SPAN: {
        "traceId": _Field(1, SHORT_HEX, 16),
        "parentId": _Field(2, SHORT_HEX, 8),
        "id": _Field(3, SHORT_HEX, 8),
        "kind": _Field(4, ENUM, ZIPKIN_KIND),
        "name": _Field(5, TEXT),
        "timestamp": _Field(6, TIME),
        "duration": _Field(7, DURATION),
        "localEndpoint": _Field(8, MESSAGE, ZIPKIN_ENDPOINT),
        "remoteEndpoint": _Field(9, MESSAGE, ZIPKIN_ENDPOINT),
        "annotations": _Field(10, REPEATED, ZIPKIN_ANNOTATION),
        "tags": _Field(11, MESSAGE, ZIPKIN_TAGS),
    },
    # Addresses stand in JSON as texts, and are written as such.
    ZIPKIN_ENDPOINT: {
        "serviceName": _Field(1, TEXT),
        "ipv4": _Field(2, TEXT),
        "ipv6": _Field(3, TEXT),
        "port": _Field(4, COUNT),
    },
    ZIPKIN_ANNOTATION: {"timestamp": _Field(1, TIME), "value": _Field(2, TEXT)},
    ZIPKIN_TAGS: {},
    SPAN_KIND: {
        f"SPAN_KIND_{name}": _Field(value, NAME)
        for value, name in enumerate(("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
    },
    STATUS_CODE: {f"STATUS_CODE_{name}": _Field(value, NAME) for value, name in enumerate(("UNSET", "OK", "ERROR"))},
    ZIPKIN_KIND: {name: _Field(value, NAME) for value, name in enumerate(("CLIENT", "SERVER", "PRODUCER", "CONSUMER"), 1)},
}


def _spellings(key: str) -> set[str]:
    """A key as OTLP writes it, and in snake_case."""
    return {key} if key.isupper() else {key, re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key)}


_KEYS: Final = ["", *sorted({name for fields in _SCHEMA.values() for key in fields for name in _spellings(key)})]

UNKNOWN_KEY: Final = 0
FORM, WIRE_KEY, CHILD = range(3)

_SLOTS_MASK: Final = 1023
_MAX_KEY_LENGTH: Final = max(map(len, _KEYS))
_WORDS_OF_KEY: Final = _MAX_KEY_LENGTH // 8 + 1
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


def _fields() -> NDArray[np.int16]:
    table = np.zeros((len(_SCHEMA) + 1, len(_KEYS), 3), np.int16)
    for kind, fields in _SCHEMA.items():
        for key, field in fields.items():
            for name in _spellings(key):
                table[kind, _KEYS.index(name)] = (field.form, field.wire_key, field.child)
    return table


FIELDS: Final = _fields()
"""int16, shape (kinds, keys, 3): FORM, WIRE_KEY and CHILD of a key in an object of a kind. Of unknown keys all are 0."""


def _perfect_hash() -> tuple[tuple[int, int, int, int], NDArray[np.int16]]:
    """Multipliers that send every known key to a slot of its own, and the slots."""
    choice = random.Random(1)  # noqa: S311 - any multipliers will do, but the same ones every time
    known = [(key, name.encode()) for key, name in enumerate(_KEYS) if name]
    for _ in range(10_000):
        multipliers = tuple(choice.randrange(1, 1024) for _ in range(4))
        slots = np.zeros(_SLOTS_MASK + 1, np.int16)
        for key, name in known:
            seen = (len(name), name[0], name[max(len(name) - 5, 0)], name[-1])
            slot = sum(a * b for a, b in zip(multipliers, seen, strict=True)) & _SLOTS_MASK
            if slots[slot]:
                break
            slots[slot] = key
        else:
            first, second, third, fourth = multipliers
            return (first, second, third, fourth), slots
    raise AssertionError("two keys have the same length and the same first, fifth last and last byte")


(_OF_LENGTH, _OF_FIRST, _OF_FIFTH_LAST, _OF_LAST), _SLOTS = _perfect_hash()
_LENGTHS: Final = np.array([len(name) for name in _KEYS], np.int64)
_WORDS: Final = np.array([list(name.encode().ljust(_WORDS_OF_KEY * 8, b"\0")) for name in _KEYS], np.uint8).view("<u8")


@unchecked_kernel
def find_key(text, start, end):
    """The known key (an index into FIELDS) that text[start:end] is, or UNKNOWN_KEY. `text` must go on for eight bytes."""
    length = end - start
    if length <= 0 or length > _MAX_KEY_LENGTH:
        return UNKNOWN_KEY
    if start < 0 or end + 8 > text.size:
        raise IndexError("range outside the text")
    slot = (
        length * _OF_LENGTH
        + np.int64(text[start]) * _OF_FIRST
        + np.int64(text[max(end - 5, start)]) * _OF_FIFTH_LAST
        + np.int64(text[end - 1]) * _OF_LAST
    ) & _SLOTS_MASK
    key = np.int64(_SLOTS[slot])
    if _LENGTHS[key] != length:
        return UNKNOWN_KEY
    word = 0
    while start + 8 <= end:
        if load64(text, start) != _WORDS[key, word]:
            return UNKNOWN_KEY
        start += 8
        word += 1
    rest = np.uint64(8 * (end - start))
    if (load64(text, start) ^ _WORDS[key, word]) & ((_ONE << rest) - _ONE) != _NONE:
        return UNKNOWN_KEY
    return key
