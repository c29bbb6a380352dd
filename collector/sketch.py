"""Sketches of how durations are distributed, from which quantiles are read with a known relative error.

A sketch counts values in buckets whose bounds grow by the same factor; sketches are merged by adding their counts, in any order.
Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019. The
factor is 2^(1/32), as in OpenTelemetry's exponential histograms of scale 5; a quantile is off by RELATIVE_ERROR at most.

In tables a sketch is a `Map(Int16, Float64)` from bucket to count. Bucket k is for values above 2^((k-1)/32) up to 2^(k/32), and
ZERO_BUCKET for 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BUCKETS_PER_DOUBLING: Final = 32
ZERO_BUCKET: Final = -1
TYPE: Final = "Map(Int16, Float64)"
"""The type of sketches in tables."""
MERGE: Final = "sumMap"
"""The aggregate function that merges them."""

_FACTOR: Final = 2 ** (1 / BUCKETS_PER_DOUBLING)
RELATIVE_ERROR: Final = (_FACTOR - 1) / (_FACTOR + 1)
"""About 1.08 %."""
_BUCKETS: Final = 64 * BUCKETS_PER_DOUBLING + 2
"""Of all unsigned integers of 64 bits."""


class Sketches(NamedTuple):
    """Sketches of several groups.

    Attributes:
        counts: buckets of each group, int64, shape (groups,).
        buckets: of all groups, one group behind the other and each group's in rising order, int64, shape (buckets,).
        weights: what each bucket counts, float64, shape (buckets,).
    """

    counts: NDArray[np.int64]
    buckets: NDArray[np.int64]
    weights: NDArray[np.float64]


def buckets_of(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The bucket of each value."""
    with np.errstate(divide="ignore"):
        exponents = np.log2(values.astype(np.float64))
    return np.where(values == 0, ZERO_BUCKET, np.ceil(exponents * BUCKETS_PER_DOUBLING)).astype(np.int64)


def sketches(groups: NDArray[np.int64], count: int, values: NDArray[np.uint64], weights: NDArray[np.float64]) -> Sketches:
    """The sketch of each group's values.

    Args:
        groups: which group each value belongs to, from 0 to `count` - 1, shape (values,).
        count: how many groups there are.
        values, weights: and how many times each value counts, shape (values,).
    """
    places = groups * _BUCKETS + (buckets_of(values) - ZERO_BUCKET)
    used, of_value = np.unique(places, return_inverse=True)
    group, bucket = np.divmod(used, _BUCKETS)
    return Sketches(np.bincount(group, minlength=count), bucket + ZERO_BUCKET, totals(of_value, weights, len(used)))


def totals(groups: NDArray[np.int64], weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """What the weights of each group come to, shape (count,)."""
    return np.bincount(groups, weights, minlength=count).astype(np.float64, copy=False)


def estimate(bucket: float, merged: int = 1) -> float:
    """The value that stands for all in a bucket: none of them is further from it than RELATIVE_ERROR of itself.

    Args:
        merged: so many buckets, up to and with `merged * bucket`, are taken for one; their error is about as many times as large.
    """
    factor = _FACTOR**merged
    return 0.0 if bucket == ZERO_BUCKET else 2 * factor**bucket / (factor + 1)


def estimates(buckets: NDArray[np.int64]) -> NDArray[np.float64]:
    """The same of many buckets, each for itself."""
    return np.where(buckets == ZERO_BUCKET, 0.0, 2 / (_FACTOR + 1) * np.exp2(buckets / BUCKETS_PER_DOUBLING))


def last_bucket_within(limit: int) -> int:
    """The last bucket whose values count as at most `limit`, a whole number: those that `estimate` says of."""
    return int(np.floor(np.log2(limit * (_FACTOR + 1) / 2) * BUCKETS_PER_DOUBLING)) if limit > 0 else ZERO_BUCKET


def quantile(buckets: NDArray[np.int64], weights: NDArray[np.float64], q: float) -> float | None:
    """The quantile of one sketch: the value below or at which `q` of all that it counts lie; None where it counts nothing.

    Args:
        buckets, weights: in rising order of the buckets.
        q: from 0 to 1.
    """
    found = quantiles(buckets.tolist(), weights.tolist(), [q])
    return found[0] if found else None


def quantiles(buckets: Sequence[int], weights: Sequence[float], qs: Sequence[float]) -> list[float]:
    """Several quantiles of one sketch; none of them where it counts nothing. With so few buckets, arrays would be slower.

    Args:
        buckets, weights, qs: as of `quantile`.
    """
    reached = list(accumulate(weights))
    if not reached or reached[-1] <= 0:
        return []
    return [estimate(buckets[bisect_left(reached, q * reached[-1])]) for q in qs]


def bucket_expression(value: str) -> str:
    """The bucket of a value in SQL.

    Args:
        value: an expression whose value is a whole number from 0.
    """
    return f"if({value} = 0, {ZERO_BUCKET}, toInt16(ceil(log2({value}) * {BUCKETS_PER_DOUBLING})))"


def quantile_expression(sketch: str, q: str) -> str:
    """The same in SQL: null where the sketch counts nothing.

    Args:
        sketch: an expression whose value is a sketch, such as `sumMap(DurationSketch)`.
        q: an expression whose value is from 0 to 1.
    """
    # The keys of a map that sumMap made are in rising order.
    cumulated = f"arrayCumSum(mapValues({sketch}))"
    bucket = f"mapKeys({sketch})[arrayFirstIndex(weight -> weight >= ({q}) * {cumulated}[-1], {cumulated})]"
    value = f"if({bucket} = {ZERO_BUCKET}, 0, {2 / (_FACTOR + 1)!r} * exp2({bucket} / {BUCKETS_PER_DOUBLING}))"
    return f"if(empty({sketch}), NULL, {value})"
