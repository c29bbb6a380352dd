"""Traces that were found, summed up, and which of their spans fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from collector.query.bounds import Bounds, find_bounds
from collector.query.conditions import TraceSearch, conditions_of
from collector.query.grouping import group_text
from collector.query.predicates import Field
from collector.query.store import ALIKE, DURATION, ERROR, IDENTITY, START, STATUS_CODES, UNSIGNED_DURATION, SpanStore, Statement
from collector.query.wording import Wording


class ServiceShare(NamedTuple):
    """How many spans of a trace a service has, and how many of them with the status Error."""

    name: str
    span_count: int
    error_count: int


class MatchedSpan(NamedTuple):
    """A span that fits; start and duration in nanoseconds."""

    start: int
    span_id: str
    service: str
    name: str
    duration: int
    status: str


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


def summaries_statement(
    store: SpanStore, trace_ids: list[str], workspace: str, bounds: Bounds | None, identity: str
) -> Statement:
    """One row for each of the traces, over all their spans, each once; `Alike` is how many are not told apart by `identity`."""
    within = f" AND {bounds.condition}" if bounds else ""
    return Statement(
        f"""
        WITH
            {START} AS SpanStart,
            if(EndTimeUnixNano != 0, EndTimeUnixNano, SpanStart + {UNSIGNED_DURATION}) AS SpanEnd,
            {identity} AS identity
        SELECT
            TraceId,
            min(FirstOfService) AS First,
            max(LastOfService) AS Last,
            arraySort(groupArray((ServiceName, SpanCount, ErrorCount))) AS Services,
            sum(AlikeOfService) AS Alike,
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
                count() - SpanCount AS AlikeOfService,
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


async def find_hits(store: SpanStore, trace_ids: list[str], workspace: str, search: TraceSearch | None = None) -> list[Hit]:
    """These traces, summed up, in this order; without those that the workspace does not have.

    Args:
        search: what their spans are to fit; without one, or where it names no spans, hits do not say which do.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    bounds = await find_bounds(store, trace_ids, workspace)
    summaries = _fetch_each_once(
        store, trace_ids, lambda ids, identity: summaries_statement(store, ids, workspace, bounds, identity)
    )
    matched: dict[str, Matched] | None = None
    if search is not None and search.matched_spans:
        found, matched = await asyncio.gather(summaries, _find_matched(store, search, trace_ids, bounds))
    else:
        found = await summaries
    rows = {row["TraceId"]: row for row in found}
    return [
        Hit(
            trace_id=trace_id,
            root_service=row["Root"][0] if row["RootCount"] else None,
            root_name=row["Root"][1] if row["RootCount"] else None,
            start=row["First"],
            duration=row["Last"] - row["First"],
            services=[ServiceShare(*share) for share in row["Services"]],
            matched=matched.get(trace_id) if matched is not None else None,
        )
        # A trace whose time to live ended between two queries is no hit any more.
        for trace_id in trace_ids
        if (row := rows.get(trace_id))
    ]


def matched_statement(
    store: SpanStore,
    search: TraceSearch,
    trace_ids: list[str],
    bounds: Bounds | None,
    by: Sequence[Field],
    identity: str,
) -> Statement:
    """Of each of the traces, and of each group by groupable fields of its spans, how many spans fit, and the earliest of them:
    `TraceId`, `Group`, `Count`, `Spans`; and `Alike`, how many are not told apart by `identity`."""
    conditions, parameters = conditions_of(store, search)
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
            uniqExact({identity}) AS Count,
            count() - Count AS Alike,
            arraySlice(
                arraySort(groupUniqArray(({START}, SpanId, ServiceName, SpanName, {DURATION}, StatusCode))), 1, {{most:UInt64}}
            ) AS Spans
        FROM {store.spans_table}
        WHERE {" AND ".join(conditions)} AND TraceId IN {{trace_ids:Array(String)}}
        GROUP BY TraceId, Group
        ORDER BY TraceId, Group""",  # noqa: S608 - the name is checked, values are bound
        {**parameters, "trace_ids": trace_ids, "most": search.matched_spans},
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
    found = await _fetch_each_once(
        store, trace_ids, lambda ids, identity: matched_statement(store, search, ids, bounds, by, identity)
    )
    for row in found:
        matched = Matched(row["Count"], [MatchedSpan(*span) for span in row["Spans"]])
        groups.setdefault(row["TraceId"], []).append((tuple(row["Group"]), matched))
    return groups


async def _find_matched(store: SpanStore, search: TraceSearch, trace_ids: list[str], bounds: Bounds | None) -> dict[str, Matched]:
    found = await _fetch_each_once(
        store, trace_ids, lambda ids, identity: matched_statement(store, search, ids, bounds, (), identity)
    )
    return {row["TraceId"]: Matched(row["Count"], [MatchedSpan(*span) for span in row["Spans"]]) for row in found}


async def _fetch_each_once(
    store: SpanStore, trace_ids: list[str], statement: Callable[[list[str], str], Statement]
) -> Sequence[Mapping[str, Any]]:
    """Rows about traces, of a statement that tells spans apart by an expression, and says how many are `Alike`.

    Attributes are read of those traces alone in which spans agree in all else, as those that a client sent twice.
    """
    rows = list((await store.fetch(statement(trace_ids, f"cityHash64({ALIKE})"))).rows())
    alike = {row["TraceId"] for row in rows if row["Alike"]}
    if not alike:
        return rows
    looked_at = (await store.fetch(statement(sorted(alike), IDENTITY))).rows()
    return [*(row for row in rows if row["TraceId"] not in alike), *looked_at]
