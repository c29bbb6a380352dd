"""Values within values: lists and maps as Python has them, and what lies in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

from collector.processors.ottl.columns import Failure
from collector.query.attributes import to_any_value


def inside(value: Any, keys: Sequence[str | int]) -> Any:
    """What lies in a value under keys and at positions; nil where a map has not the key. Raises Failure."""
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, dict):
                raise Failure(f"only a map has keys such as {key}")
            value = value.get(key)
        else:
            if not isinstance(value, list):
                raise Failure("only a list has positions")
            if not 0 <= key < len(value):
                raise Failure(f"the list has {len(value)} values, and none at position {key}")
            value = value[key]
    return value


def _plain_value(value: AnyValue) -> Any:
    """An attribute's value in Python."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_plain_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _plain_map(value.kvlist_value)
        case kind:
            return getattr(value, kind)


def _plain_map(message: KeyValueList) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for entry in message.values:
        entries.setdefault(entry.key, _plain_value(entry.value))
    return entries


def read_list(data: bytes) -> Any:
    """The list that the bytes of an ArrayValue are."""
    try:
        return [_plain_value(each) for each in ArrayValue.FromString(data).values]
    except DecodeError:
        # Nested deeper than the library reads: equal to nothing, and no function finds anything in it.
        return None


def read_map(data: bytes) -> Any:
    """The map that the bytes of a KeyValueList are; of equal keys the first counts."""
    try:
        return _plain_map(KeyValueList.FromString(data))
    except DecodeError:
        return None  # as above


def put_inside(value: Any, keys: Sequence[str | int], new: Any) -> Any:
    """A copy of a value in which `new` lies under keys and at positions; maps that are missing are made. Raises Failure."""
    if not keys:
        return new
    key, *further = keys
    if isinstance(key, str):
        if value is not None and not isinstance(value, dict):
            raise Failure(f"only a map has keys such as {key}")
        entries = {} if value is None else value
        return {**entries, key: put_inside(entries.get(key), further, new)}
    changed = list(value) if isinstance(value, list) else value
    changed[key] = put_inside(inside(value, [key]), further, new)
    return changed


def encoded(value: Any) -> bytes:
    """A str, bytes, list or dict as attributes hold it: a list as ArrayValue, a dict as KeyValueList."""
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case list():
            return to_any_value(value).array_value.SerializeToString()
    return to_any_value(value).kvlist_value.SerializeToString()
