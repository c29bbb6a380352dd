"""Finding traces: a validated search, the statements for it, and what it found.

All conditions hold on one and the same span; a trace is a hit when at least one of its spans fits. The newest hits come first, in
the order of (start of the earliest span that fits, trace id), which is total. A cursor names the last hit of a page and means
"after that", so that pages do not shift when new traces arrive.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from collector.query.bounds import Bounds, find_bounds
from collector.query.predicates import EVERY_SPAN, Predicate, Wording
from collector.query.store import (
    ERROR,
    IDENTITY,
    KINDS,
    MAX_DURATION,
    MAX_TIMESTAMP,
    START,
    STATUS_CODES,
    SpanStore,
    Statement,
    time_range,
)

_ATTRIBUTE_COLUMNS: Final = ("SpanAttributes", "ResourceAttributes", "ScopeAttributes")
_NESTED_ATTRIBUTE_COLUMNS: Final = ("`Events.Attributes`", "`Links.Attributes`")
_SPECIAL_COLUMNS: Final = {"scope.name": "ScopeName", "scope.version": "ScopeVersion"}
_RESOURCE_PREFIX: Final = "resource."


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
        where: what must hold besides.
        limit: traces on a page, at least 1.

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
    limit: int = 20

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
        """What a cursor of this search must agree with: everything except the size of a page."""
        conditions = (
            self.start,
            self.end,
            self.service,
            self.operation,
            self.minimum_duration,
            self.maximum_duration,
            self.status,
            self.kind,
            sorted(self.attributes),
            repr(self.where),
            self.workspace,
        )
        return hashlib.blake2b(orjson.dumps(conditions), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Cursor:
    """After which hit a page begins: the start of its earliest fitting span, nanoseconds, and its id."""

    start: int
    trace_id: str


class ServiceShare(NamedTuple):
    """How many spans of a trace a service has, and how many of them with the status Error."""

    name: str
    span_count: int
    error_count: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A trace that was found, summed up over all its spans, those outside of the searched time included.

    Attributes:
        root_service, root_name: of the earliest span without a parent id; None when that has not been stored.
        start, duration: nanoseconds; from the earliest start to the latest end.
        services: whose spans they are, in the order of names.
    """

    trace_id: str
    root_service: str | None
    root_name: str | None
    start: int
    duration: int
    services: list[ServiceShare]

    @property
    def span_count(self) -> int:
        return sum(service.span_count for service in self.services)

    @property
    def error_count(self) -> int:
        return sum(service.error_count for service in self.services)


@dataclass(frozen=True, slots=True)
class Page:
    """Some hits, and where the next ones begin; None when there are no more."""

    hits: list[Hit] = field(default_factory=list)
    cursor: Cursor | None = None


def encode_cursor(search: TraceSearch, cursor: Cursor) -> str:
    """An opaque text for clients."""
    parts = [search.fingerprint, cursor.start, cursor.trace_id]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode_cursor(search: TraceSearch, text: str) -> Cursor:
    """Read what `encode_cursor` wrote.

    Raises:
        ValueError: it wrote something else, or for another search.
    """
    try:
        fingerprint, start, trace_id = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        cursor = Cursor(int(start), str(trace_id))
    except (ValueError, TypeError) as error:
        raise ValueError("not a cursor that this server gave out") from error
    if not 0 <= cursor.start <= MAX_TIMESTAMP:
        raise ValueError("not a cursor that this server gave out")
    if fingerprint != search.fingerprint:
        raise ValueError("the cursor belongs to a search with other parameters")
    return cursor


def matches_statement(store: SpanStore, search: TraceSearch, cursor: Cursor | None) -> Statement:
    """Ids of the traces of one page plus one more, with the start of their earliest fitting span: `TraceId`, `Start`."""
    conditions, parameters = conditions_of(store, search)
    having = ""
    if cursor is not None:
        # A trace after the cursor has no fitting span later than it, or that has its start at the cursor itself and a greater id.
        conditions.append("Timestamp <= fromUnixTimestamp64Nano({cursor_start:Int64})")
        having = "HAVING Start < {cursor_start:Int64} OR TraceId > {cursor_trace_id:String}"
        parameters |= {"cursor_start": cursor.start, "cursor_trace_id": cursor.trace_id}
    parameters["limit"] = search.limit + 1
    return Statement(
        "SELECT TraceId, toUnixTimestamp64Nano(min(Timestamp)) AS Start"  # noqa: S608 - the name is checked, values are bound
        f" FROM {store.spans_table} WHERE {' AND '.join(conditions)}"
        f" GROUP BY TraceId {having} ORDER BY Start DESC, TraceId LIMIT {{limit:UInt64}}",
        parameters,
    )


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


def summaries_statement(store: SpanStore, trace_ids: list[str], workspace: str, bounds: Bounds | None) -> Statement:
    """One row for each of the traces, over all their spans, each span once."""
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"""
        WITH
            {START} AS SpanStart,
            if(EndTimeUnixNano != 0, EndTimeUnixNano, SpanStart + Duration) AS SpanEnd,
            {IDENTITY} AS identity
        SELECT
            TraceId,
            min(FirstOfService) AS First,
            max(LastOfService) AS Last,
            arraySort(groupArray((ServiceName, SpanCount, ErrorCount))) AS Services,
            sum(RootsOfService) AS RootCount,
            argMinIf((ServiceName, RootOfService.3), RootOfService, RootsOfService > 0) AS Root
        FROM
        (
            SELECT
                TraceId,
                ServiceName,
                min(SpanStart) AS FirstOfService,
                max(greatest(SpanStart, SpanEnd)) AS LastOfService,
                uniqExact(identity) AS SpanCount,
                uniqExactIf(identity, StatusCode = '{STATUS_CODES[ERROR]}') AS ErrorCount,
                countIf(ParentSpanId = '') AS RootsOfService,
                minIf((SpanStart, SpanId, SpanName), ParentSpanId = '') AS RootOfService
            FROM {store.spans_table}
            WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}
            GROUP BY TraceId, ServiceName
        )
        GROUP BY TraceId""",  # noqa: S608 - the name is checked, values are bound
        {"trace_ids": trace_ids, "workspace": workspace, **(bounds.parameters if bounds else {})},
    )


async def find_traces(store: SpanStore, search: TraceSearch, cursor: Cursor | None = None) -> Page:
    """One page of hits, those after `cursor` or the first ones.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    matches = await store.fetch(matches_statement(store, search, cursor))
    trace_ids = matches.columns["TraceId"][: search.limit]
    if not trace_ids:
        return Page()
    bounds = await find_bounds(store, trace_ids, search.workspace)
    found = await store.fetch(summaries_statement(store, trace_ids, search.workspace, bounds))
    hits = {row["TraceId"]: row for row in found.rows()}
    last = len(trace_ids) - 1
    more = matches.row_count > search.limit
    return Page(
        [
            Hit(
                trace_id=trace_id,
                root_service=row["Root"][0] if row["RootCount"] else None,
                root_name=row["Root"][1] if row["RootCount"] else None,
                start=row["First"],
                duration=row["Last"] - row["First"],
                services=[ServiceShare(*share) for share in row["Services"]],
            )
            # A trace whose time to live ended between the two queries is no hit any more.
            for trace_id in trace_ids
            if (row := hits.get(trace_id))
        ],
        Cursor(matches.columns["Start"][last], trace_ids[last]) if more else None,
    )
