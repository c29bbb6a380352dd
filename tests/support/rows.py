"""OTLP protobuf messages as rows of `otel_traces`, in plain Python: the oracle for everything that writes or reads the table.

It shares no code with the program. A row is a dict of column name -> value; a `Map` is a list of (key, value) pairs in
stored order, because keys may repeat; a `DateTime64(9)` is an int of nanoseconds since 1970.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

Pairs = list[tuple[str, str]]
Row = dict[str, Any]

MAX_TIMESTAMP = 2**63 - 1
"""The last nanosecond of DateTime64(9)."""
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES = ("Unset", "Ok", "Error")
MAP_COLUMNS = frozenset({"ResourceAttributes", "ScopeAttributes", "SpanAttributes"})
NESTED_MAP_COLUMNS = frozenset({"Events.Attributes", "Links.Attributes"})
UPSTREAM_COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Links.TraceId",
    "Links.SpanId",
    "Links.TraceState",
    "Links.Attributes",
)
"""The columns that the upstream ClickHouse exporter writes, in its order."""


def rows_of(message: ExportTraceServiceRequest | TracesData, workspace: str = "default") -> list[Row]:
    """One row for each span, in the order of the message."""
    return [
        span_row(resource_spans, scope_spans, span, workspace)
        for resource_spans in message.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def span_row(resource_spans: ResourceSpans, scope_spans: ScopeSpans, span: Span, workspace: str = "default") -> Row:
    """The row of one span, with the upstream columns first and in their order."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    event_times = [event.time_unix_nano for event in span.events]
    return {
        "Timestamp": min(start, MAX_TIMESTAMP),
        "TraceId": hex_id(span.trace_id),
        "SpanId": hex_id(span.span_id),
        "ParentSpanId": hex_id(span.parent_span_id),
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "",
        "ServiceName": service_name(resource_spans.resource),
        "ResourceAttributes": pairs(resource_spans.resource.attributes),
        "ScopeName": scope_spans.scope.name,
        "ScopeVersion": scope_spans.scope.version,
        "SpanAttributes": pairs(span.attributes),
        "Duration": max(end - start, 0),
        "StatusCode": STATUS_CODES[span.status.code] if 0 <= span.status.code < len(STATUS_CODES) else "",
        "StatusMessage": span.status.message,
        "Events.Timestamp": [min(time, MAX_TIMESTAMP) for time in event_times],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [pairs(event.attributes) for event in span.events],
        "Links.TraceId": [hex_id(link.trace_id) for link in span.links],
        "Links.SpanId": [hex_id(link.span_id) for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [pairs(link.attributes) for link in span.links],
        "Workspace": workspace,
        "StartTimeUnixNano": start if start > MAX_TIMESTAMP else 0,
        "EndTimeUnixNano": end if end < start else 0,
        "EventTimesUnixNano": event_times if any(time > MAX_TIMESTAMP for time in event_times) else [],
        "SpanKindNumber": 0 if 0 <= span.kind < len(KINDS) else span.kind,
        "StatusCodeNumber": 0 if 0 <= span.status.code < len(STATUS_CODES) else span.status.code,
        "Flags": span.flags,
        "ResourceAttributesTypes": types(resource_spans.resource.attributes),
        "ResourceDroppedAttributesCount": resource_spans.resource.dropped_attributes_count,
        "ResourceSchemaUrl": resource_spans.schema_url,
        "ResourceEntityRefs": Resource(entity_refs=resource_spans.resource.entity_refs).SerializeToString().decode(),
        **_scope_columns(scope_spans.scope),
        "ScopeSchemaUrl": scope_spans.schema_url,
        "SpanAttributesTypes": types(span.attributes),
        "DroppedAttributesCount": span.dropped_attributes_count,
        "DroppedEventsCount": span.dropped_events_count,
        "DroppedLinksCount": span.dropped_links_count,
        "Events.AttributesTypes": [types(event.attributes) for event in span.events],
        "Events.DroppedAttributesCount": [event.dropped_attributes_count for event in span.events],
        "Links.AttributesTypes": [types(link.attributes) for link in span.links],
        "Links.DroppedAttributesCount": [link.dropped_attributes_count for link in span.links],
        "Links.Flags": [link.flags for link in span.links],
    }


def _scope_columns(scope: InstrumentationScope) -> Row:
    return {
        "ScopeAttributes": pairs(scope.attributes),
        "ScopeAttributesTypes": types(scope.attributes),
        "ScopeDroppedAttributesCount": scope.dropped_attributes_count,
    }


def hex_id(data: bytes) -> str:
    """Lower-case hex; an id that is empty or all zero is absent, which is the empty string."""
    return data.hex() if any(data) else ""


def service_name(resource: Resource) -> str:
    """Text of the first `service.name`, empty without one."""
    return next((text(entry.value) for entry in resource.attributes if entry.key == "service.name"), "")


def pairs(attributes: Iterable[KeyValue]) -> Pairs:
    """Keys and texts in the order and number in which they came."""
    return [(entry.key, text(entry.value)) for entry in attributes]


def text(value: AnyValue) -> str:
    """Text of an attribute value: itself for a string, compact JSON for arrays and key-value lists."""
    match value.WhichOneof("value"):
        case None:
            return ""
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return double_text(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
    return json_text(value)


def json_text(value: AnyValue) -> str:
    """JSON of a value inside an array or key-value list: no spaces, keys sorted by their bytes, the last of equal keys."""
    match value.WhichOneof("value"):
        case None:
            return "null"
        case "string_value":
            return json_string(value.string_value)
        case "bytes_value":
            return json_string(text(value))
        case "double_value":
            number = double_text(value.double_value)
            return number if math.isfinite(value.double_value) else json_string(number)
        case "array_value":
            return f"[{','.join(json_text(item) for item in value.array_value.values)}]"
        case "kvlist_value":
            entries = (f"{json_string(key)}:{json_text(item)}" for key, item in _sorted_entries(value))
            return f"{{{','.join(entries)}}}"
    return text(value)


def json_string(value: str) -> str:
    """A JSON string as Go's encoder writes it without HTML escaping: it escapes the two line separators of Unicode."""
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def double_text(value: float) -> str:
    """Shortest digits that read back as the same double, in the notation of ECMAScript; negative zero is `-0`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    mantissa, _, exponent_text = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    # value = 0.DIGITS * 10 ** point
    point = len(whole) + int(exponent_text or 0)
    digits = whole + ("" if fraction == "0" and not exponent_text else fraction)
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if not 1e-6 <= abs(value) < 1e21:
        exponent = point - 1
        significand = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{significand}e{exponent:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def types(attributes: Sequence[KeyValue]) -> str:
    """The code of each attribute's type, one after the other; empty when all are strings."""
    codes = "".join(type_code(entry.value) for entry in attributes)
    return codes if codes.strip("s") else ""


def type_code(value: AnyValue) -> str:
    """One letter for a scalar; brackets around the codes of the elements of an array or key-value list."""
    match value.WhichOneof("value"):
        case "string_value":
            return "s"
        case "bool_value":
            return "b"
        case "int_value":
            return "i"
        case "double_value":
            return "d"
        case "bytes_value":
            return "x"
        case "array_value":
            return f"[{''.join(type_code(item) for item in value.array_value.values)}]"
        case "kvlist_value":
            return f"{{{''.join(type_code(item) for _, item in _sorted_entries(value))}}}"
    return "n"


def _sorted_entries(value: AnyValue) -> list[tuple[str, AnyValue]]:
    unique = {entry.key: entry.value for entry in value.kvlist_value.values}
    return sorted(unique.items(), key=lambda entry: entry[0].encode())


def json_lines(rows: Iterable[Row]) -> bytes:
    """The rows as the body of `INSERT ... FORMAT JSONEachRow`, exact to the nanosecond and with repeated map keys."""
    return "".join(f"{_json_row(row)}\n" for row in rows).encode()


def insert_statement(rows: Sequence[Row], table: str = "otel_traces") -> str:
    """The INSERT that takes `json_lines(rows)`; all rows have the columns of the first."""
    columns = ", ".join(f"`{name}`" for name in rows[0])
    return f"INSERT INTO {table} ({columns}) SETTINGS session_timezone = 'UTC' FORMAT JSONEachRow"


def _json_row(row: Row) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{_json_cell(name, value)}' for name, value in row.items())}}}"


def _json_cell(name: str, value: Any) -> str:
    if name == "Timestamp":
        return _json_time(value)
    if name == "Events.Timestamp":
        return f"[{','.join(_json_time(time) for time in value)}]"
    if name in MAP_COLUMNS:
        return _json_map(value)
    if name in NESTED_MAP_COLUMNS:
        return f"[{','.join(_json_map(entries) for entries in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _json_time(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, 10**9)
    return f'"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{fraction:09d}"'


def _json_map(entries: Pairs) -> str:
    def members() -> Iterator[str]:
        for key, value in entries:
            yield f"{json.dumps(key, ensure_ascii=False)}:{json.dumps(value, ensure_ascii=False)}"

    return f"{{{','.join(members())}}}"
