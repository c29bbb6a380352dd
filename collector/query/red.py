"""Rate, errors and durations over time, from the tables that the processor `red_metrics` fills.

Counts are of the spans that each stored span stands for, so they need not be whole numbers. Percentiles are read from sketches
and are off by `collector.sketch.RELATIVE_ERROR` at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from collector.query.percentiles import PERCENTILES
from collector.query.red_spans import RedSpans
from collector.query.rollups import MINUTE, RED, SECOND, in_range, of_step
from collector.query.store import ERROR, STATUS_CODES, SpanStore, Statement
from collector.sketch import MERGE, quantile_expression
from exporters.clickhouse.schema import table_name

STEPS: Final = tuple(minutes * MINUTE for minutes in (1, 5, 15, 60, 6 * 60, 24 * 60))
"""Steps from which one is chosen where none is asked for, nanoseconds."""
USUAL_POINTS: Final = 120
"""The shortest step is chosen with which there are no more points."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is known of some spans.

    Attributes:
        spans, errors: how many, and how many of them with the status Error.
        mean: of the durations, in nanoseconds, as are those below.
        percentiles: for each of those that were asked for.
    """

    spans: float
    errors: float
    minimum: int
    maximum: int
    mean: float
    percentiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """The spans of a service, or of an operation.

    Attributes:
        name: of the service or operation.
        total: over the whole time range.
        points: start of a step, nanoseconds since 1970 → what is known of it; steps without spans are left out.
    """

    name: str
    total: Measures
    points: dict[int, Measures] = field(default_factory=dict)


def usual_step(start: int, end: int) -> int:
    """The step for a time range where none is asked for, nanoseconds."""
    return next((step for step in STEPS if (end - start) / step <= USUAL_POINTS), STEPS[-1])


def whole_steps(start: int, end: int, step: int) -> tuple[int, int]:
    """The time range of the whole steps that [start, end) touches, nanoseconds; steps are counted from 1970."""
    return start // step * step, -(-end // step) * step


@dataclass(frozen=True, slots=True)
class RedQuery:
    """What is asked: some spans that start in [start, end).

    Attributes:
        spans: which; each of the names that tell them apart has a series.
        start, end: nanoseconds, whole steps both (`whole_steps`).
        step: whole minutes, in nanoseconds; whole quarters of an hour and whole hours are read from smaller tables.
        limit: the most series.
        percentiles: which are asked for.
    """

    spans: RedSpans
    start: int
    end: int
    step: int
    limit: int = 20
    percentiles: tuple[float, ...] = PERCENTILES


def red_statement(store: SpanStore, query: RedQuery) -> Statement:
    """One row for each series and step, and one for each series in all, whose Step is null; series in order of their names."""
    rollup = of_step(RED, query.step)
    time, table = rollup.time, table_name(rollup.template, store.spans_table)
    name = query.spans.name
    condition, parameters = query.spans.condition
    parameters |= {"step": query.step // SECOND, "limit": query.limit}
    where = f"{in_range(time, query.start, query.end)} AND {condition}"
    quantiles = ", ".join(quantile_expression("Sketch", str(percent / 100)) for percent in query.percentiles)
    return Statement(
        f"""
        SELECT Name, if(IsTotal = 1, NULL, Step) AS Step, Spans, Errors, Total, Minimum, Maximum, [{quantiles}] AS Percentiles
        FROM
        (
            SELECT {name} AS Name, intDiv(toUInt32({time}), {{step:UInt32}}) * {{step:UInt32}} AS Step, grouping(Step) AS IsTotal,
                sum(red.Spans) AS Spans, sumIf(red.Spans, StatusCode = '{STATUS_CODES[ERROR]}') AS Errors,
                sum(DurationSum) AS Total, min(DurationMin) AS Minimum, max(DurationMax) AS Maximum,
                {MERGE}(DurationSketch) AS Sketch
            FROM {table} AS red
            WHERE {where} AND {name} IN
                (SELECT DISTINCT {name} FROM {table} WHERE {where} ORDER BY {name} LIMIT {{limit:UInt64}})
            GROUP BY GROUPING SETS ((Name, Step), (Name))
        )
        ORDER BY Name, IsTotal DESC, Step""",  # noqa: S608 - names are checked, values are bound
        parameters,
    )


async def find_red(store: SpanStore, query: RedQuery) -> list[Series]:
    """Rate, errors and durations of each series with spans, in order of names.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    found: list[Series] = []
    for row in (await store.fetch(red_statement(store, query))).rows():
        if row["Step"] is None:
            found.append(Series(row["Name"], _measures(row)))
        else:
            found[-1].points[row["Step"] * SECOND] = _measures(row)
    return found


def _measures(row: Mapping[str, Any]) -> Measures:
    minimum, maximum = row["Minimum"], row["Maximum"]
    # What a sketch says may lie beyond both by its error.
    percentiles = tuple(min(max(value, minimum), maximum) for value in row["Percentiles"])
    return Measures(row["Spans"], row["Errors"], minimum, maximum, row["Total"] / row["Spans"], percentiles)
