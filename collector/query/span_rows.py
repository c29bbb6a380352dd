"""Answers of the store as `Spans`.

The table's columns are asked for as they are: of a trace of usual size, an expression takes the store longer to plan than all its
values take to read. What is made of several columns is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import chain
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from collector.query.native_values import attributes_of, lists_of, numbers_of, row_keys, strings_of
from collector.query.skeleton import Skeleton
from collector.query.skeleton_rows import CONTENT, rows_in_order, skeleton_of, texts_of
from collector.query.spans import Event, Link, Resource, Scope, Spans
from proto.native_decode import Column

SELECTED: Final = f"""
    SpanId, ParentSpanId, SpanName, SpanKind, SpanKindNumber, ServiceName, StatusCode, StatusCodeNumber,
    Timestamp, Duration, StartTimeUnixNano, EndTimeUnixNano, {CONTENT},
    TraceState, StatusMessage, Flags, SpanAttributes, SpanAttributesTypes, DroppedAttributesCount,
    ResourceAttributes, ResourceAttributesTypes, ResourceDroppedAttributesCount, ResourceSchemaUrl, ResourceEntityRefs,
    ScopeName, ScopeVersion, ScopeAttributes, ScopeAttributesTypes, ScopeDroppedAttributesCount, ScopeSchemaUrl,
    `Events.Timestamp`, EventTimesUnixNano, `Events.Name`, `Events.Attributes`, `Events.AttributesTypes`,
    `Events.DroppedAttributesCount`, DroppedEventsCount,
    `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`, `Links.AttributesTypes`,
    `Links.DroppedAttributesCount`, `Links.Flags`, DroppedLinksCount"""
"""What to select so that `SpanRows` can read it."""
_HOST_KEYS: Final = ("host.id", "host.ip", "host.name")

T = TypeVar("T")


class SpanRows:
    """Rows of the table, of one trace or of several, from which spans are made.

    Args:
        columns: of `SELECTED`, as `parse_blocks` returns them: none where there are no rows.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._numbers("Flags")) if self._columns else 0

    def spans(self, trace_id: str, rows: Sequence[int], *, complete: bool = True) -> Spans:
        """The spans of some rows, at least one, in order and without those that a client sent twice."""
        stored = self._skeleton.take(rows)
        order = rows_in_order(stored.table, stored.service_texts, stored.name_texts)
        skeleton = stored.take(order)
        chosen = np.asarray(rows)[order].tolist()
        shape = {each.name: getattr(skeleton, each.name) for each in fields(skeleton)}
        lists = {name: [values[row] for row in chosen] for name, values in self._lists.items()}
        return Spans(**{**shape, "trace_id": trace_id, "complete": complete, **lists})

    @cached_property
    def _skeleton(self) -> Skeleton:
        codes, resources = self._resources
        starts, ends = self._times()
        hosts = [next(filter(None, map(resource.attributes.get, _HOST_KEYS)), "") for resource in resources]
        made: dict[str, Column] = {
            "Start": starts,
            "End": ends,
            "Process": np.array(codes, np.uint64),
            "Host": texts_of([hosts[code] for code in codes]),
            "StrayEvents": _have_stray(self._event_times, starts, ends),
        }
        return skeleton_of("", {**self._columns, **made}, complete=True)

    @cached_property
    def _lists(self) -> dict[str, list[Any]]:
        """The lists of `Spans` by their names."""
        codes, resources = self._resources
        return {
            "trace_states": self._strings("TraceState"),
            "status_messages": self._strings("StatusMessage"),
            "flags": self._numbers("Flags"),
            "resources": [resources[code] for code in codes],
            "scopes": self._scopes(),
            "attributes": attributes_of(self._columns["SpanAttributes"], self._strings("SpanAttributesTypes")),
            "dropped_attributes_counts": self._numbers("DroppedAttributesCount"),
            "events": self._events(),
            "dropped_events_counts": self._numbers("DroppedEventsCount"),
            "links": self._links(),
            "dropped_links_counts": self._numbers("DroppedLinksCount"),
        }

    def _times(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """When spans start and end, nanoseconds; in columns of their own where those that everybody knows do not hold them."""
        own_starts, own_ends = (np.asarray(self._columns[f"{which}TimeUnixNano"], np.uint64) for which in ("Start", "End"))
        usual = np.maximum(np.asarray(self._columns["Timestamp"], np.int64), 0).astype(np.uint64)
        starts = np.where(own_starts != 0, own_starts, usual)
        # As tables had it that are older than 2025, a duration has a sign.
        durations = np.asarray(self._columns["Duration"]).astype(np.uint64)
        return starts, np.where(own_ends != 0, own_ends, starts + durations)

    @cached_property
    def _resources(self) -> tuple[list[int], list[Resource]]:
        """For each row the place of its resource, and those that differ."""
        attributes, types = self._columns["ResourceAttributes"], self._strings("ResourceAttributesTypes")
        entity_refs = [text.encode(errors="surrogateescape") for text in self._strings("ResourceEntityRefs")]
        rest = list(
            zip(self._numbers("ResourceDroppedAttributesCount"), self._strings("ResourceSchemaUrl"), entity_refs, strict=True)
        )

        def resource(row: int) -> Resource:
            (of_row,) = attributes_of(attributes, [types[row]], slice(row, row + 1))
            return Resource(of_row, *rest[row])

        return _distinct(zip(row_keys(attributes), types, rest, strict=True), resource)

    def _scopes(self) -> list[Scope]:
        """The scope of each row; equal ones are one and the same."""
        attributes, types = self._columns["ScopeAttributes"], self._strings("ScopeAttributesTypes")
        names = list(zip(self._strings("ScopeName"), self._strings("ScopeVersion"), strict=True))
        rest = list(zip(self._numbers("ScopeDroppedAttributesCount"), self._strings("ScopeSchemaUrl"), strict=True))

        def scope(row: int) -> Scope:
            (of_row,) = attributes_of(attributes, [types[row]], slice(row, row + 1))
            return Scope(*names[row], of_row, *rest[row])

        codes, scopes = _distinct(zip(row_keys(attributes), types, names, rest, strict=True), scope)
        return [scopes[code] for code in codes]

    @cached_property
    def _event_times(self) -> list[list[int]]:
        """Nanoseconds; in a column of their own where one of them does not fit the usual one."""
        return [
            own or [max(time, 0) for time in times]
            for own, times in zip(self._rows("EventTimesUnixNano"), self._rows("Events.Timestamp"), strict=True)
        ]

    def _events(self) -> list[list[Event]]:
        names = ("Name", "Attributes", "AttributesTypes", "DroppedAttributesCount")
        return [
            [
                Event(time, name, attributes._replace(types=each), of_dropped)
                for time, name, attributes, each, of_dropped in zip(
                    times, names, maps, _filled(types, times, ""), _filled(dropped, times, 0), strict=True
                )
            ]
            for times, names, maps, types, dropped in zip(
                self._event_times, *(self._rows(f"Events.{name}") for name in names), strict=True
            )
        ]

    def _links(self) -> list[list[Link]]:
        names = ("TraceId", "SpanId", "TraceState", "Attributes", "AttributesTypes", "DroppedAttributesCount", "Flags")
        return [
            [
                Link(trace_id, span_id, trace_state, attributes._replace(types=each), *others)
                for trace_id, span_id, trace_state, attributes, each, *others in zip(
                    ids,
                    span_ids,
                    states,
                    maps,
                    _filled(types, ids, ""),
                    _filled(dropped, ids, 0),
                    _filled(flags, ids, 0),
                    strict=True,
                )
            ]
            for ids, span_ids, states, maps, types, dropped, flags in zip(
                *(self._rows(f"Links.{name}") for name in names), strict=True
            )
        ]

    def _numbers(self, name: str) -> list[int]:
        return numbers_of(self._columns[name])

    def _strings(self, name: str) -> list[str]:
        return strings_of(self._columns[name])

    def _rows(self, name: str) -> list[list[Any]]:
        return lists_of(self._columns[name])


def _distinct(keys: Iterable[Hashable], make: Callable[[int], T]) -> tuple[list[int], list[T]]:
    """For each row the place of what has its key, and what `make` makes of the first row of each: many rows share few."""
    places: dict[Hashable, int] = {}
    made: list[T] = []
    codes = []
    for row, key in enumerate(keys):
        code = places.setdefault(key, len(made))
        if code == len(made):
            made.append(make(row))
        codes.append(code)
    return codes, made


def _have_stray(times: Sequence[Sequence[int]], starts: NDArray[np.uint64], ends: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether a span has an event that is not within it."""
    rows = np.repeat(np.arange(len(times)), [len(each) for each in times])
    flat = np.fromiter(chain.from_iterable(times), np.uint64, len(rows))
    is_stray = (flat != 0) & ((flat < starts[rows]) | (flat > np.maximum(starts, ends)[rows]))
    return np.bincount(rows[is_stray], minlength=len(times)) > 0


def _filled(values: list[Any], like: Sequence[Any], default: Any) -> list[Any]:
    """Rows of other writers have empty arrays in the columns that they do not know."""
    return values if len(values) == len(like) else [default] * len(like)
