"""Exact percentiles of durations: what ClickHouse is asked for, and what is made of its answer.

A percentile is interpolated linearly between the two nearest ranks, exactly as NumPy's default. ClickHouse sorts and gives the
two neighbours, because its own interpolation rounds the rank differently and is off in the last digit now and then.

A span that stands for w spans counts as w equal ones, also where w is no whole number: of the ranks from 0 to the sum of all
weights less 1, it has those from the sum of the weights before it, for w - 1; from there to the next span it is interpolated.
"""

from __future__ import annotations

from typing import Final

PERCENTILES: Final = (50, 95, 99)
"""Those that are told where none are asked for."""

NEIGHBOURS: Final = """
    arraySort(groupArray(Duration)) AS Durations,
    if(
        min(Weight) = 1 AND max(Weight) = 1,
        range(1, count() + 1)::Array(Float64),
        arrayCumSum(arraySort((weight, duration) -> duration, groupArray(Weight), groupArray(Duration)))
    ) AS Reached,
    arrayMap(quantile -> (Reached[-1] - 1) * quantile, {quantiles:Array(Float64)}) AS Ranks,
    arrayMap(rank -> arrayFirstIndex(reached -> reached > rank, Reached), Ranks) AS Places,
    arrayMap(
        (rank, place) -> (
            Durations[place], Durations[least(place + 1, length(Durations))], greatest(rank - (Reached[place] - 1), 0.)
        ),
        Ranks, Places
    ) AS Neighbours"""
"""Columns of an aggregation over rows with `Duration` and `Weight`, the latter at least 1. `Neighbours` says of each of the
`quantiles` which durations it lies between, and how far from the first one, as a share of their distance."""


def interpolate(low: int, high: int, share: float) -> float:
    """What lies between two neighbours.

    The steps, and with them the rounding, are those of `numpy.percentile`'s linear method.
    """
    difference = high - low
    return high - difference * (1 - share) if share >= 0.5 else low + difference * share
