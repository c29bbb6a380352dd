"""Spans as JSON of OTLP's messages, in the two forms that other systems give it.

OTLP/JSON proper writes ids in hexadecimal and enumerations as numbers; protobuf's own mapping writes ids in base64 and
enumerations as names. Members with the default of their type are left out of both, except those that readers rely on.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import EntityRef

from collector.query.attributes import Attributes, to_json
from collector.query.otlp import entity_refs
from collector.query.spans import Event, Link, Resource, Scope, Spans
from collector.query.store import KINDS, STATUS_CODES


@dataclass(frozen=True, slots=True)
class Form:
    """How ids and enumerations are written."""

    identity: Callable[[str], str]
    kind: Callable[[int], int | str]
    status: Callable[[int], int | str]


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _names(prefix: str, names: tuple[str, ...]) -> Callable[[int], int | str]:
    written = [f"{prefix}{name.upper()}" for name in names]
    return lambda number: written[number] if 0 <= number < len(written) else number


OTLP: Final = Form(str, int, int)
PROTOBUF: Final = Form(_base64, _names("SPAN_KIND_", KINDS), _names("STATUS_CODE_", STATUS_CODES))


def resource_spans(spans: Spans, form: Form) -> list[dict[str, Any]]:
    """The trace grouped as `collector.query.otlp.to_traces_data` does it."""
    resources: dict[Resource, dict[str, Any]] = {}
    scopes: dict[tuple[Resource, Scope], dict[str, Any]] = {}
    for row, (resource, scope) in enumerate(zip(spans.resources, spans.scopes, strict=True)):
        group = scopes.get((resource, scope))
        if group is None:
            above = resources.get(resource)
            if above is None:
                above = resources[resource] = _resource(resource)
            group = scopes[resource, scope] = _scope(scope)
            above["scopeSpans"].append(group)
        group["spans"].append(_span(spans, row, form))
    return list(resources.values())


def _resource(resource: Resource) -> dict[str, Any]:
    about = {
        "attributes": to_json(resource.attributes),
        **_given(
            droppedAttributesCount=resource.dropped_attributes_count, entityRefs=list(map(_entity_ref, entity_refs(resource)))
        ),
    }
    return {"resource": about, "scopeSpans": [], **_given(schemaUrl=resource.schema_url)}


def _entity_ref(reference: EntityRef) -> dict[str, Any]:
    return _given(
        schemaUrl=reference.schema_url,
        type=reference.type,
        idKeys=list(reference.id_keys),
        descriptionKeys=list(reference.description_keys),
    )


def _scope(scope: Scope) -> dict[str, Any]:
    about = _given(
        name=scope.name,
        version=scope.version,
        attributes=to_json(scope.attributes),
        droppedAttributesCount=scope.dropped_attributes_count,
    )
    return {"scope": about, "spans": [], **_given(schemaUrl=scope.schema_url)}


def _span(spans: Spans, row: int, form: Form) -> dict[str, Any]:
    status: dict[str, Any] = _given(message=spans.status_messages[row])
    if spans.status_codes[row]:
        status["code"] = form.status(spans.status_codes[row])
    return {
        "traceId": form.identity(spans.trace_id),
        "spanId": form.identity(spans.span_ids[row]),
        **_given(traceState=spans.trace_states[row]),
        "parentSpanId": form.identity(spans.parent_span_ids[row]),
        **_given(flags=spans.flags[row]),
        "name": spans.names[row],
        "kind": form.kind(spans.kinds[row]),
        "startTimeUnixNano": str(spans.starts[row]),
        "endTimeUnixNano": str(spans.ends[row]),
        "attributes": to_json(spans.attributes[row]),
        **_given(
            droppedAttributesCount=spans.dropped_attributes_counts[row],
            events=[_event(event) for event in spans.events[row]],
            droppedEventsCount=spans.dropped_events_counts[row],
            links=[_link(link, form) for link in spans.links[row]],
            droppedLinksCount=spans.dropped_links_counts[row],
        ),
        "status": status,
    }


def _event(event: Event) -> dict[str, Any]:
    return {"timeUnixNano": str(event.time), "name": event.name, **_more(event.attributes, event.dropped_attributes_count)}


def _link(link: Link, form: Form) -> dict[str, Any]:
    return {
        "traceId": form.identity(link.trace_id),
        "spanId": form.identity(link.span_id),
        **_given(traceState=link.trace_state, flags=link.flags),
        **_more(link.attributes, link.dropped_attributes_count),
    }


def _more(attributes: Attributes, dropped: int) -> dict[str, Any]:
    return _given(attributes=to_json(attributes), droppedAttributesCount=dropped)


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
