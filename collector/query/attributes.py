"""Attributes as the table keeps them (texts and a column of type codes) and back to typed values.

The codes are described in docs/storage.md: one per attribute in stored order, empty when all are strings.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Value = str | bool | int | float | bytes | None | list[Any] | dict[str, Any]
"""A typed value: lists and dicts hold typed values again."""

_CLOSING: Final = {"[": "]", "{": "}"}


class Attributes(NamedTuple):
    """One attribute map of one row.

    Attributes:
        keys, values: of equal length, in stored order; a key may stand there twice.
        types: the codes of the values.
    """

    keys: Sequence[str]
    values: Sequence[str]
    types: str

    def get(self, key: str) -> str:
        """Text of the first value under `key`, empty when there is none."""
        return next((value for name, value in zip(self.keys, self.values, strict=True) if name == key), "")


NO_ATTRIBUTES: Final = Attributes((), (), "")


class _Number(str):
    """The digits of a JSON number: which type they are, the codes say."""

    __slots__ = ()


def split_codes(types: str, count: int) -> list[str]:
    """The code of each of `count` attributes. Codes that do not fit the count are taken for a row without codes."""
    if not types:
        return ["s"] * count
    codes = []
    position = 0
    while position < len(types):
        end = _code_end(types, position)
        codes.append(types[position:end])
        position = end
    return codes if len(codes) == count else ["s"] * count


def _code_end(types: str, position: int) -> int:
    if types[position] not in _CLOSING:
        return position + 1
    depth = 0
    for index in range(position, len(types)):
        depth += (types[index] in "[{") - (types[index] in "]}")
        if depth == 0:
            return index + 1
    return len(types)


def typed_values(attributes: Attributes) -> Iterator[tuple[str, Value]]:
    """Keys and typed values in stored order. A text that its code does not fit stays a string."""
    codes = split_codes(attributes.types, len(attributes.keys))
    for key, text, code in zip(attributes.keys, attributes.values, codes, strict=True):
        yield key, decode(text, code)


def decode(text: str, code: str) -> Value:
    """The value that `text` under `code` stands for; the text itself when it does not fit the code."""
    if code == "s":
        return text
    try:
        if code[0] not in _CLOSING:
            return _scalar(text, code)
        document = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)
        value, end = _nested(document, code, 0)
        return value if end == len(code) else text
    except (ValueError, TypeError, IndexError, KeyError, RecursionError):
        return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _scalar(text: str, code: str) -> Value:
    match code:
        case "s":
            return text
        case "b":
            return {"true": True, "false": False}[text]
        case "i":
            return int(text)
        case "d":
            return float(text)
        case "x":
            return base64.b64decode(text, validate=True)
        case "n" if not text:
            return None
    raise ValueError(f"{text!r} does not fit the type code {code!r}")


def _nested(item: Any, codes: str, position: int) -> tuple[Value, int]:
    """The value of a parsed JSON item under the code at `position`, and the position after that code."""
    code = codes[position]
    position += 1
    if code == "[" and isinstance(item, list):
        values: list[Any] = []
        for element in item:
            value, position = _nested(element, codes, position)
            values.append(value)
        return values, _closed(codes, position, "]")
    if code == "{" and isinstance(item, dict):
        entries: dict[str, Any] = {}
        for key, element in item.items():
            entries[key], position = _nested(element, codes, position)
        return entries, _closed(codes, position, "}")
    if code == "b" and isinstance(item, bool):
        return item, position
    if code == "n" and item is None:
        return None, position
    is_number = isinstance(item, _Number)
    if not isinstance(item, str) or (is_number and code in "sx") or (code == "i" and not is_number):
        raise ValueError(f"{item!r} does not fit the type code {code!r}")
    return _scalar(item, code), position


def _closed(codes: str, position: int, closing: str) -> int:
    if codes[position] != closing:
        raise ValueError(f"type codes {codes!r}: {closing} is missing at {position}")
    return position + 1


def to_any_value(value: Value) -> AnyValue:
    """A typed value as OTLP's AnyValue; None becomes one without a value."""
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=utf8(value))
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            result = AnyValue()
            result.array_value.values.extend(to_any_value(item) for item in value)
            # An empty array is a value too; touching the member is what makes it present.
            result.array_value.SetInParent()
            return result
    result = AnyValue()
    result.kvlist_value.values.extend(KeyValue(key=utf8(key), value=to_any_value(item)) for key, item in value.items())
    result.kvlist_value.SetInParent()
    return result


def to_key_values(attributes: Attributes) -> list[KeyValue]:
    """Attributes as OTLP's KeyValue list, in stored order."""
    result = []
    for key, value in typed_values(attributes):
        try:
            any_value = to_any_value(value)
        except (ValueError, OverflowError):
            # An integer outside 64 bits, which only a row of another writer can hold.
            any_value = AnyValue(string_value=utf8(str(value)))
        result.append(KeyValue(key=utf8(key), value=any_value))
    return result


def to_json(attributes: Attributes, max_length: int | None = None) -> list[dict[str, Any]]:
    """Attributes in OTLP/JSON's form: `{"key": ..., "value": {"intValue": "1"}}`, 64-bit integers as strings.

    Of a text of more than `max_length` characters the beginning is there, and `fullLength` beside it.
    """
    entries: list[dict[str, Any]] = []
    for key, value in typed_values(attributes):
        if max_length is not None and isinstance(value, str) and len(value) > max_length:
            entries.append({"key": key, "value": _json_value(value[:max_length]), "fullLength": len(value)})
        else:
            entries.append({"key": key, "value": _json_value(value)})
    return entries


def _json_value(value: Value) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": _json_double(value)}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": binascii.b2a_base64(value, newline=False).decode()}
        case list():
            return {"arrayValue": {"values": [_json_value(item) for item in value]}}
    return {"kvlistValue": {"values": [{"key": key, "value": _json_value(item)} for key, item in value.items()]}}


def _json_double(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def utf8(text: str) -> str:
    """Text fit for protobuf and JSON: bytes that were not UTF-8 (surrogates in `text`) become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    return text
