"""Latencies of spans by any of their fields: count, errors, mean and percentiles of each group.

Percentiles are exact where few spans fit (`reach.py`), and of more from sketches, off by `RELATIVE_ERROR` of those at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from collector.query.conditions import TraceSearch
from collector.query.grouping import Key
from collector.query.many.reach import FAILED, fetch_by_reach, group_columns, spans_statement
from collector.query.percentiles import NEIGHBOURS, PERCENTILES, interpolate
from collector.query.store import DURATION, SpanStore, Statement
from collector.sketch import MERGE, bucket_expression, quantile_expression

MOST_GROUPS: Final = 10_000
"""Of more groups, those with the most spans are looked at."""


@dataclass(frozen=True, slots=True)
class GroupLatencies:
    """Durations of the spans of one group, in nanoseconds.

    Attributes:
        texts: of the keys; empty where the spans have no such attribute.
        spans: how many are stored.
        count: how many those stand for, or `spans` where that was not asked for; this is what all below are of.
        errors: of `count`, those with the status Error.
        percentiles: for each of those that were asked for.
    """

    texts: tuple[str, ...]
    spans: int
    count: float
    errors: float
    minimum: int
    maximum: int
    total: float
    percentiles: tuple[float, ...]

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def error_rate(self) -> float:
        """From 0 to 1."""
        return self.errors / self.count


@dataclass(frozen=True, slots=True)
class Latencies:
    """What is known of the spans of a search.

    Attributes:
        groups: in the order that was asked for.
        group_count: how many groups there are, those left out included.
        exact: whether percentiles are, and a span that its client sent twice counts once.
    """

    groups: list[GroupLatencies]
    group_count: int
    exact: bool


@dataclass(frozen=True, slots=True)
class LatencyQuery:
    """What is asked.

    Attributes:
        search: which spans; its conditions on traces, order and limit mean nothing here.
        by: what spans of one group agree in; without, all are one group.
        percentiles: from 0 to 100.
        weighted: whether a span counts for those that sampling has dropped.
        order: `count`, the groups with the most spans first, or `texts`.
        limit: the most groups.
    """

    search: TraceSearch
    by: Sequence[Key] = ()
    percentiles: Sequence[float] = PERCENTILES
    weighted: bool = True
    order: Literal["count", "texts"] = "count"
    limit: int = MOST_GROUPS


_SUMS: Final = "sum(Weight) AS Count, sumIf(Weight, Failed) AS Errors, sum(Weight * Duration) AS Total"
_ENDS: Final = "min(Duration) AS Minimum, max(Duration) AS Maximum"


def latencies_statement(store: SpanStore, query: LatencyQuery, *, exact: bool) -> Statement:
    """One row for each group: `Texts`, `Spans`, `Count`, `Errors`, `Total`, `Minimum`, `Maximum`; of all groups `Groups`, their
    number, and `AllSpans`; and `Neighbours` of the percentiles where they are to be exact, else `Percentiles`."""
    columns = [f"{DURATION} AS Duration", f"{FAILED} AS Failed"]
    spans = spans_statement(store, query.search, columns, by=query.by, weighted=query.weighted, each_once=exact)
    keys, texts = group_columns(query.by)
    shown = (
        f"{texts} AS Texts, Spans, Count, Errors, Total, Minimum, Maximum, count() OVER () AS Groups,"
        " sum(Spans) OVER () AS AllSpans"
    )
    if exact:
        groups = f"SELECT {keys}, count() AS Spans, {_SUMS}, {_ENDS}, {NEIGHBOURS} FROM ({spans.sql}) GROUP BY {keys}"  # noqa: S608 - as below
        shown += ", Neighbours"
    else:
        quantiles = ", ".join(quantile_expression("Sketch", str(percent / 100)) for percent in query.percentiles)
        groups = f"""
            SELECT {keys}, sum(buckets.Spans) AS Spans, sum(buckets.Count) AS Count, sum(buckets.Errors) AS Errors,
                sum(buckets.Total) AS Total, min(buckets.Minimum) AS Minimum, max(buckets.Maximum) AS Maximum,
                {MERGE}(map(Bucket, buckets.Count)) AS Sketch
            FROM
            (
                SELECT {keys}, {bucket_expression("Duration")} AS Bucket, count() AS Spans, {_SUMS}, {_ENDS}
                FROM ({spans.sql}) GROUP BY {keys}, Bucket
            ) AS buckets
            GROUP BY {keys}"""  # noqa: S608 - as below
        shown += f", [{quantiles}]::Array(Float64) AS Percentiles"
    order = "Texts" if query.order == "texts" else "Count DESC, Texts"
    parameters = {**spans.parameters, "quantiles": [percent / 100 for percent in query.percentiles], "limit": query.limit}
    return Statement(f"SELECT {shown} FROM ({groups}) ORDER BY {order} LIMIT {{limit:UInt64}}", parameters)  # noqa: S608 - names are checked, values are bound


async def find_latencies(store: SpanStore, query: LatencyQuery) -> Latencies:
    """Latencies of each group with a span that fits.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    rows, exact = await fetch_by_reach(store, lambda exact: latencies_statement(store, query, exact=exact))
    return Latencies([_group(row, exact=exact) for row in rows], rows[0]["Groups"] if rows else 0, exact)


def _group(row: Mapping[str, Any], *, exact: bool) -> GroupLatencies:
    minimum, maximum = row["Minimum"], row["Maximum"]
    if exact:
        percentiles = tuple(interpolate(low, high, share) for low, high, share in row["Neighbours"])
    else:
        # What a sketch says may lie beyond both by its error.
        percentiles = tuple(min(max(value, minimum), maximum) for value in row["Percentiles"])
    return GroupLatencies(
        tuple(row["Texts"]), row["Spans"], row["Count"], row["Errors"], minimum, maximum, row["Total"], percentiles
    )
