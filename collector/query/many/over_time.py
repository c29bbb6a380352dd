"""Spans over time: how many there are in each step, in groups, and how their durations are distributed, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from collector.query.conditions import TraceSearch
from collector.query.grouping import Key
from collector.query.many.reach import FAILED, fetch_by_reach, group_columns, spans_statement
from collector.query.store import DURATION, MAX_DURATION, SpanStore, Statement

_SECOND: Final = 10**9
_MINUTE: Final = 60 * _SECOND
STEPS: Final = (
    *(milliseconds * 10**6 for milliseconds in (1, 10, 100)),
    *(seconds * _SECOND for seconds in (1, 5, 15)),
    *(minutes * _MINUTE for minutes in (1, 5, 15, 60, 3 * 60, 12 * 60, 24 * 60)),
)
"""Lengths of time, in nanoseconds, of which one is chosen where none is asked for."""

_STEP: Final = "intDiv(toUnixTimestamp64Nano(Timestamp), {step:Int64}) AS Step"


@dataclass(frozen=True, slots=True)
class Point:
    """The spans that start in one step; `count` and `errors` are of those that they stand for, where that was asked for."""

    start: int
    spans: int
    count: float
    errors: float


@dataclass(frozen=True, slots=True)
class Cell:
    """The spans that start in one step and last from `minimum` to `maximum` nanoseconds, both included."""

    start: int
    minimum: int
    maximum: int
    spans: int
    count: float
    errors: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Spans of one group over time.

    Attributes:
        texts: of the keys.
        points: those with spans, in their order; `start` is that of the step, nanoseconds.
    """

    texts: tuple[str, ...]
    count: float
    errors: float
    points: list[Point]


def usual_step(start: int, end: int, most: int) -> int:
    """The shortest of STEPS with which a time range, nanoseconds, has no more points; beyond a day, whole days."""
    days = -(-(end - start) // (most * STEPS[-1]))
    return next((step for step in STEPS if (end - start) <= most * step), days * STEPS[-1])


@cache
def duration_bounds(per_doubling: int) -> tuple[int, ...]:
    """Where the buckets of durations begin: at 0, at 1, and then so that each `per_doubling`-th is twice as long.

    They are whole nanoseconds, so that who searches from a bucket's first to its last one finds just its spans; buckets of the
    shortest durations in which no whole number lies are left out.
    """
    bounds = [0]
    exponent = 0
    while True:
        # The least whole number whose power is not below that of two, without rounding.
        bound = round(2 ** (exponent / per_doubling))
        while bound**per_doubling < 2**exponent:
            bound += 1
        while (bound - 1) ** per_doubling >= 2**exponent:
            bound -= 1
        if bound > MAX_DURATION:
            return tuple(bounds)
        if bound > bounds[-1]:
            bounds.append(bound)
        exponent += 1


def throughput_statement(
    store: SpanStore, search: TraceSearch, by: Sequence[Key], step: int, *, weighted: bool, each_once: bool, limit: int
) -> Statement:
    """One row for each group, those with the most spans first: `Texts`, `Total`, `Failures`, `Points`, and of all
    groups `Groups`, their number, and `AllSpans`."""
    spans = spans_statement(store, search, [_STEP, f"{FAILED} AS Failed"], by=by, weighted=weighted, each_once=each_once)
    keys, texts = group_columns(by)
    return Statement(
        f"""
        SELECT {texts} AS Texts, sum(Count) AS Total, sum(Errors) AS Failures,
            arraySort(groupArray((Step, Spans, Count, Errors))) AS Points,
            count() OVER () AS Groups, sum(sum(Spans)) OVER () AS AllSpans
        FROM
        (
            SELECT {keys}, Step, count() AS Spans, sum(Weight) AS Count, sumIf(Weight, Failed) AS Errors
            FROM ({spans.sql}) GROUP BY {keys}, Step
        )
        GROUP BY {keys} ORDER BY Total DESC, Texts LIMIT {{limit:UInt64}}""",  # noqa: S608 - names are checked, values are bound
        {**spans.parameters, "step": step, "limit": limit},
    )


async def find_throughput(
    store: SpanStore, search: TraceSearch, by: Sequence[Key], step: int, *, weighted: bool, limit: int
) -> tuple[list[Throughput], int, bool]:
    """Spans of each group over time, in steps of so many nanoseconds that are counted from 1970.

    Args:
        limit: of more groups, those with the most spans.

    Returns:
        The groups; how many there are in all; and whether a span that its client sent twice counts once.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    rows, each_once = await fetch_by_reach(
        store,
        lambda each_once: throughput_statement(store, search, by, step, weighted=weighted, each_once=each_once, limit=limit),
    )
    found = [
        Throughput(
            tuple(row["Texts"]), row["Total"], row["Failures"], [Point(place * step, *rest) for place, *rest in row["Points"]]
        )
        for row in rows
    ]
    return found, rows[0]["Groups"] if rows else 0, each_once


def heat_map_statement(
    store: SpanStore, search: TraceSearch, step: int, bounds: Sequence[int], *, weighted: bool, each_once: bool
) -> Statement:
    """One row for each cell with spans: `Step`, `Bound`, `Spans`, `Count`, `Errors`, and `AllSpans` of all cells."""
    columns = [_STEP, f"roundDown({DURATION}, {{bounds:Array(UInt64)}}) AS Bound", f"{FAILED} AS Failed"]
    spans = spans_statement(store, search, columns, weighted=weighted, each_once=each_once)
    return Statement(
        f"""
        SELECT Step, Bound, count() AS Spans, sum(Weight) AS Count, sumIf(Weight, Failed) AS Errors,
            sum(Spans) OVER () AS AllSpans
        FROM ({spans.sql}) GROUP BY Step, Bound ORDER BY Step, Bound""",  # noqa: S608 - names are checked, values are bound
        {**spans.parameters, "step": step, "bounds": list(bounds)},
    )


async def find_heat_map(
    store: SpanStore, search: TraceSearch, step: int, bounds: Sequence[int], *, weighted: bool
) -> tuple[list[Cell], bool]:
    """The cells with spans, by time and duration.

    Args:
        step: nanoseconds, counted from 1970.
        bounds: where buckets of durations begin (`duration_bounds`).

    Returns:
        The cells; and whether a span that its client sent twice counts once.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    rows, each_once = await fetch_by_reach(
        store,
        lambda each_once: heat_map_statement(store, search, step, bounds, weighted=weighted, each_once=each_once),
    )
    last_of = {bound: after - 1 for bound, after in pairwise((*bounds, MAX_DURATION + 1))}
    cells = [
        Cell(row["Step"] * step, row["Bound"], last_of[row["Bound"]], row["Spans"], row["Count"], row["Errors"]) for row in rows
    ]
    return cells, each_once
