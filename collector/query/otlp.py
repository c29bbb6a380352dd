"""A stored trace as OTLP: what the instrumented services sent, regrouped by resource and scope, with nothing lost.

What the store cannot tell apart is documented in docs/storage.md: an end of zero, the order of a nested key-value list, and an
empty message from an absent one.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import EntityRef, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as OtlpResource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from collector.query.attributes import to_key_values, utf8
from collector.query.spans import Event, Link, Resource, Scope, Spans


def to_traces_data(spans: Spans) -> TracesData:
    """The trace as a TracesData message, whose bytes are also those of an ExportTraceServiceRequest.

    Equal resources, and equal scopes of one resource, are one; each stands where its first span is in the order of `spans`.
    """
    data = TracesData()
    resources: dict[Resource, ResourceSpans] = {}
    scopes: dict[tuple[Resource, Scope], ScopeSpans] = {}
    for row, (resource, scope) in enumerate(zip(spans.resources, spans.scopes, strict=True)):
        scope_spans = scopes.get((resource, scope))
        if scope_spans is None:
            resource_spans = resources.get(resource)
            if resource_spans is None:
                resource_spans = resources[resource] = data.resource_spans.add()
                _fill_resource(resource_spans, resource)
            scope_spans = scopes[resource, scope] = resource_spans.scope_spans.add()
            _fill_scope(scope_spans, scope)
        scope_spans.spans.append(_span(spans, row))
    return data


def _fill_resource(target: ResourceSpans, resource: Resource) -> None:
    target.schema_url = utf8(resource.schema_url)
    target.resource.CopyFrom(
        OtlpResource(
            attributes=to_key_values(resource.attributes),
            dropped_attributes_count=resource.dropped_attributes_count,
            entity_refs=entity_refs(resource),
        )
    )


def entity_refs(resource: Resource) -> Sequence[EntityRef]:
    """The entities that a resource refers to; none where something else was written into the column than spanhouse writes."""
    try:
        return OtlpResource.FromString(resource.entity_refs).entity_refs
    except DecodeError:
        return ()


def _fill_scope(target: ScopeSpans, scope: Scope) -> None:
    target.schema_url = utf8(scope.schema_url)
    target.scope.CopyFrom(
        InstrumentationScope(
            name=utf8(scope.name),
            version=utf8(scope.version),
            attributes=to_key_values(scope.attributes),
            dropped_attributes_count=scope.dropped_attributes_count,
        )
    )


def _span(spans: Spans, row: int) -> Span:
    span = Span(
        trace_id=bytes.fromhex(spans.trace_id),
        span_id=bytes.fromhex(spans.span_ids[row]),
        parent_span_id=bytes.fromhex(spans.parent_span_ids[row]),
        trace_state=utf8(spans.trace_states[row]),
        flags=spans.flags[row],
        name=utf8(spans.names[row]),
        start_time_unix_nano=spans.starts[row],
        end_time_unix_nano=spans.ends[row],
        attributes=to_key_values(spans.attributes[row]),
        dropped_attributes_count=spans.dropped_attributes_counts[row],
        events=[_event(event) for event in spans.events[row]],
        dropped_events_count=spans.dropped_events_counts[row],
        links=[_link(link) for link in spans.links[row]],
        dropped_links_count=spans.dropped_links_counts[row],
    )
    # Numbers outside the enumerations are kept as they came, which constructors would type-check against the names.
    span.kind = spans.kinds[row]  # type: ignore[assignment]  # protobuf's open enums are plain integers
    if spans.status_codes[row] or spans.status_messages[row]:
        span.status.message = utf8(spans.status_messages[row])
        span.status.code = spans.status_codes[row]  # type: ignore[assignment]  # as above
    return span


def _event(event: Event) -> Span.Event:
    return Span.Event(
        time_unix_nano=event.time,
        name=utf8(event.name),
        attributes=to_key_values(event.attributes),
        dropped_attributes_count=event.dropped_attributes_count,
    )


def _link(link: Link) -> Span.Link:
    return Span.Link(
        trace_id=bytes.fromhex(link.trace_id),
        span_id=bytes.fromhex(link.span_id),
        trace_state=utf8(link.trace_state),
        attributes=to_key_values(link.attributes),
        dropped_attributes_count=link.dropped_attributes_count,
        flags=link.flags,
    )
