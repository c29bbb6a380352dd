"""Conditions worked out the plain way: for one span after the other, on protobuf messages, by the written rules."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from config.ottl_nodes import (
    Calculation,
    Call,
    Comparison,
    Constant,
    Items,
    Level,
    Logic,
    Negation,
    Node,
    Path,
)


class Fails(Exception):
    """The condition cannot be worked out for this span."""


@dataclass(frozen=True)
class Time:
    """A point in time."""

    nanoseconds: int


@dataclass(frozen=True)
class Length:
    """A duration."""

    nanoseconds: int


@dataclass(frozen=True)
class Subject:
    """A span, perhaps one of its events, and what is around them."""

    resource: Any
    scope: Any
    span: Any
    event: Any = None
    event_index: int = 0
    cache: dict[str, Any] = field(default_factory=dict)


def spans(request: ExportTraceServiceRequest) -> Iterator[Subject]:
    """All spans."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Subject(resource_spans, scope_spans, span)


def events(request: ExportTraceServiceRequest) -> Iterator[Subject]:
    """All events."""
    for each in spans(request):
        for index, event in enumerate(each.span.events):
            yield Subject(each.resource, each.scope, each.span, event, index)


def verdict(node: Node, subject: Subject) -> bool | None:
    """Whether a condition holds; None where it fails."""
    try:
        return evaluate(node, subject) is True
    except Fails:
        return None


def evaluate(node: Node, subject: Subject) -> Any:
    """The value of a node. Raises Fails."""
    match node:
        case Constant(value=value):
            return value
        case Path():
            return _inside(_field(node, subject), node.inside)
        case Items(items=items):
            return [evaluate(item, subject) for item in items]
        case Logic(operator="and", terms=terms):
            return all(evaluate(term, subject) for term in terms)
        case Logic(terms=terms):
            return any(evaluate(term, subject) for term in terms)
        case Negation(term=term):
            return not evaluate(term, subject)
        case Comparison(operator=sign, left=left, right=right):
            return compare(sign, evaluate(left, subject), evaluate(right, subject))
        case Calculation(operator=sign, left=left, right=right):
            return _calculate(sign, evaluate(left, subject), evaluate(right, subject))
        case Call():
            arguments = [None if each is None else evaluate(each, subject) for each in node.arguments]
            return _inside(_call(node.function, arguments, subject), node.inside)
    raise AssertionError(node)


def compare(sign: str, left: Any, right: Any) -> bool:
    """The rules of comparison."""
    numbers = (int, float)
    if left is None and right is None:
        return sign in ("==", "<=", ">=")
    if type(left) in numbers and type(right) in numbers and type(left) is not type(right):
        left, right = float(left), float(right)
    if type(left) is not type(right):
        return sign == "!="
    if isinstance(left, list | dict):
        same = _frozen(left) == _frozen(right)
        return {"==": same, "!=": not same}.get(sign, False)
    if isinstance(left, Time | Length):
        left, right = left.nanoseconds, right.nanoseconds
    match sign:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
    return bool(left >= right)


def _frozen(value: Any) -> Any:
    match value:
        case list():
            return ("list", tuple(map(_frozen, value)))
        case dict():
            return ("map", frozenset((key, _frozen(each)) for key, each in value.items()))
        case float():
            return ("float", struct.pack("d", value))
    return (type(value), value)


def _calculate(sign: str, left: Any, right: Any) -> Any:
    match left, right, sign:
        case Time(), Time(), "-":
            return Length(left.nanoseconds - right.nanoseconds)
        case Time(), Length(), "+" | "-":
            return Time(_int(sign, left.nanoseconds, right.nanoseconds))
        case Length(), Time(), "+":
            return Time(left.nanoseconds + right.nanoseconds)
        case Length(), Length(), "+" | "-":
            return Length(_int(sign, left.nanoseconds, right.nanoseconds))
    if type(left) is int and type(right) is int:
        return _int(sign, left, right)
    if type(left) is float and type(right) is float:
        if sign == "/":
            if right == 0:
                raise Fails
            return left / right
        return {"+": left + right, "-": left - right, "*": left * right}[sign]
    raise Fails


def _int(sign: str, left: int, right: int) -> int:
    if sign == "/":
        if right == 0:
            raise Fails
        result = abs(left) // abs(right)
        result = result if (left < 0) == (right < 0) else -result
    else:
        result = {"+": left + right, "-": left - right, "*": left * right}[sign]
    return struct.unpack("<q", struct.pack("<Q", result % 2**64))[0]  # type: ignore[no-any-return]  # struct knows no types


def plain(value: AnyValue) -> Any:
    """A value in Python."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {entry.key: plain(entry.value) for entry in value.kvlist_value.values}
    return getattr(value, kind)


def _field(path: Path, subject: Subject) -> Any:
    owner = {
        Level.RESOURCE: subject.resource.resource,
        Level.SCOPE: subject.scope.scope,
        Level.SPAN: subject.span,
        Level.EVENT: subject.event,
    }[path.level]
    match path.name:
        case "attributes" if path.key:
            return next((plain(each.value) for each in owner.attributes if each.key == path.key), None)
        case "cache":
            return subject.cache
        case "attributes" | "events" | "links":
            return list(getattr(owner, path.name))
        case "schema_url":
            return (subject.resource if path.level is Level.RESOURCE else subject.scope).schema_url
        case "start_time" | "end_time" | "time":
            return Time(getattr(owner, f"{path.name}_unix_nano"))
        case "event_index":
            return subject.event_index
        case "status.code" | "status.message":
            return getattr(owner.status, path.name.removeprefix("status."))
        case "kind.string":
            return ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")[owner.kind]
        case "parent_span_id":
            return owner.parent_span_id or bytes(8)
        case "parent_span_id.string":
            return owner.parent_span_id.hex() if any(owner.parent_span_id) else ""
        case "trace_id.string" | "span_id.string":
            return getattr(owner, path.name.removesuffix(".string")).hex()
        case "trace_state" if path.key:
            members = (member.strip().partition("=") for member in owner.trace_state.split(","))
            return next((value for name, _, value in members if name == path.key), "")
    return getattr(owner, path.name)


def _inside(value: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, dict):
                raise Fails
            value = value.get(key)
        else:
            if not isinstance(value, list) or key >= len(value):
                raise Fails
            value = value[key]
    return value


def _call(function: str, arguments: list[Any], subject: Subject) -> Any:
    kinds = {"IsString": str, "IsInt": int, "IsDouble": float, "IsBool": bool, "IsMap": dict, "IsList": list}
    if function in kinds:
        return type(arguments[0]) is kinds[function]
    match function, arguments:
        case "IsRootSpan", []:
            return not any(subject.span.parent_span_id)
        case "IsMatch", [target, pattern]:
            text = _as_text(target)
            return text is not None and re.search(pattern, text) is not None
        case "HasPrefix", [target, prefix]:
            return _text(target)[: len(_text(prefix))] == prefix
        case "HasSuffix", [target, suffix]:
            return _text(target).endswith(_text(suffix))
        case "Len", [target]:
            if not isinstance(target, str | bytes | list | dict):
                raise Fails
            return len(target.encode() if isinstance(target, str) else target)
        case "Int", [value]:
            return _as_int(value)
        case "Concat", [values, delimiter]:
            return _text(delimiter).join(_as_text(each) if each is not None else "<nil>" for each in values)  # type: ignore[misc]  # none is None
        case "Coalesce", [values]:
            return next((each for each in values if each is not None), None)
        case "Split", [target, delimiter]:
            return _text(target).split(delimiter)
        case "Substring", [target, start, length]:
            data = _text(target).encode()
            if start + length > len(data) or length <= 0:
                raise Fails
            return data[start : start + length].decode(errors="replace")
        case "ExtractPatterns", [target, pattern]:
            match = re.search(pattern, _text(target))
            return {name: value or "" for name, value in match.groupdict().items()} if match else {}
        case "ToUpperCase", [target]:
            return _text(target).upper()
        case "Duration", [str() as length]:
            digits = length.rstrip("nms")
            return Length(int(digits) * {"ns": 1, "ms": 1_000_000}[length.removeprefix(digits)])
        case "SpanID" | "TraceID", [value]:
            return value
        case "Nanoseconds", [Length(nanoseconds=length)]:
            return length
    raise AssertionError(function, arguments)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Fails
    return value


def _as_text(value: Any) -> str | None:
    match value:
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "+Inf" if value > 0 else "-Inf"
        case float():
            return f"{value:.17f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:.0f}"
        case bytes():
            return value.hex()
        case list() | dict():
            return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, default=bytes.hex)
        case None:
            return None
    return str(value)


def _as_int(value: Any) -> int | None:
    match value:
        case bool() | int():
            return int(value)
        case float():
            return int(value) if math.isfinite(value) and abs(value) < 2**63 else None
        case str() if re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            return int(value)
    return None
