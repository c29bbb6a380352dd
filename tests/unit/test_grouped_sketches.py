"""Sketches of many groups at once: each tells what it tells alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import grouped_sketches
from collector.grouped_sketches import GroupedSketches
from collector.sketch import ZERO_BUCKET, last_bucket_within, quantile

COUNT = 4
QS = (0.05, 0.5, 0.95, 0.99, 1.0)

buckets = st.one_of(st.integers(ZERO_BUCKET, 2048), st.integers(600, 640))
told = st.lists(st.tuples(st.integers(0, COUNT - 1), buckets, st.sampled_from([1.0, 4.0, 99.9977])), max_size=60)
regrouping = st.lists(st.integers(0, 1), min_size=COUNT, max_size=COUNT)


def grouped(places: list[tuple[int, int, float]]) -> GroupedSketches:
    groups, of, weights = zip(*places, strict=True) if places else ((), (), ())
    return GroupedSketches(COUNT, np.array(groups, np.int64), np.array(of, np.int64), np.array(weights, np.float64))


def plain(places: list[tuple[int, int, float]], group: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for own, bucket, weight in places:
        if own == group:
            found[bucket] = found.get(bucket, 0.0) + weight
    return dict(sorted(found.items()))


@pytest.fixture(scope="module", params=[1_024, 3], ids=["at-once", "by-three"])
def at_once(request: pytest.FixtureRequest) -> int:
    """How many groups are gone through together."""
    number: int = request.param
    return number


@given(one=told, other=told)
def test_each_group_has_the_quantiles_of_its_own_sketch(
    at_once: int, one: list[tuple[int, int, float]], other: list[tuple[int, int, float]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped_sketches, "_GROUPS_AT_ONCE", at_once)
        found = grouped(one).joined(grouped(other)).quantiles(QS)
    for group in range(COUNT):
        expected = plain(one + other, group)
        if expected:
            sketch = np.array(list(expected), np.int64), np.array(list(expected.values()), np.float64)
            assert found[group].tolist() == pytest.approx([quantile(*sketch, q) for q in QS])


@given(places=told, regrouped=regrouping, limit=st.integers(0, 2**63))
def test_groups_are_added_up_by_other_groups(places: list[tuple[int, int, float]], regrouped: list[int], limit: int) -> None:
    sketches = grouped(places).regrouped(np.array(regrouped, np.int64), 2)
    expected = [plain([(regrouped[group], bucket, weight) for group, bucket, weight in places], group) for group in range(2)]
    sums = [sum(weight for bucket, weight in each.items() if bucket <= last_bucket_within(limit)) for each in expected]
    assert sketches.within(limit).tolist() == pytest.approx(sums)
    for (own, weights), each in zip(sketches.each(), expected, strict=True):
        assert plain([(0, *place) for place in zip(own.tolist(), weights.tolist(), strict=True)], 0) == pytest.approx(each)


def test_no_groups_have_nothing() -> None:
    assert GroupedSketches.none().quantiles(QS).shape == (0, len(QS))
    assert list(GroupedSketches.none().each()) == []
