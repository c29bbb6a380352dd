"""Durations in words."""

from __future__ import annotations

import pytest

from collector.query.durations import show_duration


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"), (42, "42 ns"), (915_438, "915.4 µs"), (1.6e6, "1.6 ms"), (39_725_234, "39.73 ms"), (1e9, "1 s"),
        (4600e9, "4600 s"), (1.7e18, "19676 d"),
    ],
)  # fmt: skip
def test_a_duration_has_few_digits_and_the_unit_that_fits(nanoseconds: float, text: str) -> None:
    assert show_duration(nanoseconds) == text
