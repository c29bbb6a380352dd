"""What was measured of spans: one statement for many rules, from the tables of rates or from the spans themselves.

Rules that tell spans apart by the same columns share a statement for each time range, whatever services and operations they are
about and whatever they make of the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from collector.monitor.alerts.measured import MINUTE, Measured
from collector.monitor.alerts.rules import COLUMNS
from collector.query.predicates import Attribute, Predicate
from collector.query.rollups import QUARTER_HOUR, SECOND
from collector.query.store import DURATION, ERROR, IDENTITY, STATUS_CODES, Limits, SpanStore, Statement, time_range
from collector.query.wording import Wording
from collector.sketch import BUCKETS_PER_DOUBLING, MERGE, ZERO_BUCKET, buckets_of, quantile_expression
from exporters.clickhouse.schema import table_name

MOST_GROUPS: Final = 100_000
"""So many services, operations or whatever else are measured apart; more is an error, since all of them may be missed."""
MOST_SPANS: Final = 20_000_000
"""So many spans are read at most, where spans are read; more is an error."""

_MINUTES_ARE_BEST: Final = 2 * 60 * MINUTE
"""Longer time ranges are read from the table of quarters of an hour, but for what sticks out of those."""
_LONGEST_LIST: Final = 8192
"""Of names, in characters: parameters travel in the URL."""
_STORED: Final[Mapping[str, str]] = dict(zip(COLUMNS, ("ServiceName", "SpanName", "SpanKind"), strict=True))


class TooManyGroups(Exception):
    """Spans are too different to be told apart by some columns."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__(f"spans differ by {', '.join(columns)} in more than {MOST_GROUPS:,} ways; name a service, or less in by")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured.

    Attributes:
        workspace: whose spans.
        start, end: nanoseconds since 1970, whole minutes; of the starts of spans.
        columns: what they are told apart by, of COLUMNS or keys of attributes.
        quantiles: from 0 to 1, of their durations.
        slower: spans that took longer than each of these are counted, nanoseconds.
        services: of which services; empty for all.
        where: what the spans themselves must be like; None where the tables of rates do.
    """

    workspace: str
    start: int
    end: int
    columns: tuple[str, ...]
    quantiles: tuple[float, ...] = ()
    slower: tuple[int, ...] = ()
    services: tuple[str, ...] = ()
    where: Predicate | None = None


def measuring_statement(store: SpanStore, question: Question) -> Statement:
    """One row for each group of spans: `Labels`, `Spans`, `Errors`, `Total`, `Quantiles` and `Slower`."""
    parameters: dict[str, object] = {"workspace": question.workspace}
    services = ""
    if question.services and sum(map(len, question.services)) <= _LONGEST_LIST:
        services = " AND ServiceName IN {services:Array(String)}"
        parameters["services"] = list(question.services)
    rows = (
        _rates(store, question, services, parameters) if question.where is None else _spans(store, question, services, parameters)
    )
    labels = [f"Label{number}" for number, _ in enumerate(question.columns)]
    quantiles = ", ".join(quantile_expression("Sketch", repr(quantile)) for quantile in question.quantiles)
    slower = ", ".join(_slower("Sketch", duration) for duration in question.slower)
    # A sketch is merged only where something is read from it.
    sketch = f", {MERGE}(DurationSketch) AS Sketch" if quantiles or slower else ""
    return Statement(
        f"""
        SELECT [{", ".join(f"toString({label})" for label in labels)}]::Array(String) AS Labels, Sum AS Spans, Errors, Total,
            [{quantiles}]::Array(Nullable(Float64)) AS Quantiles, [{slower}]::Array(Float64) AS Slower
        FROM
        (
            SELECT {"".join(f"{label}, " for label in labels)}sum(Spans) AS Sum,
                sumIf(Spans, StatusCode = '{STATUS_CODES[ERROR]}') AS Errors, sum(DurationSum) AS Total{sketch}
            FROM ({rows})
            {f"GROUP BY {', '.join(labels)}" if labels else ""}
            HAVING Sum > 0
            LIMIT {MOST_GROUPS + 1}
        )""",  # noqa: S608 - names are checked, values are bound
        parameters,
    )


async def measure(store: SpanStore, question: Question) -> dict[tuple[str, ...], Measured]:
    """What was measured of each group of spans that there are, by its labels in the order of the columns.

    Raises:
        TooManyGroups: there are more than MOST_GROUPS.
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    statement = measuring_statement(store, question)
    bounded = store if question.where is None else replace(store, limits=Limits(rows=MOST_SPANS))
    rows: list[Any] = list((await bounded.fetch(statement)).rows())
    if len(rows) > MOST_GROUPS:
        raise TooManyGroups(question.columns)
    return {
        tuple(row["Labels"]): Measured(
            row["Spans"],
            row["Errors"],
            row["Total"],
            dict(zip(question.quantiles, row["Quantiles"], strict=True)),
            dict(zip(question.slower, row["Slower"], strict=True)),
        )
        for row in rows
    }


def _rates(store: SpanStore, question: Question, services: str, parameters: dict[str, object]) -> str:
    """SQL for the rows of rates of a time range, from as few rows as can be."""
    start, end = question.start, question.end
    parts = [("otel_red_minute", "Minute", start, end)]
    if end - start > _MINUTES_ARE_BEST:
        first, last = -(-start // QUARTER_HOUR) * QUARTER_HOUR, end // QUARTER_HOUR * QUARTER_HOUR
        edges = ((start, first), (last, end))
        parts = [("otel_red_quarter_hour", "QuarterHour", first, last)]
        parts += [("otel_red_minute", "Minute", *edge) for edge in edges if edge[0] < edge[1]]
    labels = "".join(f"{_STORED[name]} AS Label{number}, " for number, name in enumerate(question.columns))
    selects = []
    for number, (template, column, since, until) in enumerate(parts):
        parameters |= {f"start{number}": max(since, 0) // SECOND, f"end{number}": max(until, 0) // SECOND}
        selects.append(
            f"SELECT {labels}Spans, StatusCode, DurationSum, DurationSketch FROM {table_name(template, store.spans_table)}"  # noqa: S608 - as above
            f" WHERE Workspace = {{workspace:String}} AND {column} >= toDateTime({{start{number}:UInt32}}, 'UTC')"
            f" AND {column} < toDateTime({{end{number}:UInt32}}, 'UTC'){services}"
        )
    return " UNION ALL ".join(selects)


def _spans(store: SpanStore, question: Question, services: str, parameters: dict[str, object]) -> str:
    """SQL for the spans of a time range, each as a row of rates."""
    assert question.where is not None  # noqa: S101 - see measuring_statement
    condition, times = time_range(question.start, question.end)
    parameters |= times
    wording = Wording(store.spans_table, parameters)
    fits = wording.condition(question.where)
    texts = [_STORED.get(name) or wording.text(Attribute("span or resource", name)) for name in question.columns]
    labels = "".join(f"{text} AS Label{number}, " for number, text in enumerate(texts))
    bucket = f"if({DURATION} = 0, {ZERO_BUCKET}, toInt16(ceil(log2({DURATION}) * {BUCKETS_PER_DOUBLING})))"
    # A span that was sent twice is one.
    return (
        f"SELECT {labels}AdjustedCount AS Spans, StatusCode, AdjustedCount * {DURATION} AS DurationSum,"  # noqa: S608 - as above
        f" map({bucket}, AdjustedCount) AS DurationSketch FROM {store.spans_table}"
        f" WHERE Workspace = {{workspace:String}} AND {condition}{services} AND {fits} LIMIT 1 BY TraceId, {IDENTITY}"
    )


def _slower(sketch: str, duration: int) -> str:
    """SQL for how many of the spans that a sketch counts took longer, but for those within its error."""
    bucket = int(buckets_of(np.array([duration], np.uint64))[0])
    return f"arraySum(arrayFilter((weight, bucket) -> bucket > {bucket}, mapValues({sketch}), mapKeys({sketch})))"
