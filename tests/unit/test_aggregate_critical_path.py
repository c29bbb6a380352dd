"""Critical paths of many traces: the worked example of the definition, and what holds for all."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.many.critical_paths import DEEPEST, OnPath, TracePath, add_up, find_trace_path
from tests.support.shapes import chain
from tests.support.stored import draw

TRACES = (
    "web[1000,1100], auth[1005,1015]<web, cart[1020,1090]<web, db[1030,1060]<cart",
    "web[1000,1110], auth[1005,1015]<web, cart[1020,1100]<web, db[1030,1070]<cart",
    "web[1000,1120], auth[1005,1025]<web, cart[1030,1110]<web, db[1040,1080]<cart",
    "web[1000,1200], auth[1005,1015]<web, cart[1020,1190]<web, db[1030,1180]<cart",
    "web[1000,1500], auth[1005,1405]<web, cart[1410,1490]<web, db[1420,1450]<cart",
)
NAMES = ("web", "auth", "cart", "db")


def band(low: int, high: int) -> tuple[Fraction, Fraction]:
    return Fraction(low), Fraction(high)


@pytest.mark.parametrize(
    ("between", "traces", "means", "share_of_auth"),
    [
        ((0, 50), 2, (20, 10, 40, 35), 0.095),
        ((0, 100), 5, (20, 90, 38, 58), 0.437),
        ((0, 80), 4, (20, 12.5, 35, 65), 0.094),
        ((80, 100), 1, (20, 400, 50, 30), 0.8),
    ],
)
def test_the_worked_example(between: tuple[int, int], traces: int, means: tuple[float, ...], share_of_auth: float) -> None:
    paths = [find_trace_path(spans := draw(text), [1.0] * len(spans), "operation") for text in TRACES]
    (found,) = add_up(paths, [band(*between)])
    by_name = {each.frames[-1][1]: each for each in found.contributions}
    assert (found.traces, found.count) == (traces, traces)
    assert tuple(by_name[name].mean for name in NAMES) == pytest.approx(means)
    assert by_name["auth"].share == pytest.approx(share_of_auth, abs=0.0006)
    assert all(each.frequency == 1 for each in found.contributions)
    assert [each.share for each in found.contributions] == sorted((each.share for each in found.contributions), reverse=True)


def test_call_paths_are_told_from_the_root_down_and_exemplars_are_the_worst() -> None:
    paths = [find_trace_path(spans := draw(text), [1.0] * len(spans), "callPath") for text in TRACES]
    (found,) = add_up(paths, [band(0, 100)])
    folded = {";".join(operation for _, operation in each.frames): each for each in found.contributions}
    assert set(folded) == {"web", "web;auth", "web;cart", "web;cart;db"}
    assert [exemplar.time for exemplar in folded["web;cart;db"].exemplars] == [150, 40, 40]
    services = [find_trace_path(spans := draw(text), [1.0] * len(spans), "service") for text in TRACES]
    (whole,) = add_up(services, [band(0, 100)])
    assert sum(each.spans for each in whole.contributions) == 4 * len(TRACES)


def test_deep_calls_count_as_the_deepest_that_is_told() -> None:
    spans = draw(chain(5000))
    path = find_trace_path(spans, [1.0] * len(spans), "callPath")
    assert max(len(frames) for frames in path.shares) == DEEPEST
    assert sum(each.time for each in path.shares.values()) == path.duration


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([1.0, 1.5, 2.0, 7.25])), min_size=1, max_size=40))
def test_each_trace_is_in_one_of_the_bands_and_shares_come_to_one(drawn: list[tuple[int, float]]) -> None:
    paths = [
        TracePath(
            f"{number:032x}",
            duration,
            weight,
            {(("s", str(number % 3)),): OnPath(duration, 1, "a", duration)} if duration else {},
        )
        for number, (duration, weight) in enumerate(drawn)
    ]
    bands = add_up(paths, [band(0, 50), band(50, 90), band(90, 99), band(99, 100)])
    assert sum(each.traces for each in bands) == len(paths)
    assert sum(each.count for each in bands) == pytest.approx(sum(path.weight for path in paths))
    assert [each.minimum for each in bands] == sorted(each.minimum for each in bands)
    for each in bands:
        if each.mean:
            assert sum(part.share for part in each.contributions) == pytest.approx(1)
        assert sum(part.mean for part in each.contributions) == pytest.approx(each.mean)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12), st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_a_trace_that_stands_for_several_counts_as_often(durations: list[int], weights: list[int]) -> None:
    def path(number: int, weight: float) -> TracePath:
        key = (("s", str(number)),)
        return TracePath(f"{number:032x}", durations[number], weight, {key: OnPath(durations[number], 1, "a", 1)})

    numbers = range(len(durations))
    (weighed,) = add_up([path(number, weights[number]) for number in numbers], [band(0, 100)])
    (repeated,) = add_up([path(number, 1.0) for number in numbers for _ in range(weights[number])], [band(0, 100)])
    assert weighed.mean == pytest.approx(repeated.mean)
    assert {each.frames: pytest.approx((each.share, each.frequency)) for each in weighed.contributions} == {
        each.frames: (each.share, each.frequency) for each in repeated.contributions
    }
