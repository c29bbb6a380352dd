"""Numbers of series over a time made one: `avg_over_time` and its like. Source: "Functions" in the manual of Prometheus 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.promql.vectors import EvaluationError, Mask, Numbers, Vector, unnamed

MOST_LOOKS: Final = 100_000_000
"""So many numbers are looked at, those of windows that overlap again and again."""

Window = Callable[[Numbers, Mask], Numbers]
"""Numbers of series at some times, and where they are there, shapes (series, times), made one for each series."""


def _last(values: Numbers, there: Mask) -> Numbers:
    newest = values.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    found: Numbers = np.take_along_axis(values, newest[:, np.newaxis], axis=1)[:, 0]
    return found


def _sum(values: Numbers, there: Mask) -> Numbers:
    found: Numbers = np.where(there, values, 0.0).sum(axis=1)
    return found


def _least(values: Numbers, there: Mask) -> Numbers:
    found: Numbers = np.fmin.reduce(np.where(there, values, np.nan), axis=1)
    return found


def _greatest(values: Numbers, there: Mask) -> Numbers:
    found: Numbers = np.fmax.reduce(np.where(there, values, np.nan), axis=1)
    return found


FUNCTIONS: Final[Mapping[str, Window]] = {
    "avg_over_time": lambda values, there: _sum(values, there) / there.sum(axis=1),
    "sum_over_time": _sum,
    "min_over_time": _least,
    "max_over_time": _greatest,
    "count_over_time": lambda _, there: there.sum(axis=1).astype(np.float64),
    "last_over_time": _last,
}
"""All but the quantile, which has a parameter."""


def quantile_of_window(quantile: float, values: Numbers, there: Mask) -> Numbers:
    """A quantile of the numbers of each series, between two of them in proportion; infinite where it is beyond 0 or 1."""
    if not 0 <= quantile <= 1:
        return np.full(len(values), np.nan if np.isnan(quantile) else np.inf if quantile > 1 else -np.inf)
    # What is not there comes last, and what is not a number first.
    ordered = np.sort(np.where(there, np.where(np.isnan(values), -np.inf, values), np.inf), axis=1)
    rank = quantile * np.maximum(there.sum(axis=1) - 1, 0)
    below = np.floor(rank).astype(np.int64)
    above = np.ceil(rank).astype(np.int64)
    low, high = (np.take_along_axis(ordered, place[:, np.newaxis], axis=1)[:, 0] for place in (below, above))
    found: Numbers = np.where(low == high, low, low + (high - low) * (rank - below))
    return found


def over_time(
    function: str, vector: Vector, times: NDArray[np.int64], ends: NDArray[np.int64], range_ns: int, quantiles: Numbers | None
) -> Vector:
    """What a function makes of the numbers of each series after `range_ns` before each end, and until then.

    Args:
        vector: the numbers at `times`.
        times, ends: nanoseconds since 1970, rising; `ends` may stand still.
        quantiles: of the quantile: which one, at each end.

    Raises:
        EvaluationError: it is too much.
    """
    first = np.searchsorted(times, ends - range_ns, "right")
    last = np.searchsorted(times, ends, "right")
    if len(vector.labels) * int((last - first).sum()) > MOST_LOOKS:
        raise EvaluationError(
            f"{function} of {len(vector.labels)} series is too much; ask for fewer, or for a longer step in [:]"
        )
    values = np.zeros((len(vector.labels), len(ends)))
    present = np.zeros(values.shape, np.bool_)
    with np.errstate(all="ignore"):
        for place, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            if start < end and len(values):
                window, there = vector.values[:, start:end], vector.present[:, start:end]
                present[:, place] = there.any(axis=1)
                if quantiles is None:
                    values[:, place] = FUNCTIONS[function](window, there)
                else:
                    values[:, place] = quantile_of_window(float(quantiles[place]), window, there)
    found = Vector(vector.labels, values, present)
    return found if function == "last_over_time" else unnamed(found)
