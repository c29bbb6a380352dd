"""Expressions on counters of which all is known: compared with sums in plain Python, and never more than refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.query.promql import evaluation
from collector.query.promql.evaluation import ENDS_AFTER, Steps, evaluate
from collector.query.promql.loading import Counted, Load, le_texts
from collector.query.promql.reading import read_promql, type_of
from collector.query.promql.vectors import NAME, EvaluationError, Vector, kept, labels_of
from collector.query.rollups import HOUR, MINUTE
from tests.unit.test_promql_reading import SCALARS, VECTORS

START = 400 * 24 * HOUR
SERVICES = ("cart", "mail")


def counted(load: Load) -> list[Counted]:
    """Counters of two services, drawn by the number of their first cell."""
    boundaries = np.array(load.grid.boundaries, np.int64)
    cells = len(boundaries) - 1
    found = []
    for number, service in enumerate(SERVICES):
        random = np.random.default_rng(int(boundaries[0] // MINUTE) + number)
        growth = random.poisson(3, cells).astype(np.float64)
        base = kept(
            labels_of({"service_name": service, "service": service, NAME: load.metric.name}), load.labels, without=load.without
        )
        if load.without and NAME not in load.labels:
            base = labels_of([*base, (NAME, load.metric.name)])
        bounds = le_texts(load.metric) if not load.merged else []
        labels = [labels_of([*base, ("le", bound)]) for bound in bounds] or [base]
        rows = np.array([growth] * len(labels))
        buckets = np.array([800], np.int64) if load.merged else np.empty(0, np.int64)
        found.append(Counted(boundaries, labels, rows, rows > 0, buckets))
    # Those that have the same labels are read as one.
    return found if found[0].labels != found[1].labels else found[:1]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(_: object, load: Load, __: str) -> Sequence[Counted]:
        return counted(load)

    monkeypatch.setattr(evaluation, "fetch", fetch)


def asked(text: str, steps: Steps) -> Any:
    return asyncio.run(evaluate(None, read_promql(text), steps, "default"))  # type: ignore[arg-type]  # nothing is read


def named(text: str) -> str:
    """The expression, of metrics that there are."""
    names = {"calls_total": "traces_span_metrics_calls_total", "a:b": "traces_service_graph_request_total"}
    names["offset_of"] = "traces_spanmetrics_latency_bucket"
    for name, metric in names.items():
        text = text.replace(name, metric)
    return text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(VECTORS, SCALARS).map(named), st.sampled_from([Steps(START), Steps(START, 60 * 10**9, 20)]))
def test_every_expression_comes_to_something_or_is_refused(text: str, steps: Steps) -> None:
    try:
        expression = read_promql(text)
    except ValueError:
        return
    try:
        found = asked(text, steps)
    except EvaluationError as refusal:
        assert str(refusal)  # noqa: PT017 - whether it is refused is open
        return
    assert isinstance(found, Vector) == (type_of(expression) == "vector")
    if isinstance(found, Vector):
        assert found.values.shape == found.present.shape == (len(found.labels), steps.count)
        assert len(set(found.labels)) == len(found.labels)
    else:
        assert found.shape == (steps.count,)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(-2, 40 * 60), st.integers(-2, 40 * 60))
def test_counters_are_known_between_their_steps(growth: list[int], one: int, other: int) -> None:
    boundaries = START + MINUTE * np.arange(len(growth) + 1, dtype=np.int64)
    values = np.array([growth], np.float64)
    counters = Counted(boundaries, [()], values, values > 0)
    start, end = sorted((one, other))
    (found,) = counters.at(np.array([START + end * 10**9]))
    assert found == pytest.approx(sum(each * min(max(end / 60 - minute, 0), 1) for minute, each in enumerate(growth)))
    is_there = counters.any_between(np.array([START + start * 10**9]), np.array([START + end * 10**9]))[0, 0]
    assert is_there == any(each and 60 * minute < end and 60 * (minute + 1) > start for minute, each in enumerate(growth))


def test_a_query_may_not_read_too_much() -> None:
    many = " or ".join(f"traces_span_metrics_calls_total{{a!='{number}'}}" for number in range(41))
    with pytest.raises(EvaluationError, match="41 different selections of metrics; at most 40"):
        asked(many, Steps(START))
    with pytest.raises(EvaluationError, match="ask for longer steps"):
        asked("rate(traces_span_metrics_calls_total[1m])", Steps(START, 60 * 10**9, 30_000))


def test_rates_of_several_steps_are_those_of_each_alone() -> None:
    query = "sum by (service_name) (rate(traces_span_metrics_calls_total[5m] offset 2m))"
    steps = Steps(START, 60 * 10**9, 5)
    found = asked(query, steps)
    boundaries = np.arange(START - 2 * MINUTE - ENDS_AFTER, START + 3 * MINUTE, MINUTE)
    for labels, values in zip(found.labels, found.values, strict=True):
        number = SERVICES.index(dict(labels)["service_name"])
        growth = np.random.default_rng(int(boundaries[0] // MINUTE) + number).poisson(3, len(boundaries) - 1)
        for step, value in enumerate(values):
            end = step + ENDS_AFTER // MINUTE
            assert value == pytest.approx(growth[end - 5 : end].sum() / 300)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("histogram_quantile(2, traces_spanmetrics_latency_bucket)", np.inf),
        ("histogram_quantile(-1, traces_spanmetrics_latency_bucket)", -np.inf),
        ("histogram_quantile(0 / 0, traces_spanmetrics_latency_bucket)", np.nan),
        # All are in the first bucket, up to 2 ms.
        ("histogram_quantile(0.5, traces_spanmetrics_latency_bucket)", 0.001),
    ],
)
def test_odd_quantiles_are_those_of_prometheus(query: str, expected: float) -> None:
    found = asked(query, Steps(START + HOUR))
    assert found.labels
    assert found.values[:, 0] == pytest.approx(expected, nan_ok=True)
