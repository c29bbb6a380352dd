"""The spans of one trace as columns: what everything on the way out works on that wants more than the shape of a trace."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from collector.query.attributes import Attributes
from collector.query.skeleton import Skeleton


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


def none_of(skeleton: Skeleton) -> Spans:
    """No span of a trace."""
    nothing = skeleton.take(range(0))
    shape = {each.name: getattr(nothing, each.name) for each in fields(nothing)}
    lists: dict[str, Any] = {each.name: [] for each in fields(Spans) if each.name not in shape}
    return Spans(**shape, **lists)
