"""The spans of one trace as columns: what the store answers and everything else on the way out works on."""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from collector.query.attributes import Attributes
from collector.query.skeleton import Skeleton
from collector.query.skeleton_rows import SELECTED_WITH_CONTENT, columns_of, rows_in_order, skeleton_of
from collector.query.store import EVENT_TIMES
from exporters.clickhouse.client import QueryResult


class Resource(NamedTuple):
    """Where spans come from; equal resources are one and the same."""

    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str
    entity_refs: bytes = b""
    """In protobuf: that field of a Resource message."""


class Scope(NamedTuple):
    """The instrumentation that made spans."""

    name: str
    version: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


class Event(NamedTuple):
    """Something that happened during a span."""

    time: int
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class Link(NamedTuple):
    """A reference to a span of this or another trace; ids are hex."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: Attributes
    dropped_attributes_count: int
    flags: int


@dataclass(frozen=True, kw_only=True)
class Spans(Skeleton):
    """Spans of one trace with all that was sent of them, one list per column."""

    trace_states: list[str]
    status_messages: list[str]
    flags: list[int]
    resources: list[Resource]
    scopes: list[Scope]
    attributes: list[Attributes]
    dropped_attributes_counts: list[int]
    events: list[list[Event]]
    dropped_events_counts: list[int]
    links: list[list[Link]]
    dropped_links_counts: list[int]


SELECTED: Final = f"""
    {SELECTED_WITH_CONTENT},
    TraceState, StatusMessage, Flags,
    mapKeys(ResourceAttributes) AS ResourceKeys, mapValues(ResourceAttributes) AS ResourceValues, ResourceAttributesTypes,
    ResourceDroppedAttributesCount, ResourceSchemaUrl, base64Encode(ResourceEntityRefs) AS EntityRefs,
    ScopeName, ScopeVersion, mapKeys(ScopeAttributes) AS ScopeKeys, mapValues(ScopeAttributes) AS ScopeValues,
    ScopeAttributesTypes, ScopeDroppedAttributesCount, ScopeSchemaUrl,
    mapKeys(SpanAttributes) AS SpanKeys, mapValues(SpanAttributes) AS SpanValues, SpanAttributesTypes, DroppedAttributesCount,
    {EVENT_TIMES} AS EventTimes,
    `Events.Name` AS EventNames,
    arrayMap(m -> mapKeys(m), `Events.Attributes`) AS EventKeys,
    arrayMap(m -> mapValues(m), `Events.Attributes`) AS EventValues,
    `Events.AttributesTypes` AS EventTypes, `Events.DroppedAttributesCount` AS EventDropped, DroppedEventsCount,
    `Links.TraceId` AS LinkTraceIds, `Links.SpanId` AS LinkSpanIds, `Links.TraceState` AS LinkTraceStates,
    arrayMap(m -> mapKeys(m), `Links.Attributes`) AS LinkKeys,
    arrayMap(m -> mapValues(m), `Links.Attributes`) AS LinkValues,
    `Links.AttributesTypes` AS LinkTypes, `Links.DroppedAttributesCount` AS LinkDropped, `Links.Flags` AS LinkFlags,
    DroppedLinksCount"""
"""What to select so that `from_result` can read it."""


def from_result(trace_id: str, result: QueryResult, *, complete: bool = True) -> Spans:
    """Spans of an answer to a query of `SELECTED`: in order, and without those that a client sent twice."""
    stored = skeleton_of(trace_id, columns_of(result), complete=complete)
    order = rows_in_order(stored.table, stored.service_texts, stored.name_texts)
    skeleton = stored.take(order)
    columns = {name: [values[row] for row in order.tolist()] for name, values in result.columns.items()}
    rows = list(QueryResult(columns, len(order)).rows())
    # Spans share few resources and scopes: equal ones become the same object.
    resources: dict[Resource, Resource] = {}
    scopes: dict[Scope, Scope] = {}
    return Spans(
        **{each.name: getattr(skeleton, each.name) for each in fields(skeleton)},
        trace_states=columns["TraceState"],
        status_messages=columns["StatusMessage"],
        flags=columns["Flags"],
        resources=[resources.setdefault(resource, resource) for resource in map(_resource, rows)],
        scopes=[scopes.setdefault(scope, scope) for scope in map(_scope, rows)],
        attributes=[_attributes(row["SpanKeys"], row["SpanValues"], row["SpanAttributesTypes"]) for row in rows],
        dropped_attributes_counts=columns["DroppedAttributesCount"],
        events=[_events(row) for row in rows],
        dropped_events_counts=columns["DroppedEventsCount"],
        links=[_links(row) for row in rows],
        dropped_links_counts=columns["DroppedLinksCount"],
    )


def _resource(row: dict[str, Any]) -> Resource:
    return Resource(
        _attributes(row["ResourceKeys"], row["ResourceValues"], row["ResourceAttributesTypes"]),
        row["ResourceDroppedAttributesCount"],
        row["ResourceSchemaUrl"],
        base64.b64decode(row["EntityRefs"]),
    )


def _scope(row: dict[str, Any]) -> Scope:
    return Scope(
        row["ScopeName"],
        row["ScopeVersion"],
        _attributes(row["ScopeKeys"], row["ScopeValues"], row["ScopeAttributesTypes"]),
        row["ScopeDroppedAttributesCount"],
        row["ScopeSchemaUrl"],
    )


def _attributes(keys: list[str], values: list[str], types: str) -> Attributes:
    return Attributes(tuple(keys), tuple(values), types)


def _events(row: dict[str, Any]) -> list[Event]:
    count = len(row["EventTimes"])
    return [
        Event(time, name, _attributes(keys, values, types), dropped)
        for time, name, keys, values, types, dropped in zip(
            row["EventTimes"],
            row["EventNames"],
            row["EventKeys"],
            row["EventValues"],
            _filled(row["EventTypes"], count, ""),
            _filled(row["EventDropped"], count, 0),
            strict=True,
        )
    ]


def _links(row: dict[str, Any]) -> list[Link]:
    count = len(row["LinkTraceIds"])
    return [
        Link(trace_id, span_id, trace_state, _attributes(keys, values, types), dropped, flags)
        for trace_id, span_id, trace_state, keys, values, types, dropped, flags in zip(
            row["LinkTraceIds"],
            row["LinkSpanIds"],
            row["LinkTraceStates"],
            row["LinkKeys"],
            row["LinkValues"],
            _filled(row["LinkTypes"], count, ""),
            _filled(row["LinkDropped"], count, 0),
            _filled(row["LinkFlags"], count, 0),
            strict=True,
        )
    ]


def _filled(values: list[Any], count: int, default: Any) -> list[Any]:
    """Rows of other writers have empty arrays in the columns that they do not know."""
    return values if len(values) == count else [default] * count
