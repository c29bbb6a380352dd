"""Sketches of durations: their error, that merging them in any way gives the same, and that SQL reads them as Python does."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.sketch import MERGE, RELATIVE_ERROR, TYPE, Sketches, buckets_of, estimate, quantile, quantile_expression, sketches
from tests.support.clickhouse import ClickHouse

durations = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 3000), st.integers(0, 63).map(lambda power: 2**power))
weights = st.sampled_from([1.0, 4.0, 99.9977])
spans = st.lists(st.tuples(st.integers(0, 4), durations, weights), min_size=1, max_size=60)


def built(values: list[tuple[int, int, float]]) -> Sketches:
    return sketches(
        np.array([group for group, _, _ in values], np.int64),
        5,
        np.array([value for _, value, _ in values], np.uint64),
        np.array([weight for _, _, weight in values], np.float64),
    )


def by_group(made: Sketches) -> list[dict[int, float]]:
    ends = np.cumsum(made.counts).tolist()
    return [
        dict(zip(made.buckets[start:end].tolist(), made.weights[start:end].tolist(), strict=True))
        for start, end in zip([0, *ends], ends, strict=False)
    ]


@given(durations)
def test_no_value_is_further_from_what_stands_for_it_than_is_said(value: int) -> None:
    (bucket,) = buckets_of(np.array([value], np.uint64)).tolist()
    assert math.isclose(estimate(bucket), value, rel_tol=0, abs_tol=RELATIVE_ERROR * value * (1 + 1e-9))


@given(spans)
def test_sketches_count_every_value_in_its_group(values: list[tuple[int, int, float]]) -> None:
    expected: list[dict[int, float]] = [{} for _ in range(5)]
    for group, value, weight in values:
        bucket = int(buckets_of(np.array([value], np.uint64))[0])
        expected[group][bucket] = expected[group].get(bucket, 0) + weight
    for made, plain in zip(by_group(built(values)), expected, strict=True):
        assert list(made) == sorted(plain)
        assert made == pytest.approx(plain)


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_that_of_the_values_but_for_the_error(values: list[int], q: float) -> None:
    made = built([(0, value, 1.0) for value in values])
    exact = sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
    found = quantile(made.buckets, made.weights, q)
    # Where q times the number is a whole one but for rounding, its neighbour is as good.
    near = sorted(values)[min(math.ceil(q * len(values) + 1e-9), len(values) - 1)]
    assert found is not None
    assert any(math.isclose(found, value, rel_tol=0, abs_tol=RELATIVE_ERROR * value * (1 + 1e-9)) for value in (exact, near))


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile(np.array([], np.int64), np.array([], np.float64), 0.5) is None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_sql_merges_and_reads_sketches_as_python_does(
    clickhouse: ClickHouse, values: list[tuple[int, int, float]], q: float
) -> None:
    together = built([(0, value, weight) for _, value, weight in values])
    flat = (", ".join(f"{bucket}, {weight}" for bucket, weight in made.items()) for made in by_group(built(values)))
    parts = [f"CAST(map({entries}), '{TYPE}')" for entries in flat]
    merged = f"SELECT {MERGE}(part) AS sketch FROM (SELECT arrayJoin([{', '.join(parts)}]) AS part)"
    answer = clickhouse.execute(f"SELECT {quantile_expression('sketch', repr(q))}, toJSONString(sketch) FROM ({merged})")
    value, sketch = answer.decode().rstrip("\n").split("\t")
    assert {int(bucket): weight for bucket, weight in json.loads(sketch).items()} == pytest.approx(by_group(together)[0])
    expected = quantile(together.buckets, together.weights, q)
    assert expected is not None
    # Sums in another order may differ in their last digit, and a quantile between two buckets by one of them.
    assert float(value) == pytest.approx(expected, rel=1e-9) or float(value) == pytest.approx(expected, rel=2.2 * RELATIVE_ERROR)


def test_sql_says_nothing_of_an_empty_sketch(clickhouse: ClickHouse) -> None:
    expression = quantile_expression(f"CAST(map(), '{TYPE}')", "0.5")
    assert clickhouse.execute(f"SELECT {expression}") == b"\\N\n"
