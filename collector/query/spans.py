"""The spans of one trace as columns: what the store answers and everything else on the way out works on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from collector.query.attributes import Attributes
from collector.query.store import ERROR, KINDS, START, STATUS_CODES
from exporters.clickhouse.client import QueryResult

UINT64: Final = 2**64


class Resource(NamedTuple):
    """Where spans come from; equal resources are one and the same."""

    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


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


@dataclass(frozen=True)
class Spans:
    """Spans of one trace, one list per column, all of equal length, sorted by (start, end, span id, ...).

    Attributes:
        trace_id: 32 hex digits.
        span_ids, parent_span_ids: 16 hex digits; an absent parent is ''.
        kinds, status_codes: OTLP's numbers.
        services: text of `service.name`, '' without one.
        starts, ends: nanoseconds since 1970, unsigned 64 bits; an end may lie before its start.
        complete: whether these are all the spans of the trace.
    """

    trace_id: str
    span_ids: list[str]
    parent_span_ids: list[str]
    trace_states: list[str]
    names: list[str]
    kinds: list[int]
    services: list[str]
    starts: list[int]
    ends: list[int]
    status_codes: list[int]
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
    complete: bool = True

    def __len__(self) -> int:
        return len(self.span_ids)

    @cached_property
    def durations(self) -> list[int]:
        """Nanoseconds; 0 for a span that ends before it starts."""
        return [max(end - start, 0) for start, end in zip(self.starts, self.ends, strict=True)]

    @cached_property
    def start(self) -> int:
        """Start of the trace: of its earliest span that has a time at all."""
        return min((start for start in self.starts if start), default=0)

    @cached_property
    def end(self) -> int:
        """End of the trace: the latest end of a span."""
        return max(max(start, end) for start, end in zip(self.starts, self.ends, strict=True))

    @cached_property
    def error_count(self) -> int:
        """Number of spans whose status is Error."""
        return self.status_codes.count(ERROR)


SELECTED: Final = f"""
    SpanId, ParentSpanId, TraceState, SpanName, SpanKind, SpanKindNumber, ServiceName,
    {START} AS Start,
    if(EndTimeUnixNano != 0, EndTimeUnixNano, Start + Duration) AS End,
    StatusCode, StatusCodeNumber, StatusMessage, Flags,
    mapKeys(ResourceAttributes) AS ResourceKeys, mapValues(ResourceAttributes) AS ResourceValues, ResourceAttributesTypes,
    ResourceDroppedAttributesCount, ResourceSchemaUrl,
    ScopeName, ScopeVersion, mapKeys(ScopeAttributes) AS ScopeKeys, mapValues(ScopeAttributes) AS ScopeValues,
    ScopeAttributesTypes, ScopeDroppedAttributesCount, ScopeSchemaUrl,
    mapKeys(SpanAttributes) AS SpanKeys, mapValues(SpanAttributes) AS SpanValues, SpanAttributesTypes, DroppedAttributesCount,
    if(empty(EventTimesUnixNano), arrayMap(t -> toUInt64(greatest(toUnixTimestamp64Nano(t), 0)), `Events.Timestamp`),
       EventTimesUnixNano) AS EventTimes,
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
    """Spans of an answer to a query of `SELECTED`: sorted, and without those that a client sent twice."""
    resources: dict[Resource, Resource] = {}
    scopes: dict[Scope, Scope] = {}
    rows = []
    for row in result.rows():
        resource = Resource(
            _attributes(row["ResourceKeys"], row["ResourceValues"], row["ResourceAttributesTypes"]),
            row["ResourceDroppedAttributesCount"],
            row["ResourceSchemaUrl"],
        )
        scope = Scope(
            row["ScopeName"],
            row["ScopeVersion"],
            _attributes(row["ScopeKeys"], row["ScopeValues"], row["ScopeAttributesTypes"]),
            row["ScopeDroppedAttributesCount"],
            row["ScopeSchemaUrl"],
        )
        rows.append((row, resources.setdefault(resource, resource), scopes.setdefault(scope, scope)))
    return _from_rows(trace_id, rows, complete=complete)


def _from_rows(trace_id: str, rows: list[tuple[dict[str, Any], Resource, Scope]], *, complete: bool) -> Spans:
    seen: dict[tuple[Any, ...], tuple[dict[str, Any], Resource, Scope, Attributes, int]] = {}
    for row, resource, scope in rows:
        attributes = _attributes(row["SpanKeys"], row["SpanValues"], row["SpanAttributesTypes"])
        kind = _number(row["SpanKind"], row["SpanKindNumber"], KINDS)
        # Receiver contract DATA-24 and DATA-25: an id alone does not tell a resent span from a shared span id.
        identity = (
            row["Start"],
            row["End"],
            row["SpanId"],
            kind,
            row["ServiceName"],
            row["SpanName"],
            resource.attributes,
            attributes,
        )
        seen.setdefault(identity, (row, resource, scope, attributes, kind))
    chosen = [seen[identity] for identity in sorted(seen)]
    return Spans(
        trace_id=trace_id,
        span_ids=[row["SpanId"] for row, *_ in chosen],
        parent_span_ids=[row["ParentSpanId"] for row, *_ in chosen],
        trace_states=[row["TraceState"] for row, *_ in chosen],
        names=[row["SpanName"] for row, *_ in chosen],
        kinds=[kind for *_, kind in chosen],
        services=[row["ServiceName"] for row, *_ in chosen],
        starts=[row["Start"] for row, *_ in chosen],
        ends=[row["End"] % UINT64 for row, *_ in chosen],
        status_codes=[_number(row["StatusCode"], row["StatusCodeNumber"], STATUS_CODES) for row, *_ in chosen],
        status_messages=[row["StatusMessage"] for row, *_ in chosen],
        flags=[row["Flags"] for row, *_ in chosen],
        resources=[resource for _, resource, *_ in chosen],
        scopes=[scope for _, _, scope, *_ in chosen],
        attributes=[attributes for *_, attributes, _ in chosen],
        dropped_attributes_counts=[row["DroppedAttributesCount"] for row, *_ in chosen],
        events=[_events(row) for row, *_ in chosen],
        dropped_events_counts=[row["DroppedEventsCount"] for row, *_ in chosen],
        links=[_links(row) for row, *_ in chosen],
        dropped_links_counts=[row["DroppedLinksCount"] for row, *_ in chosen],
        complete=complete,
    )


def _attributes(keys: list[str], values: list[str], types: str) -> Attributes:
    return Attributes(tuple(keys), tuple(values), types)


def _number(text: str, number: int, names: tuple[str, ...]) -> int:
    """OTLP's number of a kind or status; the number column counts only where the text column could not say it."""
    return number or (names.index(text) if text in names else 0)


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
