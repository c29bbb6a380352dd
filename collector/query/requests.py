"""What is known of requests, or other spans, from the tables of `red_metrics`: how many, how many failed, and how long they took.

Counts are of the spans that each stored span stands for, so they need not be whole numbers. Percentiles, and the durations up to
which Apdex counts, are off by `collector.sketch.RELATIVE_ERROR` at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.grouped_sketches import GroupedSketches
from collector.query.native_values import array_of, sketches_of
from collector.query.percentiles import PERCENTILES
from collector.query.store import ERROR, STATUS_CODES
from collector.sketch import MERGE, totals
from proto.native_decode import Column

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
"""What `added_up` reads of a table, besides the keys by which it groups."""


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


def added_up(source: str, keys: Sequence[str]) -> str:
    """A SELECT of the keys, and of what RequestGroups are made of, for each group of rows in which they are the same.

    Nothing is worked out of sketches here: each further expression takes longer to plan than arrays take to do the same.

    Args:
        source: a SELECT of the keys and SOURCE_COLUMNS.
        keys: names of columns.
    """
    by = ", ".join(keys)
    return f"""
        SELECT {by}, sum(rows.Spans) AS Count, sumIf(rows.Spans, Failed) AS FailedCount, sum(rows.DurationSum) AS Duration,
            min(rows.DurationMin) AS Shortest, max(rows.DurationMax) AS Longest,
            {MERGE}If(rows.DurationSketch, NOT Failed) AS Succeeded, {MERGE}If(rows.DurationSketch, Failed) AS NotSucceeded
        FROM ({source}) AS rows
        GROUP BY {by}"""  # noqa: S608 - all of it is the program's own


@dataclass(frozen=True, slots=True)
class RequestGroups:
    """Groups of requests, of which each has some.

    Attributes:
        counts, failed, durations: as of `Requests`, float64, shape (groups,).
        shortest, longest: likewise, uint64, shape (groups,).
        succeeded, not_succeeded: how long those without failure took, and the others.
    """

    counts: NDArray[np.float64]
    failed: NDArray[np.float64]
    durations: NDArray[np.float64]
    shortest: NDArray[np.uint64]
    longest: NDArray[np.uint64]
    succeeded: GroupedSketches
    not_succeeded: GroupedSketches

    @classmethod
    def of(cls, columns: Mapping[str, Column]) -> RequestGroups:
        """Those of an answer to `added_up`; none of one without rows, which has no columns either.

        Raises:
            TypeError: it is the answer to something else.
        """
        if not columns:
            none, no_times, no_sketches = np.zeros(0), np.zeros(0, np.uint64), GroupedSketches.none()
            return cls(none, none, none, no_times, no_times, no_sketches, no_sketches)
        count, failed, duration, shortest, longest = (
            array_of(columns[name]) for name in ("Count", "FailedCount", "Duration", "Shortest", "Longest")
        )
        succeeded, not_succeeded = (sketches_of(columns[name]) for name in ("Succeeded", "NotSucceeded"))
        return cls(count, failed, duration, shortest, longest, succeeded, not_succeeded)

    def regrouped(self, places: NDArray[np.int64], count: int) -> RequestGroups:
        """The same in fewer groups.

        Args:
            places: which of those each group belongs to, int64, shape (groups,).
            count: how many those are, each of which gets some.
        """
        counts, failed, durations = (totals(places, each, count) for each in (self.counts, self.failed, self.durations))
        shortest, longest = np.full(count, np.iinfo(np.uint64).max, np.uint64), np.zeros(count, np.uint64)
        np.minimum.at(shortest, places, self.shortest)
        np.maximum.at(longest, places, self.longest)
        succeeded, not_succeeded = (each.regrouped(places, count) for each in (self.succeeded, self.not_succeeded))
        return RequestGroups(counts, failed, durations, shortest, longest, succeeded, not_succeeded)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.counts)

    @property
    def sketches(self) -> GroupedSketches:
        """How long all of them took."""
        return self.succeeded.joined(self.not_succeeded)

    def requests(self, threshold: int) -> list[Requests]:
        """The requests of each group.

        Args:
            threshold: of Apdex, nanoseconds.
        """
        quantiles = self.sketches.quantiles([percent / 100 for percent in PERCENTILES])
        # What a sketch says may lie beyond both by its error.
        percentiles = np.clip(quantiles, self.shortest[:, np.newaxis], self.longest[:, np.newaxis])
        numbers = (self.counts, self.failed, self.durations, self.shortest, self.longest)
        within = (self.succeeded.within(threshold), self.succeeded.within(4 * threshold))
        return [
            Requests(count, failed, duration, shortest, longest, tuple(values), satisfied, tolerated)
            for count, failed, duration, shortest, longest, values, satisfied, tolerated in zip(
                *(column.tolist() for column in (*numbers, percentiles, *within)), strict=True
            )
        ]
