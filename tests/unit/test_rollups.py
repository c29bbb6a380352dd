"""Time ranges in tables of steps: every minute is in one part, and parts are whole steps of their tables."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector import sketch
from collector.query.rollups import CALLS, HOUR, MINUTE, QUARTER_HOUR, RED, Part, of_step, parts, whole_minutes

MINUTES = st.integers(0, 40_000)


@given(MINUTES, MINUTES, st.sampled_from([RED, CALLS]))
def test_parts_are_the_range_and_nothing_twice(first: int, second: int, rollups: tuple[object, ...]) -> None:
    start, end = sorted((first * MINUTE, second * MINUTE))
    found = parts(rollups, start, end)  # type: ignore[arg-type]  # one of the two
    assert sum(part.end - part.start for part in found) == end - start
    if found:
        assert (found[0].start, found[-1].end) == (start, end)
    assert all(earlier.end == later.start for earlier, later in pairwise(found))
    assert all(part.start % part.rollup.step == part.end % part.rollup.step == 0 for part in found)
    # No part could be read from a table of longer steps.
    for part in found:
        for rollup in rollups[: rollups.index(part.rollup)]:
            first_step = -(-part.start // rollup.step) * rollup.step  # type: ignore[attr-defined]  # a rollup
            assert first_step + rollup.step > part.end  # type: ignore[attr-defined]  # as above


def test_a_day_and_its_ends_come_from_three_tables() -> None:
    hour, quarter, minute = RED
    assert parts(RED, 53 * MINUTE, 2 * HOUR + 16 * MINUTE) == [
        Part(minute, 53 * MINUTE, HOUR),
        Part(hour, HOUR, 2 * HOUR),
        Part(quarter, 2 * HOUR, 2 * HOUR + QUARTER_HOUR),
        Part(minute, 2 * HOUR + QUARTER_HOUR, 2 * HOUR + 16 * MINUTE),
    ]
    assert parts(RED, HOUR, HOUR) == []
    assert [of_step(RED, step).step for step in (MINUTE, 7 * MINUTE, 30 * MINUTE, 2 * HOUR)] == [
        MINUTE,
        MINUTE,
        QUARTER_HOUR,
        HOUR,
    ]
    assert whole_minutes(MINUTE + 1, 3 * MINUTE + 1) == (MINUTE, 4 * MINUTE)


@given(st.integers(1, 2**62))
def test_the_last_bucket_within_a_limit_counts_as_no_more_than_that(limit: int) -> None:
    bucket = sketch.last_bucket_within(limit)
    assert sketch.estimate(bucket) <= limit * (1 + 1e-9)
    assert sketch.estimate(bucket + 1) > limit * (1 - 1e-9)


def test_no_limit_has_the_bucket_of_zero() -> None:
    assert sketch.last_bucket_within(0) == sketch.ZERO_BUCKET
