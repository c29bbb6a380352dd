"""What is made of the numbers of each series within a window of time: `avg_over_time` and its like.

Source: "Functions" in the manual of Prometheus 3, and its `extrapolatedRate`, `linearRegression` and `quantile`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.promql.vectors import Mask, Numbers

_CLOSE: Final = 1.1
"""A number is taken to reach to the edge of its window when that is not farther than so many distances between numbers."""


@dataclass(frozen=True)
class Window:
    """Numbers of several series at some times.

    Attributes:
        values: shape (series, times); of no meaning where they are not there.
        there: where they are, shape (series, times).
        times_s: seconds after the end of the window, shape (times,).
        range_s: the length of the window.
        now_s: the step for which it is looked at, seconds after the end of the window.
    """

    values: Numbers
    there: Mask
    times_s: Numbers
    range_s: float
    now_s: float

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """Numbers of each series."""
        found: NDArray[np.int64] = self.there.sum(axis=1)
        return found

    @cached_property
    def sum(self) -> Numbers:
        """Of the numbers of each series."""
        return _summed(self.values, self.there)

    @cached_property
    def _latest(self) -> NDArray[np.int64]:
        """The place of the latest number until each time; -1 before the first."""
        return np.maximum.accumulate(np.where(self.there, np.arange(self.there.shape[1]), -1), axis=1)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The places of the first and the last number of each series, shape (2, series)."""
        return np.stack([np.argmax(self.there, axis=1), self._latest[:, -1]])

    @cached_property
    def before(self) -> tuple[Numbers, Mask]:
        """The number before each, and where there are both."""
        places = np.concatenate([np.full((len(self.there), 1), -1), self._latest[:, :-1]], axis=1)
        values = np.take_along_axis(self.values, np.maximum(places, 0), axis=1)
        return values, self.there & (places >= 0)

    def at(self, places: NDArray[np.int64]) -> Numbers:
        """The number of each series at a place."""
        found: Numbers = np.take_along_axis(self.values, np.maximum(places, 0)[:, np.newaxis], axis=1)[:, 0]
        return found

    def last_two(self) -> tuple[Numbers, Numbers, Numbers]:
        """The last number but one of each series, the last one, and the seconds between them."""
        last = self.ends[1]
        before = np.where(last > 0, np.take_along_axis(self._latest, np.maximum(last - 1, 0)[:, np.newaxis], axis=1)[:, 0], 0)
        return self.at(before), self.at(last), self.times_s[last] - self.times_s[before]


def _summed(values: Numbers, there: Mask) -> Numbers:
    found: Numbers = np.where(there, values, 0.0).sum(axis=1)
    return found


def _least(window: Window) -> Numbers:
    found: Numbers = np.fmin.reduce(np.where(window.there, window.values, np.nan), axis=1)
    return found


def _greatest(window: Window) -> Numbers:
    found: Numbers = np.fmax.reduce(np.where(window.there, window.values, np.nan), axis=1)
    return found


def _variance(window: Window) -> Numbers:
    mean = window.sum / window.count
    return _summed((window.values - mean[:, np.newaxis]) ** 2, window.there) / window.count


def _changes(window: Window) -> Numbers:
    before, both = window.before
    is_other = (window.values != before) & ~(np.isnan(window.values) & np.isnan(before))
    found: Numbers = (both & is_other).sum(axis=1).astype(np.float64)
    return found


def _resets(window: Window) -> Numbers:
    before, both = window.before
    found: Numbers = (both & (window.values < before)).sum(axis=1).astype(np.float64)
    return found


def _last_difference(window: Window) -> Numbers:
    before, last, _ = window.last_two()
    return last - before


def last_rate(window: Window) -> Numbers:
    """By how much a counter grew in a second, from the last number but one to the last."""
    before, last, seconds = window.last_two()
    return np.where(last < before, last, last - before) / seconds


def grown(window: Window, *, is_counter: bool) -> Numbers:
    """By how much numbers grew over the whole window, as far as they seem to reach; a counter may have begun anew in it."""
    first, last = window.ends
    growth = window.at(last) - window.at(first)
    if is_counter:
        before, both = window.before
        growth = growth + _summed(before, both & (window.values < before))
    sampled = window.times_s[last] - window.times_s[first]
    apart = sampled / (window.count - 1)
    to_start, to_end = window.times_s[first] + window.range_s, -window.times_s[last]
    to_start = np.where(to_start >= _CLOSE * apart, apart / 2, to_start)
    to_end = np.where(to_end >= _CLOSE * apart, apart / 2, to_end)
    if is_counter:
        # Before that, the counter would have been below nothing.
        to_zero = np.where((growth > 0) & (window.at(first) >= 0), sampled * (window.at(first) / growth), to_start)
        to_start = np.minimum(to_start, to_zero)
    found: Numbers = growth * ((sampled + to_start + to_end) / sampled)
    return found


def _line(window: Window, zero_s: Numbers | float) -> tuple[Numbers, Numbers]:
    """The straight line that fits best: how steep it is by the second, and its number at a time of each series."""
    times = np.broadcast_to(window.times_s - np.reshape(zero_s, (-1, 1)), window.values.shape)
    there, count = window.there, window.count
    sum_x, sum_y = _summed(times, there), window.sum
    covariance = _summed(times * window.values, there) - sum_x * sum_y / count
    slope = covariance / (_summed(times * times, there) - sum_x * sum_x / count)
    level = window.at(window.ends[0])
    is_level = ~(there & (window.values != level[:, np.newaxis])).any(axis=1)
    # A level that is infinite is no line.
    return (
        np.where(is_level, np.where(np.isinf(level), np.nan, 0.0), slope),
        np.where(is_level, np.where(np.isinf(level), np.nan, level), sum_y / count - slope * sum_x / count),
    )


def _slope(window: Window) -> Numbers:
    # Near the numbers: far from them, much of what counts is lost.
    return _line(window, window.times_s[window.ends[0]])[0]


def predicted(window: Window, seconds: float) -> Numbers:
    """Where the straight line that fits best leads to, so many seconds after the step."""
    slope, now = _line(window, window.now_s)
    return slope * seconds + now


def quantile(quantile: float | Numbers, values: Numbers, there: Mask) -> Numbers:
    """A quantile of the numbers of each row, between two of them in proportion; infinite where it is beyond 0 or 1.

    Args:
        quantile: one for all rows, or of each; NaN for none.
        values, there: shape (rows, numbers); what is not a number counts least.
    """
    quantile = np.broadcast_to(np.asarray(quantile, np.float64), len(values))
    # What is not there comes last.
    order = np.lexsort((values, ~np.isnan(values), ~there), axis=1)
    most = np.maximum(there.sum(axis=1) - 1, 0)
    rank = np.clip(np.nan_to_num(quantile), 0, 1) * most
    below = np.floor(rank).astype(np.int64)
    low, high = (
        np.take_along_axis(values, np.take_along_axis(order, place[:, np.newaxis], axis=1), axis=1)[:, 0]
        for place in (below, np.minimum(below + 1, most))
    )
    with np.errstate(all="ignore"):
        found = low * (1 - (rank - below)) + high * (rank - below)
    found = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, found))
    return np.where(np.isnan(quantile), np.nan, found)


WINDOWS: Final[Mapping[str, Callable[[Window], Numbers]]] = {
    "avg_over_time": lambda window: window.sum / window.count,
    "sum_over_time": lambda window: window.sum,
    "min_over_time": _least,
    "max_over_time": _greatest,
    "count_over_time": lambda window: window.count.astype(np.float64),
    "last_over_time": lambda window: window.at(window.ends[1]),
    "present_over_time": lambda window: np.ones(len(window.values)),
    "stddev_over_time": lambda window: np.sqrt(_variance(window)),
    "stdvar_over_time": _variance,
    "changes": _changes,
    "resets": _resets,
    "idelta": _last_difference,
    "delta": lambda window: grown(window, is_counter=False),
    "deriv": _slope,
}
"""Name → what it makes of a window. Those that take a number besides, and those of counters, are no part of it."""
