"""Services and operations that were not there before.

Whether a name was seen before the table of rates by the hour says first, which is small and may reach further back than spans do.
Only for what it does not know, for want of `red_metrics` or of a whole hour, spans are looked for.
"""

from __future__ import annotations

from typing import Final

from collector.query.conditions import TraceSearch
from collector.query.many.occurrences import Occurrences
from collector.query.many.reach import spans_statement
from collector.query.store import SpanStore, Statement, time_range
from exporters.clickhouse.schema import table_name

_HOUR_S: Final = 3600
_SECOND: Final = 10**9
_LAST_SECOND: Final = 2**32 - 1
"""Of a DateTime."""


def new_names_statement(
    store: SpanStore, search: TraceSearch, before: int, *, operations: bool, weighted: bool, limit: int
) -> Statement:
    """One row for each new name, the first ones first: what `Occurrences` has, ids as `Earliest`, and `Names`, their number."""
    names = "ServiceName, SpanName" if operations else "ServiceName"
    spans = spans_statement(store, search, ["ServiceName", "SpanName", "Timestamp", "TraceId", "SpanId"], weighted=weighted)
    past, bound = time_range(before, search.start, "before_")
    return Statement(
        f"""
        WITH
            recent AS
            (
                SELECT {names}, count() AS Spans, sum(Weight) AS Count, min(Timestamp) AS First, max(Timestamp) AS Last,
                    argMin((TraceId, SpanId), (Timestamp, TraceId, SpanId)) AS Earliest
                FROM ({spans.sql}) GROUP BY {names}
            ),
            unknown AS
            (
                SELECT * FROM recent WHERE ({names}) NOT IN
                (
                    SELECT {names} FROM {table_name("otel_red_hour", store.spans_table)}
                    WHERE Workspace = {{workspace:String}} AND Hour >= toDateTime({{first_hour:UInt32}}, 'UTC')
                        AND Hour < toDateTime({{end_hour:UInt32}}, 'UTC')
                    GROUP BY {names}
                )
            )
        SELECT [{names}] AS Texts, Spans, Count, toUnixTimestamp64Nano(First) AS First, toUnixTimestamp64Nano(Last) AS Last,
            Earliest, count() OVER () AS Names
        FROM unknown
        WHERE ({names}) NOT IN
        (
            SELECT {names} FROM {store.spans_table}
            WHERE Workspace = {{workspace:String}} AND {past} AND ({names}) IN (SELECT {names} FROM unknown) GROUP BY {names}
        )
        ORDER BY First, Texts LIMIT {{limit:UInt64}}""",  # noqa: S608 - names are checked, values are bound
        {
            **spans.parameters,
            **bound,
            # Whole hours between the two.
            "first_hour": min(-(-before // (_HOUR_S * _SECOND)) * _HOUR_S, _LAST_SECOND),
            "end_hour": min(search.start // (_HOUR_S * _SECOND) * _HOUR_S, _LAST_SECOND),
            "limit": limit,
        },
    )


async def find_new_names(
    store: SpanStore, search: TraceSearch, before: int, *, operations: bool, weighted: bool, limit: int
) -> tuple[list[Occurrences], int]:
    """Names of spans that fit, but of no span at all that starts between `before`, nanoseconds, and the search's time range.

    Args:
        operations: of operations, which have a service each; else of services.
        limit: the most names, the first ones.

    Returns:
        The names, each with the ids of its earliest span; and how many there are in all.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = new_names_statement(store, search, before, operations=operations, weighted=weighted, limit=limit)
    rows = list((await store.fetch(statement)).rows())
    found = [
        Occurrences(tuple(row["Texts"]), row["Spans"], row["Count"], row["First"], row["Last"], *row["Earliest"]) for row in rows
    ]
    return found, rows[0]["Names"] if rows else 0
