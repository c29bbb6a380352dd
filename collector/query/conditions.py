"""A search for traces: what its spans and the traces themselves must be like, and the SQL conditions that this becomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

import orjson

from collector.query.predicates import EVERY_SPAN, Operator, Predicate, Wording
from collector.query.store import ERROR, KINDS, MAX_DURATION, STATUS_CODES, SpanStore, time_range

Measure = Literal["duration", "spans", "errors", "root service", "root name"]
"""What can be asked of a trace as a whole. The root is the earliest span without a parent id."""
Sort = Literal["start", "duration", "spans", "errors"]
"""What hits are sorted by: the start of their spans that fit, or what they measure as a whole."""

_ATTRIBUTE_COLUMNS: Final = ("SpanAttributes", "ResourceAttributes", "ScopeAttributes")
_NESTED_ATTRIBUTE_COLUMNS: Final = ("`Events.Attributes`", "`Links.Attributes`")
_SPECIAL_COLUMNS: Final = {"scope.name": "ScopeName", "scope.version": "ScopeVersion"}
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


def conditions_of(store: SpanStore, search: TraceSearch) -> tuple[list[str], dict[str, object]]:
    """What holds of a span that fits, over the columns of the table, and the parameters."""
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
    for index, (key, value) in enumerate(search.attributes):
        key_name, value_name = f"key{index}", f"value{index}"
        conditions.append(_attribute_condition(key, value, key_name, value_name))
        parameters |= {key_name: key.removeprefix(_RESOURCE_PREFIX), value_name: value}
    if search.where != EVERY_SPAN:
        conditions.append(Wording(store.spans_table, parameters).condition(search.where))
    return conditions, parameters


def _attribute_condition(key: str, value: str, key_name: str, value_name: str) -> str:
    if key == "error" and value in ("true", "false"):
        return f"StatusCode {'=' if value == 'true' else '!='} '{STATUS_CODES[ERROR]}'"
    if key == "span.kind":
        return f"lower(SpanKind) = lower({{{value_name}:String}})"
    if key == "span.status":
        return f"lower(StatusCode) = lower({{{value_name}:String}})"
    if key in _SPECIAL_COLUMNS:
        return f"{_SPECIAL_COLUMNS[key]} = {{{value_name}:String}}"

    def holds(attributes: str) -> str:
        # A missing key reads as the empty text, so an empty value must ask for the key as well.
        present = f"mapContains({attributes}, {{{key_name}:String}}) AND " if not value else ""
        return f"{present}{attributes}[{{{key_name}:String}}] = {{{value_name}:String}}"

    if key.startswith(_RESOURCE_PREFIX):
        return f"({holds('ResourceAttributes')})"
    anywhere = [f"({holds(column)})" for column in _ATTRIBUTE_COLUMNS]
    anywhere += [f"arrayExists(m -> {holds('m')}, {column})" for column in _NESTED_ATTRIBUTE_COLUMNS]
    return f"({' OR '.join(anywhere)})"
