"""A search for traces: what its spans and the traces themselves must be like, and the SQL conditions that this becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

import orjson

from collector.query.predicates import (
    EVERY_SPAN,
    EVERYWHERE,
    FAILED,
    AnyOf,
    Attribute,
    Column,
    Comparison,
    Not,
    Operator,
    Predicate,
)
from collector.query.store import KINDS, MAX_DURATION, STATUS_CODES, SpanStore, time_range
from collector.query.wording import Wording

Measure = Literal["duration", "spans", "errors", "root service", "root name"]
"""What can be asked of a trace as a whole. The root is the earliest span without a parent id."""
Sort = Literal["start", "duration", "spans", "errors"]
"""What hits are sorted by: the start of their spans that fit, or what they measure as a whole."""

_FIELDS: Final[dict[str, Column]] = {
    "span.kind": "kind",
    "span.status": "status",
    "scope.name": "scope name",
    "scope.version": "scope version",
}
_RESOURCE_PREFIX: Final = "resource."


@dataclass(frozen=True, slots=True)
class OfTrace:
    """A measure of the whole trace, over all its spans, that compares so with a value; without root, no root's name does."""

    measure: Measure
    operator: Operator
    value: str | int


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """What to look for. None, or an empty tuple, is no condition.

    Attributes:
        start, end: nanoseconds; a span fits when its start is in [start, end).
        workspace: whose spans are looked at.
        minimum_duration, maximum_duration: of the span, nanoseconds, both included.
        status: one of STATUS_CODES.
        kind: one of KINDS.
        attributes: (key, text of the value) pairs that must all be there: on the span, else its resource, scope, events or links.
            `error`, `span.kind`, `span.status`, `scope.name` and `scope.version` mean the span's own fields; a key that begins
            with `resource.` is looked up in the resource only.
        where: what must hold besides, on the same span.
        traces: what must hold of a trace that has such a span.
        sort, descending: the order of hits.
        limit: traces on a page, at least 1.
        weighted: whether it is also told how many traces those that are found stand for, since sampling has dropped others.
        matched_spans: so many of the spans that fit are named for each trace, the earliest ones; with 0 none, nor their number.

    Raises:
        ValueError: a field contradicts another or is not one of its names.
    """

    start: int
    end: int
    workspace: str
    service: str | None = None
    operation: str | None = None
    minimum_duration: int | None = None
    maximum_duration: int | None = None
    status: str | None = None
    kind: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    where: Predicate = EVERY_SPAN
    traces: tuple[OfTrace, ...] = ()
    sort: Sort = "start"
    descending: bool = True
    limit: int = 20
    weighted: bool = False
    matched_spans: int = 0

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        if self.minimum_duration is not None and self.maximum_duration is not None:
            if self.minimum_duration > self.maximum_duration:
                raise ValueError(f"minimum duration {self.minimum_duration} is above maximum {self.maximum_duration}")
        if self.status is not None and self.status not in STATUS_CODES:
            raise ValueError(f"status {self.status!r} is none of {', '.join(STATUS_CODES)}")
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.limit < 1:
            raise ValueError(f"limit {self.limit} is below 1")

    @property
    def fingerprint(self) -> str:
        """What a cursor of this search must agree with: everything except how much a page tells."""
        alike = replace(self, attributes=tuple(sorted(self.attributes)), limit=1, matched_spans=0)
        conditions = [repr(getattr(alike, each.name)) for each in fields(alike)]
        return hashlib.blake2b(orjson.dumps(conditions), digest_size=6).hexdigest()


def conditions_of(
    store: SpanStore, search: TraceSearch, trace_ids: Sequence[str] | None = None
) -> tuple[list[str], dict[str, object]]:
    """What holds of a span that fits, over the columns of the table, and the parameters.

    Args:
        trace_ids: of the spans that are asked about, the parameter `trace_ids`; None for any.
    """
    condition, parameters = time_range(search.start, search.end)
    conditions = ["Workspace = {workspace:String}", condition, "TraceId != ''"]
    parameters["workspace"] = search.workspace
    for column, name, type_name, value in (
        ("ServiceName =", "service", "String", search.service),
        ("SpanName =", "operation", "String", search.operation),
        ("Duration >=", "minimum_duration", "UInt64", search.minimum_duration),
        ("Duration <=", "maximum_duration", "UInt64", search.maximum_duration),
        ("StatusCode =", "status", "String", search.status),
        ("SpanKind =", "kind", "String", search.kind),
    ):
        if value is not None:
            conditions.append(f"{column} {{{name}:{type_name}}}")
            parameters[name] = value
    if search.minimum_duration is not None:
        conditions.append(f"Duration <= {MAX_DURATION}")
    among = ""
    if trace_ids is not None:
        among = "TraceId IN {trace_ids:Array(String)}"
        parameters["trace_ids"] = list(trace_ids)
    wording = Wording(store.spans_table, parameters, among)
    asked = (*(attribute_predicate(key, value) for key, value in search.attributes), search.where)
    conditions += [wording.condition(predicate) for predicate in asked if predicate != EVERY_SPAN]
    return conditions, parameters


def attribute_predicate(key: str, value: str) -> Predicate:
    """What `TraceSearch.attributes` says of a key and a value."""
    if key == "error" and value in ("true", "false"):
        return FAILED if value == "true" else Not(FAILED)
    if key in _FIELDS:
        return Comparison(_FIELDS[key], "equals ignoring case" if key.startswith("span.") else "=", value)
    if key.startswith(_RESOURCE_PREFIX):
        return Comparison(Attribute("resource", key.removeprefix(_RESOURCE_PREFIX)), "=", value)
    return AnyOf(tuple(Comparison(Attribute(level, key), "=", value) for level in EVERYWHERE))
