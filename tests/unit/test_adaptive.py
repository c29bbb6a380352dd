"""The reckoning of adaptive sampling: the figures of Jaeger's, its rules one by one, and where it leads."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.control.adaptive import Chosen, Operation, Seen, by_operation, next_probability, next_round, weighted_mean
from config.remote_sampling import AdaptiveSampling

GET = Operation("shop", "cart", "GET /cart")


def settings(**said: Any) -> AdaptiveSampling:
    return AdaptiveSampling.model_validate(said)


def seen(interval: int, traces: float, *told: float) -> Seen:
    return Seen(interval, traces, frozenset(told))


def chosen(before: Chosen | None, *intervals: Seen, latest: int = 9, **said: Any) -> Chosen:
    previous = {} if before is None else {GET: before}
    return next_round(previous, {GET: intervals}, latest, 60, settings(**said))[GET]


@pytest.mark.parametrize(
    ("probability", "rate", "expected"),
    [(0.8, 4, 0.2), (0.1, 0.25, 0.15), (0.1, 1.2, 0.1), (0.001, 0, 0.002), (0.9, 0.1, 1.0), (0.00002, 100, 0.00001)],
)
def test_table_5_3(probability: float, rate: float, expected: float) -> None:
    assert next_probability(probability, rate, settings()) == pytest.approx(expected)


def test_later_intervals_weigh_more() -> None:
    assert weighted_mean([4]) == 4
    assert weighted_mean([1, 0]) == pytest.approx(16 / 17)
    assert weighted_mean([3, 2, 1]) == pytest.approx((81 * 3 + 16 * 2 + 1) / 98)


def test_a_new_operation_begins_at_the_initial_probability_and_moves_at_once() -> None:
    assert chosen(None, seen(9, 60)) == Chosen(0.001, True)
    assert chosen(None, seen(9, 600)) == Chosen(pytest.approx(0.0001), True)
    assert chosen(None, seen(9, 0)) == Chosen(0.002, True)


def test_who_does_not_obey_is_left_alone() -> None:
    told = Chosen(0.2, True)
    assert chosen(told, seen(9, 600, 0.5)) == Chosen(0.2, False)
    assert chosen(told, seen(9, 600, 0.5, 0.2000001)) == Chosen(pytest.approx(0.02), True)
    assert chosen(told, seen(9, 600)) == Chosen(0.2, False)


def test_who_sent_nothing_lately_is_taken_for_what_it_was() -> None:
    assert chosen(Chosen(0.2, True), seen(8, 600, 0.5)) == Chosen(pytest.approx(0.02), True)
    assert chosen(Chosen(0.2, False), seen(8, 600, 0.2)) == Chosen(0.2, False)


def test_as_many_intervals_count_as_are_wanted() -> None:
    intervals = seen(7, 6000, 0.2), seen(9, 60, 0.2), seen(8, 600, 0.2)
    assert chosen(Chosen(0.2, True), *intervals).probability == 0.2
    assert chosen(Chosen(0.2, True), *intervals, calculation_buckets=2).probability == pytest.approx(0.2 / ((16 + 10) / 17))


def test_rows_of_one_operation_and_interval_are_one() -> None:
    rows = [(GET, 1, 2.0, "0.5"), (GET, 1, 3.0, "0.25"), (GET, 2, 1.0, "often"), (GET, 1, 0.0, "")]
    assert by_operation(rows) == {GET: [seen(1, 5.0, 0.5, 0.25), seen(2, 1.0)]}


@given(st.floats(1e-5, 1), st.floats(0, 1e6), st.floats(0.01, 1000), st.floats(0.01, 2))
def test_a_probability_stays_in_its_bounds_and_moves_the_right_way(
    probability: float, rate: float, target: float, tolerance: float
) -> None:
    said = settings(target_samples_per_second=target, delta_tolerance=tolerance)
    following = next_probability(probability, rate, said)
    assert said.min_sampling_probability <= following <= 1
    assert following <= 2 * probability
    if rate > target:
        assert following <= probability
    else:
        assert following >= probability


@pytest.mark.parametrize("traffic", [0.5, 5, 200, 30_000])
def test_an_operation_comes_near_the_wanted_rate_and_stays_there(traffic: float) -> None:
    random, now = Random(1), Chosen(0.001, True)
    rates = []
    for number in range(60):
        traces = (
            sum(random.random() < now.probability for _ in range(int(traffic * 60)))
            if traffic <= 200
            else traffic * 60 * now.probability
        )
        rates.append(traces / 60)
        now = chosen(now, seen(number, traces, now.probability), latest=number)
    if traffic < 1:
        assert now.probability == 1
    else:
        assert all(0.4 < rate < 1.8 for rate in rates[-20:])
