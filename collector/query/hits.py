"""Traces that were found, summed up, and which of their spans fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from collector.query.bounds import Bounds, find_bounds
from collector.query.conditions import TraceSearch, conditions_of
from collector.query.early import begun_early
from collector.query.grouping import group_text
from collector.query.predicates import Field
from collector.query.store import ALIKE, DURATION, ERROR, IDENTITY, START, STATUS_CODES, UNSIGNED_DURATION, SpanStore, Statement
from collector.query.wording import Wording

_MATCHED_SPAN: Final = f"({START}, SpanId, ServiceName, SpanName, {DURATION}, StatusCode)"


class ServiceShare(NamedTuple):
    """How many spans of a trace a service has, and how many of them with the status Error."""

    name: str
    span_count: int
    error_count: int


SpanKey = tuple[str, str, str, int]
"""Ids of trace and span, service and start of a span: a client and a server may have one id."""


class MatchedSpan(NamedTuple):
    """A span that fits; start and duration in nanoseconds."""

    start: int
    span_id: str
    service: str
    name: str
    duration: int
    status: str

    def key(self, trace_id: str) -> SpanKey:
        """What tells it from others, in this trace."""
        return trace_id, self.span_id, self.service, self.start


@dataclass(frozen=True, slots=True)
class Matched:
    """How many spans of a trace fit, and the earliest of them."""

    count: int
    spans: list[MatchedSpan]


@dataclass(frozen=True, slots=True)
class Hit:
    """A trace that was found, summed up over all its spans, those outside of the searched time included.

    Attributes:
        root_service, root_name: of the earliest span without a parent id; None when that has not been stored.
        start, duration: nanoseconds; from the earliest start to the latest end.
        services: whose spans they are, in the order of names.
        matched: which spans fit; None where that was not asked for.
    """

    trace_id: str
    root_service: str | None
    root_name: str | None
    start: int
    duration: int
    services: list[ServiceShare]
    matched: Matched | None = None

    @property
    def span_count(self) -> int:
        return sum(service.span_count for service in self.services)

    @property
    def error_count(self) -> int:
        return sum(service.error_count for service in self.services)


_COUNTS: Final = f"""
                uniqExact(identity) AS SpanCount,
                uniqExactIf(identity, StatusCode = '{STATUS_CODES[ERROR]}') AS ErrorCount,
                uniqExactIf(identity, fits) AS FittingOfService"""
_COUNTED: Final = """
            arraySort(groupArray((ServiceName, SpanCount, ErrorCount))) AS Services,
            sum(FittingOfService) AS Fitting"""


def hits_statement(
    store: SpanStore, trace_ids: list[str], workspace: str, search: TraceSearch | None, bounds: Bounds | None
) -> Statement:
    """One row for each of the traces, over all their spans; `Alike` is how many of them ALIKE does not tell from others.

    Args:
        search: of which it is told which spans fit, `Fitting` how many and `FittingSpans` the earliest; None for no search.
    """
    fits, source, parameters = _spans_of(store, trace_ids, workspace, search, bounds)
    return Statement(
        f"""
        WITH
            {START} AS SpanStart,
            if(EndTimeUnixNano != 0, EndTimeUnixNano, SpanStart + {UNSIGNED_DURATION}) AS SpanEnd,
            cityHash64({ALIKE}) AS identity,
            {fits} AS fits
        SELECT
            TraceId,
            min(FirstOfService) AS First,
            max(LastOfService) AS Last,
            sum(AlikeOfService) AS Alike,
            sum(RootsOfService) AS RootCount,
            argMinIf((ServiceName, RootOfService.3), RootOfService, RootsOfService > 0) AS Root,
            arraySlice(arraySort(groupArrayArray(FittingSpansOfService)), 1, {{most:UInt64}}) AS FittingSpans,
            {_COUNTED}
        FROM
        (
            SELECT
                TraceId,
                ServiceName,
                min(SpanStart) AS FirstOfService,
                max(greatest(SpanStart, SpanEnd)) AS LastOfService,
                count() - SpanCount AS AlikeOfService,
                countIf(ParentSpanId = '') AS RootsOfService,
                minIf((SpanStart, SpanId, SpanName), ParentSpanId = '') AS RootOfService,
                groupUniqArrayIf({_MATCHED_SPAN}, fits) AS FittingSpansOfService,
                {_COUNTS}
            {source}
            GROUP BY TraceId, ServiceName
        )
        GROUP BY TraceId""",  # noqa: S608 - the name is checked, values are bound
        {**parameters, "most": search.matched_spans if search is not None else 0},
    )


def counts_statement(
    store: SpanStore, trace_ids: list[str], workspace: str, search: TraceSearch | None, bounds: Bounds | None
) -> Statement:
    """What `hits_statement` counts, `Services` and `Fitting`, each span once as its attributes tell."""
    fits, source, parameters = _spans_of(store, trace_ids, workspace, search, bounds)
    return Statement(
        f"""
        WITH {IDENTITY} AS identity, {fits} AS fits
        SELECT TraceId, {_COUNTED}
        FROM (SELECT TraceId, ServiceName, {_COUNTS} {source} GROUP BY TraceId, ServiceName)
        GROUP BY TraceId""",  # noqa: S608 - as above
        parameters,
    )


def _spans_of(
    store: SpanStore, trace_ids: list[str], workspace: str, search: TraceSearch | None, bounds: Bounds | None
) -> tuple[str, str, dict[str, object]]:
    """Whether a span fits, where all spans of the traces are, and the parameters of both."""
    conditions, parameters = conditions_of(store, search, trace_ids) if search is not None else (["false"], {})
    within = f" AND {bounds.condition}" if bounds else ""
    source = f"FROM {store.spans_table} WHERE TraceId IN {{trace_ids:Array(String)}} AND Workspace = {{workspace:String}}{within}"
    parameters |= {"trace_ids": trace_ids, "workspace": workspace, **(bounds.parameters if bounds else {})}
    return " AND ".join(conditions), source, parameters


async def find_hits(
    store: SpanStore,
    trace_ids: list[str],
    workspace: str,
    search: TraceSearch | None = None,
    near: Bounds | None = None,
) -> list[Hit]:
    """These traces, summed up, in this order; without those that the workspace does not have.

    Args:
        search: what their spans are to fit; without one, or where it names no spans, hits do not say which do.
        near: between which seconds all of their spans start, as far as one can tell: there it is looked while that is found out.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    asked = search if search is not None and search.matched_spans else None

    async def summed_up(bounds: Bounds | None) -> dict[str, Mapping[str, Any]]:
        found = (await store.fetch(hits_statement(store, trace_ids, workspace, asked, bounds))).rows()
        rows: dict[str, Mapping[str, Any]] = {row["TraceId"]: row for row in found}
        if alike := sorted(trace_id for trace_id, row in rows.items() if row["Alike"]):
            counted = (await store.fetch(counts_statement(store, alike, workspace, asked, bounds))).rows()
            rows |= {row["TraceId"]: {**rows[row["TraceId"]], **row} for row in counted}
        return rows

    async def all_summed_up() -> dict[str, Mapping[str, Any]]:
        if near is None:
            return await summed_up(await find_bounds(store, trace_ids, workspace))
        async with begun_early(summed_up(near)) as usual:
            bounds = await find_bounds(store, trace_ids, workspace)
            if bounds is not None and near.first <= bounds.first and bounds.last <= near.last:
                return await usual
        return await summed_up(bounds)

    rows = await all_summed_up()
    return [
        Hit(
            trace_id=trace_id,
            root_service=row["Root"][0] if row["RootCount"] else None,
            root_name=row["Root"][1] if row["RootCount"] else None,
            start=row["First"],
            duration=row["Last"] - row["First"],
            services=[ServiceShare(*share) for share in row["Services"]],
            matched=Matched(row["Fitting"], [MatchedSpan(*span) for span in row["FittingSpans"]]) if asked else None,
        )
        # A trace whose time to live ended between two queries is no hit any more.
        for trace_id in trace_ids
        if (row := rows.get(trace_id))
    ]


def groups_statement(
    store: SpanStore,
    search: TraceSearch,
    trace_ids: list[str],
    bounds: Bounds | None,
    by: Sequence[Field],
) -> Statement:
    """Of each of the traces, and of each group by groupable fields of its spans, how many spans fit, and the earliest of them:
    `TraceId`, `Group`, `Count`, `Spans`."""
    conditions, parameters = conditions_of(store, search, trace_ids)
    if bounds:
        # Much less than the time that is searched, where traces that fit are many.
        conditions.append(bounds.condition)
        parameters |= bounds.parameters
    wording = Wording(store.spans_table, parameters)
    group = f"[{', '.join(f'toString({group_text(wording, field)})' for field in by)}]::Array(String)"
    return Statement(
        f"""
        SELECT
            TraceId,
            {group} AS Group,
            uniqExact({IDENTITY}) AS Count,
            arraySlice(arraySort(groupUniqArray({_MATCHED_SPAN})), 1, {{most:UInt64}}) AS Spans
        FROM {store.spans_table}
        WHERE {" AND ".join(conditions)} AND TraceId IN {{trace_ids:Array(String)}}
        GROUP BY TraceId, Group
        ORDER BY TraceId, Group""",  # noqa: S608 - the name is checked, values are bound
        {**parameters, "most": search.matched_spans},
    )


async def find_grouped(
    store: SpanStore, search: TraceSearch, trace_ids: list[str], by: Sequence[Field]
) -> dict[str, list[tuple[tuple[str, ...], Matched]]]:
    """Which spans of these traces fit, by the id of the trace and in groups by the texts of these fields.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    bounds = await find_bounds(store, trace_ids, search.workspace)
    groups: dict[str, list[tuple[tuple[str, ...], Matched]]] = {}
    for row in (await store.fetch(groups_statement(store, search, trace_ids, bounds, by))).rows():
        matched = Matched(row["Count"], [MatchedSpan(*span) for span in row["Spans"]])
        groups.setdefault(row["TraceId"], []).append((tuple(row["Group"]), matched))
    return groups
