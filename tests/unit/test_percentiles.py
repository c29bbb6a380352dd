from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.query.percentiles import PERCENTILES, interpolate


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=200))
def test_interpolated_percentiles_are_those_of_numpy_to_the_last_digit(durations: list[int]) -> None:
    ordered = sorted(durations)
    for percent in PERCENTILES:
        rank = (len(ordered) - 1) * (percent / 100)
        place = math.floor(rank)
        low, high = ordered[place], ordered[min(place + 1, len(ordered) - 1)]
        assert interpolate(low, high, rank - place) == np.percentile(np.array(durations), percent)
