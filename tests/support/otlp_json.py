"""OTLP/JSON in plain Python, both ways: the oracle for the conversion of JSON requests. It shares no code with the program."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, EntityRef, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of SDKs writes OTLP/JSON (receiver contract CLI-05).

    Attributes:
        integers_as_text: `intValue` is a decimal string, else a bare number.
        empty_fields: fields that hold nothing are written all the same.
        unknown_double_is_null: NaN and the infinities are `null`, as JavaScript writes them.
        indent: spaces of pretty printing; None for none.
        ascii_only: other characters are written as escapes.
        snake_case: keys are written as in the .proto files.
    """

    integers_as_text: bool = True
    empty_fields: bool = False
    unknown_double_is_null: bool = False
    indent: int | None = None
    ascii_only: bool = False
    snake_case: bool = False


DIALECTS = {
    "go": Dialect(),
    "java": Dialect(empty_fields=True),
    "javascript": Dialect(integers_as_text=False, unknown_double_is_null=True, empty_fields=True),
    "python": Dialect(ascii_only=True),
    "pretty": Dialect(indent=2, integers_as_text=False),
    "snake": Dialect(snake_case=True),
}


def to_json(request: ExportTraceServiceRequest, dialect: Dialect = DIALECTS["go"]) -> bytes:
    """The request as an SDK of the dialect would send it."""
    return _Writer(dialect).text(request)


class _Writer:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def text(self, request: ExportTraceServiceRequest) -> bytes:
        body = {"resourceSpans": [self.resource_spans(part) for part in request.resource_spans]}
        separators = (",", ":") if self.dialect.indent is None else None
        text = json.dumps(
            body, ensure_ascii=self.dialect.ascii_only, allow_nan=False, indent=self.dialect.indent, separators=separators
        )
        return text.encode()

    def object(self, **members: Any) -> Json:
        """Members by their names in the .proto files; those that hold nothing left out, unless the dialect writes them."""
        if not self.dialect.empty_fields:
            # A time of zero is the text "0"; a name may well be that text, too, and is none the emptier for it.
            empty_texts = {name: ("", "0") if name.endswith("_unix_nano") else ("",) for name in members}
            members = {
                name: value for name, value in members.items() if value not in (None, 0, []) and value not in empty_texts[name]
            }
        if self.dialect.snake_case:
            return members
        return {name[0] + name.title().replace("_", "")[1:]: value for name, value in members.items() if value is not None}

    def resource_spans(self, part: ResourceSpans) -> Json:
        return self.object(
            resource=self.object(
                attributes=self.attributes(part.resource.attributes),
                dropped_attributes_count=part.resource.dropped_attributes_count,
                entity_refs=[
                    self.object(
                        schema_url=each.schema_url,
                        type=each.type,
                        id_keys=list(each.id_keys),
                        description_keys=list(each.description_keys),
                    )
                    for each in part.resource.entity_refs
                ],
            )
            if part.HasField("resource")
            else None,
            scope_spans=[self.scope_spans(inner) for inner in part.scope_spans],
            schema_url=part.schema_url,
        )

    def scope_spans(self, part: ScopeSpans) -> Json:
        return self.object(
            scope=self.object(
                name=part.scope.name,
                version=part.scope.version,
                attributes=self.attributes(part.scope.attributes),
                dropped_attributes_count=part.scope.dropped_attributes_count,
            )
            if part.HasField("scope")
            else None,
            spans=[self.span(span) for span in part.spans],
            schema_url=part.schema_url,
        )

    def span(self, span: Span) -> Json:
        return self.object(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            trace_state=span.trace_state,
            parent_span_id=span.parent_span_id.hex(),
            flags=span.flags,
            name=span.name,
            kind=int(span.kind),
            start_time_unix_nano=str(span.start_time_unix_nano),
            end_time_unix_nano=str(span.end_time_unix_nano),
            attributes=self.attributes(span.attributes),
            dropped_attributes_count=span.dropped_attributes_count,
            events=[
                self.object(
                    time_unix_nano=str(event.time_unix_nano),
                    name=event.name,
                    attributes=self.attributes(event.attributes),
                    dropped_attributes_count=event.dropped_attributes_count,
                )
                for event in span.events
            ],
            dropped_events_count=span.dropped_events_count,
            links=[
                self.object(
                    trace_id=link.trace_id.hex(),
                    span_id=link.span_id.hex(),
                    trace_state=link.trace_state,
                    attributes=self.attributes(link.attributes),
                    dropped_attributes_count=link.dropped_attributes_count,
                    flags=link.flags,
                )
                for link in span.links
            ],
            dropped_links_count=span.dropped_links_count,
            status=self.object(message=span.status.message, code=int(span.status.code)) if span.HasField("status") else None,
        )

    def attributes(self, attributes: Iterable[KeyValue]) -> list[Json]:
        return [
            {"key": attribute.key, **({"value": self.value(attribute.value)} if attribute.HasField("value") else {})}
            for attribute in attributes
        ]

    def value(self, value: AnyValue) -> Json:
        member = value.WhichOneof("value")
        names = ("stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue")
        spelled = {name.replace("V", "_v"): name for name in names}
        if member not in spelled:
            return {}
        held = getattr(value, member)
        if member == "int_value":
            held = str(held) if self.dialect.integers_as_text else held
        elif member == "double_value" and not math.isfinite(held):
            text = "NaN" if math.isnan(held) else "Infinity" if held > 0 else "-Infinity"
            held = None if self.dialect.unknown_double_is_null else text
        elif member == "array_value":
            held = self.empty_or("values", [self.value(element) for element in held.values])
        elif member == "kvlist_value":
            held = self.empty_or("values", self.attributes(held.values))
        elif member == "bytes_value":
            held = base64.b64encode(held).decode()
        return {member if self.dialect.snake_case else spelled[member]: held}

    def empty_or(self, name: str, values: list[Json]) -> Json:
        return {name: values} if values or self.dialect.empty_fields else {}


def from_json(body: bytes) -> ExportTraceServiceRequest:
    """The request that well-formed OTLP/JSON in lowerCamelCase means, by way of `json.loads`."""
    document = json.loads(body.decode(errors="replace"))
    return ExportTraceServiceRequest(resource_spans=[_resource_spans(part) for part in _list(document, "resourceSpans")])


def _list(owner: Json, name: str) -> list[Any]:
    return [element for element in owner.get(name) or [] if element is not None]


def _number(owner: Json, name: str) -> int:
    return int(owner.get(name) or 0)


def _text(owner: Json, name: str) -> str:
    return (owner.get(name) or "").encode(errors="surrogatepass").decode(errors="replace")


def _attributes(owner: Json, name: str = "attributes") -> list[KeyValue]:
    return [
        KeyValue(key=_text(attribute, "key"), value=None if attribute.get("value") is None else _value(attribute["value"]))
        for attribute in _list(owner, name)
    ]


def _value(value: Json | None) -> AnyValue:
    result = AnyValue()
    for name, held in (value or {}).items():
        if held is None:
            continue
        if name == "stringValue":
            result.string_value = _text({name: held}, name)
        elif name == "boolValue":
            result.bool_value = held
        elif name == "intValue":
            result.int_value = int(held)
        elif name == "doubleValue":
            result.double_value = float(held)
        elif name == "arrayValue":
            result.array_value.SetInParent()
            result.array_value.values.extend(_value(element) for element in held.get("values") or [])
        elif name == "kvlistValue":
            result.kvlist_value.SetInParent()
            result.kvlist_value.values.extend(_attributes(held, "values"))
        elif name == "bytesValue":
            result.bytes_value = base64.b64decode(held)
    return result


def _resource_spans(part: Json) -> ResourceSpans:
    result = ResourceSpans(
        scope_spans=[_scope_spans(inner) for inner in _list(part, "scopeSpans")], schema_url=_text(part, "schemaUrl")
    )
    resource = part.get("resource")
    if resource is not None:
        result.resource.CopyFrom(
            Resource(
                attributes=_attributes(resource),
                dropped_attributes_count=_number(resource, "droppedAttributesCount"),
                entity_refs=[
                    EntityRef(
                        schema_url=_text(each, "schemaUrl"),
                        type=_text(each, "type"),
                        id_keys=_list(each, "idKeys"),
                        description_keys=_list(each, "descriptionKeys"),
                    )
                    for each in _list(resource, "entityRefs")
                ],
            )
        )
    return result


def _scope_spans(part: Json) -> ScopeSpans:
    result = ScopeSpans(spans=[_span(span) for span in _list(part, "spans")], schema_url=_text(part, "schemaUrl"))
    scope = part.get("scope")
    if scope is not None:
        result.scope.CopyFrom(
            InstrumentationScope(
                name=_text(scope, "name"),
                version=_text(scope, "version"),
                attributes=_attributes(scope),
                dropped_attributes_count=_number(scope, "droppedAttributesCount"),
            )
        )
    return result


def _span(span: Json) -> Span:
    result = Span(
        trace_id=bytes.fromhex(_text(span, "traceId")),
        span_id=bytes.fromhex(_text(span, "spanId")),
        parent_span_id=bytes.fromhex(_text(span, "parentSpanId")),
        trace_state=_text(span, "traceState"),
        flags=_number(span, "flags"),
        name=_text(span, "name"),
        kind=_number(span, "kind"),  # type: ignore[arg-type]  # numbers beyond the known kinds are kept
        start_time_unix_nano=_number(span, "startTimeUnixNano"),
        end_time_unix_nano=_number(span, "endTimeUnixNano"),
        attributes=_attributes(span),
        dropped_attributes_count=_number(span, "droppedAttributesCount"),
        events=[
            Span.Event(
                time_unix_nano=_number(event, "timeUnixNano"),
                name=_text(event, "name"),
                attributes=_attributes(event),
                dropped_attributes_count=_number(event, "droppedAttributesCount"),
            )
            for event in _list(span, "events")
        ],
        dropped_events_count=_number(span, "droppedEventsCount"),
        links=[
            Span.Link(
                trace_id=bytes.fromhex(_text(link, "traceId")),
                span_id=bytes.fromhex(_text(link, "spanId")),
                trace_state=_text(link, "traceState"),
                attributes=_attributes(link),
                dropped_attributes_count=_number(link, "droppedAttributesCount"),
                flags=_number(link, "flags"),
            )
            for link in _list(span, "links")
        ],
        dropped_links_count=_number(span, "droppedLinksCount"),
    )
    status = span.get("status")
    if status is not None:
        result.status.CopyFrom(Status(message=_text(status, "message"), code=_number(status, "code")))  # type: ignore[arg-type]  # as kind
    return result
