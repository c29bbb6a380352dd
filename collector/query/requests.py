"""What is known of requests, or other spans, from the tables of `red_metrics`: how many, how many failed, and how long they took.

Counts are of the spans that each stored span stands for, so they need not be whole numbers. Percentiles, and the durations up to
which Apdex counts, are off by `collector.sketch.RELATIVE_ERROR` at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from collector import sketch
from collector.query.percentiles import PERCENTILES
from collector.query.store import ERROR, STATUS_CODES

ENTRY_KINDS: Final = ("Server", "Consumer")
"""Kinds of the spans with which work enters a service: its requests."""

SOURCE_COLUMNS: Final = (
    f"StatusCode = '{STATUS_CODES[ERROR]}' AS Failed",
    "rollup.Spans AS Spans",
    "rollup.DurationSum AS DurationSum",
    "rollup.DurationMin AS DurationMin",
    "rollup.DurationMax AS DurationMax",
    "rollup.DurationSketch AS DurationSketch",
)
"""What `measured` reads of a table, besides the keys by which it groups."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What is known of some requests; there is at least one.

    Attributes:
        count, failed: how many, and how many of them with the status Error.
        duration: of all of them together, in nanoseconds, as are those below.
        percentiles: of PERCENTILES.
        satisfied, tolerated: without failure, how many took no longer than the threshold of Apdex, and than four times that.
    """

    count: float
    failed: float
    duration: float
    minimum: int
    maximum: int
    percentiles: tuple[float, ...]
    satisfied: float
    tolerated: float

    @property
    def mean(self) -> float:
        return self.duration / self.count

    @property
    def error_rate(self) -> float:
        return self.failed / self.count

    @property
    def apdex(self) -> float:
        """From 0 to 1. Source: Apdex Technical Specification 1.1; who has failed is frustrated, however fast it was."""
        return (self.satisfied + (self.tolerated - self.satisfied) / 2) / self.count


def measured(source: str, keys: Sequence[str], sets: Sequence[Sequence[str]], *, with_sketch: bool = False) -> str:
    """A SELECT of what `requests_of` reads, for each group of each of the sets.

    Args:
        source: a SELECT of the keys and SOURCE_COLUMNS.
        keys: names of columns.
        sets: those of the keys by which groups are made; the others have their default in the rows of such groups, and `Level`
            is the place of the set.
        with_sketch: whether the distribution itself is returned, as `Buckets` and `Weights`.

    The parameters `satisfied` and `tolerated` are those of `apdex_parameters`.
    """
    by, grouping_sets = ", ".join(keys), ", ".join(f"({', '.join(each)})" for each in sets)
    # Each set leaves out other keys than those before it.
    level = " ".join(
        f"WHEN {sum(1 << len(keys) - 1 - place for place, key in enumerate(keys) if key not in each)} THEN {number}"
        for number, each in enumerate(sets)
    )
    quantiles = ", ".join(sketch.quantile_expression("Sketch", str(percent / 100)) for percent in PERCENTILES)
    returned = "mapKeys(Sketch) AS Buckets, mapValues(Sketch) AS Weights," if with_sketch else ""
    # Spans that failed are told apart until all rows are added up, which is the most of the work.
    within = (
        "sumIf(arraySum((bucket, weight) -> if(bucket <= {{{limit}:Int16}}, weight, 0),"
        " mapKeys(added.Sketch), mapValues(added.Sketch)), NOT Failed)"
    )
    return f"""
        SELECT {by}, Level, Count, FailedCount, Duration, Shortest, Longest, {returned}
            [{quantiles}] AS Percentiles, Satisfied, Tolerated
        FROM
        (
            SELECT {by}, CASE grouping({by}) {level} END AS Level,
                sum(Spans) AS Count, sumIf(Spans, Failed) AS FailedCount, sum(Durations) AS Duration,
                min(Least) AS Shortest, max(Most) AS Longest, {sketch.MERGE}(added.Sketch) AS Sketch,
                {within.format(limit="satisfied")} AS Satisfied, {within.format(limit="tolerated")} AS Tolerated
            FROM
            (
                SELECT {by}, Failed, sum(read.Spans) AS Spans, sum(read.DurationSum) AS Durations,
                    min(read.DurationMin) AS Least, max(read.DurationMax) AS Most,
                    {sketch.MERGE}(read.DurationSketch) AS Sketch
                FROM ({source}) AS read
                GROUP BY {by}, Failed
            ) AS added
            GROUP BY GROUPING SETS ({grouping_sets})
        )"""  # noqa: S608 - all of it is the program's own


def apdex_parameters(threshold: int) -> dict[str, object]:
    """Parameters of `measured` for a threshold in nanoseconds."""
    return {"satisfied": sketch.last_bucket_within(threshold), "tolerated": sketch.last_bucket_within(4 * threshold)}


def requests_of(row: Mapping[str, Any]) -> Requests:
    """A row of `measured`."""
    shortest, longest = row["Shortest"], row["Longest"]
    # What a sketch says may lie beyond both by its error.
    percentiles = tuple(min(max(value, shortest), longest) for value in row["Percentiles"])
    return Requests(
        row["Count"], row["FailedCount"], row["Duration"], shortest, longest, percentiles, row["Satisfied"], row["Tolerated"]
    )
