"""The actions on attributes in plain Python, a span at a time, over protobuf messages: the oracle of those on columns."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from config.attribute_actions import AttributeAction
from config.selection import AttributeMatch, SpanMatch
from tests.support.requests import any_value

Attributes = dict[str, AnyValue]


def apply(actions: Sequence[AttributeAction], attributes: Iterable[KeyValue]) -> list[KeyValue]:
    """The attributes after all actions. Keys are unique."""
    changed = {entry.key: entry.value for entry in attributes}
    for action in actions:
        _apply(action, changed)
    return [KeyValue(key=key, value=value) for key, value in changed.items()]


def _apply(action: AttributeAction, attributes: Attributes) -> None:
    match action.action:
        case "insert" | "update" | "upsert":
            value = attributes.get(action.from_attribute) if action.from_attribute else any_value(action.value)
            if value is None and action.default_value is not None:
                value = any_value(action.default_value)
            there = action.key in attributes
            if value is not None and (action.action == "upsert" or there == (action.action == "update")):
                attributes[action.key] = AnyValue.FromString(value.SerializeToString())
        case "delete":
            for key in _chosen(action, attributes):
                del attributes[key]
        case "hash":
            for key in _chosen(action, attributes):
                attributes[key] = any_value(_hash(attributes[key]))
        case "extract":
            value = attributes.get(action.key)
            if value is not None and value.WhichOneof("value") == "string_value":
                found = re.search(action.pattern, value.string_value)
                for name, text in (found.groupdict() if found else {}).items():
                    attributes[name] = any_value(text or "")
        case "convert":
            if action.key in attributes:
                attributes[action.key] = _convert(attributes[action.key], str(action.converted_type))


def _chosen(action: AttributeAction, attributes: Attributes) -> list[str]:
    return [key for key in attributes if key == action.key or (action.pattern and re.search(action.pattern, key))]


def _hash(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            content = value.string_value.encode()
        case "bytes_value":
            content = value.bytes_value
        case "bool_value":
            content = bytes([value.bool_value])
        case "int_value":
            content = struct.pack("<q", value.int_value)
        case "double_value":
            content = struct.pack("<d", value.double_value)
        case None:
            content = b""
        case _:
            content = as_text(value).encode()
    return hashlib.sha1(content).hexdigest() if content else ""


def as_text(value: AnyValue) -> str:
    """As the standard table has it; of doubles only those that Python writes alike."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value).removesuffix(".0")
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return ""
    return json.dumps(_plain(value), separators=(",", ":"), sort_keys=True)


def _plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {entry.key: _plain(entry.value) for entry in value.kvlist_value.values}
        case None:
            return None
        case kind:
            return getattr(value, kind)


def _convert(value: AnyValue, wanted: str) -> AnyValue:
    kind = value.WhichOneof("value")
    if wanted == "string":
        return any_value(as_text(value))
    if kind == "string_value":
        text = value.string_value
        if wanted == "int" and re.fullmatch(r"[+-]?[0-9]+", text) and -(2**63) <= int(text) < 2**63:
            return any_value(int(text))
        if wanted == "double" and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
            return any_value(float(text))
    elif kind in ("int_value", "bool_value", "double_value"):
        return any_value((int if wanted == "int" else float)(getattr(value, kind)))
    return value


def matches(settings: SpanMatch, span: Any, scope: Any, resource: Any) -> bool:
    """Whether a span with its scope and resource is meant."""

    def text(wanted: str, found: str) -> bool:
        return bool(re.search(wanted, found)) if settings.match_type == "regexp" else wanted == found

    def attribute(wanted: AttributeMatch, attributes: Iterable[KeyValue]) -> bool:
        value = next((entry.value for entry in attributes if entry.key == wanted.key), None)
        if value is None or wanted.value is None:
            return value is not None
        if settings.match_type == "regexp":
            scalar = value.WhichOneof("value") in ("string_value", "bool_value", "int_value", "double_value")
            return scalar and bool(re.search(wanted.value, as_text(value)))
        return value == any_value(wanted.value)

    kinds = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    service = next((entry.value.string_value for entry in resource.attributes if entry.key == "service.name"), None)
    return (
        (not settings.services or (service is not None and any(text(each, service) for each in settings.services)))
        and (not settings.span_names or any(text(each, span.name) for each in settings.span_names))
        and (not settings.span_kinds or any(text(each, f"SPAN_KIND_{kinds[span.kind]}") for each in settings.span_kinds))
        and all(attribute(each, span.attributes) for each in settings.attributes)
        and (not settings.resources or any(attribute(each, resource.attributes) for each in settings.resources))
        and (
            not settings.libraries
            or any(
                text(each.name, scope.name)
                and (each.version is None or (text(each.version, scope.version) if each.version else not scope.version))
                for each in settings.libraries
            )
        )
    )
