"""Rows that tell of calls between services, from all tables that the processor `topology` fills."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

from collector.query.early import begun_early
from collector.query.halves import CATCH_UP_S, MINUTES, calls_of_halves
from collector.query.rollups import CALLS, Part, in_range, rows_of
from collector.query.store import SpanStore, Statement
from exporters.clickhouse.schema import table_name

Answered = TypeVar("Answered")

OF_WORKSPACE: Final = "Workspace = {workspace:String}"


def call_rows(store: SpanStore, found: Sequence[Part], columns: Sequence[str], condition: str, *, is_settled: bool) -> str:
    """A SELECT of columns of parts of CALLS, as `rollups.rows_of`.

    The parameter `workspace` is the one whose calls they are.

    Args:
        is_settled: that all is settled, as `find_is_settled` says; else the rest is worked out as it would be by now.
    """
    halves, settled = (table_name(f"otel_topology_{name}", store.spans_table) for name in ("halves", "settled"))
    selected = f"SELECT rollup.Minute AS Time, {', '.join(columns)} FROM"
    sources = [rows_of(store, found, columns, f"{OF_WORKSPACE} AND {condition}")]
    # The table of hours has what was settled of them as well.
    of_minutes = [part for part in found if part.rollup is CALLS[-1]]
    if of_minutes:
        sources.append(f"{selected} {settled} AS rollup WHERE ({_within(of_minutes)}) AND {OF_WORKSPACE} AND {condition}")
    if not is_settled:
        # Minutes are settled one after the other: what belongs to later ones than the last is not.
        first = f"(SELECT greatest(max(ArrivalMinute) + 60, toStartOfMinute(now()) - {CATCH_UP_S}) FROM {settled})"  # noqa: S608 - names are checked, the rest are numbers
        unsettled = calls_of_halves(halves, first, "(toStartOfMinute(now()) + 60)", OF_WORKSPACE)
        sources.append(f"{selected} ({unsettled}) AS rollup WHERE ({_within(found)}) AND {condition}")
    return " UNION ALL ".join(sources)


def _within(found: Iterable[Part]) -> str:
    return " OR ".join(f"({in_range('rollup.Minute', start, end)})" for _, start, end in found)


async def find_is_settled(store: SpanStore, start: int, end: int, workspace: str) -> bool:
    """Whether no call of [start, end), nanoseconds, has yet to be settled: the usual case where a range is not of today.

    To ask costs little; to work out what is not settled costs more than all else.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    halves = table_name("otel_topology_halves", store.spans_table)
    # Of calls that may not be settled, sides came within the minutes that they wait for each other before.
    since = f"Arrived >= toStartOfMinute(now()) - {CATCH_UP_S + 2 * 60 * MINUTES}"
    statement = Statement(
        f"SELECT 1 AS Some FROM {halves} WHERE {OF_WORKSPACE} AND {since} AND {in_range('Minute', start, end)} LIMIT 1",  # noqa: S608 - as above
        {"workspace": workspace},
    )
    return not (await store.fetch(statement)).row_count


async def fetch_calls(
    store: SpanStore,
    fetch: Callable[[Statement], Coroutine[Any, Any, Answered]],
    statement: Callable[[bool], Statement],
    start: int,
    end: int,
    workspace: str,
) -> Answered:
    """The answer to a statement about the calls of [start, end), nanoseconds, that is made of what `find_is_settled` says.

    That is asked while the statement for the usual case is at work already; in the other case it is broken off.

    Args:
        fetch: how the statement is asked, such as `store.fetch`.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    async with begun_early(fetch(statement(True))) as usual:
        if await find_is_settled(store, start, end, workspace):
            return await usual
    return await fetch(statement(False))
