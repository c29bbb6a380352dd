"""Sketches of many groups at once, to be added up and read in columns (`collector.sketch` says what a sketch is)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.sketch import estimates, last_bucket_within, totals

_GROUPS_AT_ONCE: Final = 1_024
"""So many have a row of all buckets at a time, which bounds the memory that this takes: 16 MB, and usually a tenth."""


@dataclass(frozen=True, slots=True)
class GroupedSketches:
    """What the buckets of several groups count, in any order. What is told of a bucket in several places is to be added up.

    Attributes:
        count: how many groups there are.
        groups: whose bucket is told of, from 0 to `count` - 1, int64, shape (places,).
        buckets: which one of the group's, int64, shape (places,).
        weights: what it counts, float64, shape (places,).
    """

    count: int
    groups: NDArray[np.int64]
    buckets: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def none(cls) -> GroupedSketches:
        """Those of no groups."""
        return cls(0, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def joined(self, other: GroupedSketches) -> GroupedSketches:
        """What both tell of the same groups."""
        return GroupedSketches(
            self.count,
            np.concatenate([self.groups, other.groups]),
            np.concatenate([self.buckets, other.buckets]),
            np.concatenate([self.weights, other.weights]),
        )

    def chosen(self, is_chosen: NDArray[np.bool_]) -> GroupedSketches:
        """The same where the others count nothing; `is_chosen` has the shape (count,)."""
        places = is_chosen[self.groups]
        return GroupedSketches(self.count, self.groups[places], self.buckets[places], self.weights[places])

    def regrouped(self, places: NDArray[np.int64], count: int) -> GroupedSketches:
        """The same by other groups.

        Args:
            places: which of those each group belongs to, shape (self.count,).
            count: how many those are.
        """
        return GroupedSketches(count, places[self.groups], self.buckets, self.weights)

    def within(self, limit: int) -> NDArray[np.float64]:
        """What each group counts of values up to `limit`, a whole number, as `last_bucket_within` has it; shape (count,)."""
        chosen = self.buckets <= last_bucket_within(limit)
        return totals(self.groups[chosen], self.weights[chosen], self.count)

    def quantiles(self, qs: Sequence[float]) -> NDArray[np.float64]:
        """For each group the values at or below which these parts of all that it counts lie, shape (count, len(qs)).

        Args:
            qs: above 0, up to 1. Of a group that counts nothing the values mean nothing.
        """
        found = np.zeros((self.count, len(qs)))
        if not len(self.buckets):
            return found
        first = int(self.buckets.min())
        width = int(self.buckets.max()) - first + 1
        values = estimates(np.arange(first, first + width))
        for start in range(0, self.count, _GROUPS_AT_ONCE):
            end = min(start + _GROUPS_AT_ONCE, self.count)
            inside = slice(None) if self.count <= _GROUPS_AT_ONCE else (self.groups >= start) & (self.groups < end)
            cells = (self.groups[inside] - start) * width + self.buckets[inside] - first
            weights = np.bincount(cells, self.weights[inside], (end - start) * width)
            # Of all buckets that there are a group counts few: those are added up, each group's in a row.
            counted = np.flatnonzero(weights)
            if not len(counted):
                continue
            rows = counted // width
            sizes = np.bincount(rows, minlength=end - start)
            begins = np.cumsum(sizes) - sizes
            reached = np.zeros((end - start, sizes.max()))
            reached[rows, np.arange(len(counted)) - begins[rows]] = weights[counted]
            np.cumsum(reached, axis=1, out=reached)
            for place, q in enumerate(qs):
                nth = begins + np.argmax(reached >= q * reached[:, -1:], axis=1)
                found[start:end, place] = values[counted[np.minimum(nth, len(counted) - 1)] % width]
        return found

    def each(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """The buckets and weights of one group after the other."""
        order = np.argsort(self.groups, kind="stable")
        bounds = np.searchsorted(self.groups[order], np.arange(self.count + 1)).tolist()
        for start, end in pairwise(bounds):
            yield self.buckets[order[start:end]], self.weights[order[start:end]]
