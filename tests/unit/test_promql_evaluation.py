"""Expressions on counters of which all is known: compared with sums in plain Python, and never more than refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.query.promql import evaluation, vectors
from collector.query.promql.evaluation import evaluate
from collector.query.promql.loading import Counted, Load, le_texts
from collector.query.promql.needs import ENDS_AFTER, Steps
from collector.query.promql.over_time import over_time
from collector.query.promql.reading import read_promql
from collector.query.promql.value_types import type_of
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


WINDOW = st.lists(st.tuples(st.floats(-100, 100), st.booleans()), min_size=1, max_size=40)


@given(WINDOW, st.integers(1, 400), st.lists(st.integers(-50, 700), min_size=1, max_size=5).map(sorted), st.floats(-0.2, 1.2))
def test_functions_over_a_time_are_those_of_plain_lists(
    samples: list[tuple[float, bool]], range_s: int, ends: list[int], quantile: float
) -> None:
    times = np.arange(len(samples), dtype=np.int64) * 15
    values = np.array([[value for value, _ in samples]])
    there = np.array([[is_there for _, is_there in samples]])
    vector = Vector([labels_of({NAME: "x", "a": "b"})], values, there)
    for name in ("avg", "sum", "min", "max", "count", "last", "quantile"):
        quantiles = np.full(len(ends), quantile) if name == "quantile" else None
        found = over_time(f"{name}_over_time", vector, times, np.array(ends), range_s, parameters=quantiles)
        assert found.labels == ([labels_of({NAME: "x", "a": "b"})] if name == "last" else [labels_of({"a": "b"})])
        for place, end in enumerate(ends):
            seen = [v for time, (v, is_there) in zip(times, samples, strict=True) if is_there and end - range_s < time <= end]
            assert found.present[0, place] == bool(seen)
            if seen:
                assert found.values[0, place] == pytest.approx(over(name, seen, quantile), rel=1e-9, abs=1e-9)


def over(name: str, seen: list[float], quantile: float) -> float:
    """What a function makes of some numbers, in plain Python."""
    match name:
        case "avg":
            return sum(seen) / len(seen)
        case "count":
            return len(seen)
        case "last":
            return seen[-1]
        case "quantile" if quantile < 0 or quantile > 1:
            return np.inf if quantile > 1 else -np.inf
        case "quantile":
            return float(np.quantile(seen, quantile))
    return {"sum": sum, "min": min, "max": max}[name](seen)  # type: ignore[operator,no-any-return]  # each takes numbers


CALLS = "traces_span_metrics_calls_total"


def test_a_subquery_is_the_expression_at_each_of_its_steps() -> None:
    steps, rate, step = Steps(START + 7 * 10**9, 90 * 10**9, 7), f"sum(rate({CALLS}[5m]))", 2 * MINUTE
    found = asked(f"max_over_time({rate}[10m:2m] offset 1m)", steps)
    # Counters are drawn here by where reading begins: that is where the whole subquery does.
    first = (steps.first - 11 * MINUTE) // step * step + step
    whole = asked(rate, Steps(first, step, ((steps.last - MINUTE) - first) // step + 1)).values[0]
    for place, time in enumerate(steps.times.tolist()):
        end = time - MINUTE
        inside = [value for number, value in enumerate(whole) if end - 10 * MINUTE < first + number * step <= end]
        assert len(inside) == 5
        assert found.values[0, place] == pytest.approx(max(inside))


def test_a_fixed_time_is_that_at_every_step() -> None:
    steps = Steps(START, MINUTE, 5)
    rate = f"sum(rate({CALLS}[5m]%s))"
    for word, time in (("start()", steps.first), ("end()", steps.last), (f"{START // 10**9 - 60}", START - MINUTE)):
        found = asked(rate % f" @ {word}", steps)
        alone = asked(rate % "", Steps(time))
        assert found.values.tolist() == [[alone.values[0, 0]] * 5]
        assert asked(f"count_over_time({CALLS}[5m] @ {word})", steps).values[:, 0].tolist() == [5, 5]


def test_a_label_is_made_of_another_where_all_of_it_fits() -> None:
    def labels(text: str) -> list[dict[str, str]]:
        return [dict(each) for each in asked(text, Steps(START)).labels]

    base = f"sum by (service_name) (rate({CALLS}[5m]))"
    assert labels(f'label_replace({base}, "to", "<$1${{rest}}$$$9>", "service_name", "(.)(?P<rest>.*)")') == [
        {"service_name": "cart", "to": "<cart$>"},
        {"service_name": "mail", "to": "<mail$>"},
    ]
    assert labels(f'label_replace({base}, "service_name", "basket", "service_name", "cart")') == [
        {"service_name": "basket"},
        {"service_name": "mail"},
    ]
    assert labels(f'label_replace({base}, "service_name", "", "service_name", "car")') == labels(base)
    assert labels(f'label_replace({base}, "none", "$1", "other", "(.*)")') == labels(base)
    with pytest.raises(EvaluationError, match="same labelset"):
        asked(f'label_replace({base}, "service_name", "x", "service_name", ".*")', Steps(START))


@pytest.mark.parametrize(
    "doubled",
    [
        'label_replace({}, "service", "$1$1", "service", "(.*)")',
        'label_join({}, "service", "", "service", "service")',
    ],
)
def test_a_label_does_not_grow_without_bound(doubled: str) -> None:
    text = CALLS
    for _ in range(15):
        text = doubled.format(text)
    with pytest.raises(EvaluationError, match="the label service has more than 10000 characters"):
        asked(text, Steps(START))


def test_labels_do_not_grow_without_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_MOST_CHARACTERS", 100_000)
    text = f'label_replace({CALLS}, "long", "{"x" * 5_000}", "", "")'
    for number in range(10):
        text = f'label_replace({text}, "label_{number}", "$1", "long", "(.*)")'
    with pytest.raises(EvaluationError, match="all labels have more than 100000 characters together"):
        asked(text, Steps(START))


def test_the_parts_of_a_query_may_not_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = " or ".join(f'label_replace({CALLS}, "number", "{number}", "", "")' for number in range(20))
    steps = Steps(START, 10**9, 11)
    assert len(asked(f"sum({parts})", steps).labels) == 1
    monkeypatch.setattr(evaluation, "_MOST_AT_ONCE", 200)
    with pytest.raises(EvaluationError, match=r"\d+ series at 11 steps are too many at once"):
        asked(f"sum({parts})", steps)
    monkeypatch.setattr(evaluation, "_MOST_AT_ONCE", 20)
    for read in (CALLS, f"rate({CALLS}[5m])"):
        with pytest.raises(EvaluationError, match="2 series at 11 steps are too many at once"):
            asked(read, steps)


def test_a_subquery_may_not_be_too_long() -> None:
    with pytest.raises(EvaluationError, match="a subquery has 11001 steps of 1 s; ask for longer ones, 11000 at most"):
        asked(f"max_over_time({CALLS}[11001s:1s])", Steps(START))
    with pytest.raises(EvaluationError, match="max_over_time of 2 series is too much"):
        asked(f"max_over_time({CALLS}[10900s:1s])", Steps(START, 10**6, 5000))
