"""Groups of spans, and the words that find their spans again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.grouping import Key, read_key, search_words
from collector.query.language import read_query
from collector.query.many.differences import Difference, g_squared
from collector.query.many.failures import ASPECTS, cause_words
from collector.query.many.over_time import STEPS, duration_bounds, usual_step
from collector.query.predicates import AnyOf, Attribute, Comparison, Exists, Not
from collector.query.store import MAX_DURATION

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS)
def test_words_of_a_group_ask_for_just_its_text(text: str) -> None:
    words = search_words([read_key("operation")], [text])
    assert words is not None
    assert read_query(words).where == Comparison("name", "=", text)
    words = search_words([read_key('span["a key"]')], [text])
    assert words is not None
    equal = Comparison(Attribute("span", "a key"), "=", text)
    without = Not(Exists(Attribute("span", "a key")))
    assert read_query(words).where == (equal if text else AnyOf((equal, without)))


@given(TEXTS, st.sampled_from(["span", "resource"]), TEXTS.filter(bool))
def test_words_of_causes_and_differences_are_searches(text: str, level: str, key: str) -> None:
    for aspect in ASPECTS:
        words = cause_words(aspect, [text] * (2 if aspect == "operation" else 1))
        assert words is not None
        read_query(words)
    difference = Difference(level, key, text, (5, 5), (0.5, 0.5), 0.0, 1.0)  # type: ignore[arg-type]  # one of the levels
    assert difference.words is not None
    assert read_query(difference.words).where == Comparison(Attribute(level, key), "=", text)  # type: ignore[arg-type]  # as above


@given(st.text(max_size=30))
def test_any_name_is_a_key_or_a_mistake(text: str) -> None:
    try:
        key = read_key(text)
    except ValueError as error:
        assert "service" in str(error)  # noqa: PT017 - a key is as good
    else:
        assert isinstance(key, Key)


@pytest.mark.parametrize("text", ["duration", "event.name", "any.x", "trace.duration", "service = x and name", '"x"', ""])
def test_what_spans_cannot_be_grouped_by_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as service|use service"):
        read_key(text)


def test_what_words_cannot_say_leads_nowhere() -> None:
    assert search_words([read_key("operation")], ["x" * 2001]) is None
    assert search_words([read_key("operation")], ["\udcff"]) is None
    assert search_words([read_key("kind")], [""]) is None
    assert search_words([read_key("operation")] * 5, ["x" * 2000] * 5) is None


@pytest.mark.parametrize("per_doubling", range(1, 9))
def test_bounds_of_durations_are_whole_and_double(per_doubling: int) -> None:
    bounds = duration_bounds(per_doubling)
    assert bounds[:2] == (0, 1)
    assert list(bounds) == sorted(set(bounds))
    assert {2**exponent for exponent in range(63)} <= set(bounds)
    assert bounds[-1] <= MAX_DURATION < bounds[-1] * 2
    exact = [bound for bound in bounds if bound > 2**10]
    assert all(abs(after / before - 2 ** (1 / per_doubling)) < 2e-3 for before, after in pairwise(exact))


@given(st.integers(1, 2**62), st.integers(1, 1500))
def test_the_usual_step_leaves_as_few_points_as_are_wanted(length: int, most: int) -> None:
    step = usual_step(0, length, most)
    assert length <= most * step
    assert step in STEPS or step % STEPS[-1] == 0


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 80)), min_size=1, max_size=20),
    st.integers(50, 200),
    st.integers(80, 200),
)
def test_likelihood_ratios_are_those_of_the_tables(having: list[tuple[int, int]], first: int, second: int) -> None:
    counts = np.array(having, dtype=np.float64)
    found = g_squared((counts[:, 0], counts[:, 1]), (first, second))
    for (some, others), score in zip(having, found, strict=True):
        table = np.array([[some, first - some], [others, second - others]], dtype=np.float64)
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            assert score == pytest.approx(2 * np.nansum(table * np.log(table / expected)), abs=1e-9)
        if some * second == others * first:
            assert score == pytest.approx(0, abs=1e-9)
