"""The path to the end of a trace: the worked example, and what holds for every forest."""

from __future__ import annotations

import pytest
from hypothesis import given

from collector.query.analysis.completion_path import find_completion_path
from collector.query.analysis.critical_path import find_critical_path
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, build_tree
from tests.support.shapes import LARGE_SHAPES, large_trace
from tests.support.stored import Drawn, draw, real_traces
from tests.unit.test_critical_path import EXAMPLES, forests


def written(spans: Skeleton) -> str:
    steps = find_completion_path(spans, build_tree(spans)).steps
    return ", ".join(
        (f"{spans.names[step.row]} " if step.cause == ROOT else f"wait {spans.names[step.cause]}-{spans.names[step.row]} ")
        + f"{step.start}-{step.end}"
        for step in steps
    )


def test_a_consumer_waits_from_the_end_of_its_producer() -> None:
    spans = draw("R[0,30], P[5,10]<R PRODUCER, K[50,90]<P CONSUMER")
    assert written(spans) == "K 50-90, wait P-K 10-50, P 5-10, R 0-5"


def test_a_consumer_that_starts_at_once_waits_for_nothing() -> None:
    spans = draw("R[0,30], P[5,10]<R PRODUCER, K[7,90]<P CONSUMER, J[20,80]<K")
    assert written(spans) == "K 80-90, J 20-80, K 7-20, P 5-7, R 0-5"


def test_before_the_cause_the_path_goes_on_as_that_of_a_reply() -> None:
    spans = draw("R[0,60], A[5,20]<R, B[6,18]<A, P[22,40]<R PRODUCER, C[24,30]<P, K[50,90]<P CONSUMER")
    assert written(spans) == "K 50-90, wait P-K 40-50, P 30-40, C 24-30, P 22-24, R 20-22, A 18-20, B 6-18, A 5-6, R 0-5"


def test_work_that_lasts_longer_than_its_parent_ends_the_trace() -> None:
    assert written(draw("A[0,50], B[5,20]<A, F[10,200]<A")) == "F 10-200, A 0-10"


@pytest.mark.parametrize("example", ["E3", "E7", "E8", "E9", "E12", "E21", "E24"])
def test_where_everything_was_waited_for_it_is_the_critical_path(example: str) -> None:
    spans = draw(next(trace for name, (trace, _) in EXAMPLES.items() if name.split()[0] == example))
    tree = build_tree(spans)
    (root,) = find_critical_path(spans, tree).roots
    steps = find_completion_path(spans, tree).steps
    assert [step[:3] for step in steps] == [part[:3] for part in root.segments]


@given(forests())
def test_steps_go_back_from_the_last_end_without_gap_or_overlap(forest: list[Drawn]) -> None:
    spans = draw(forest)
    tree = build_tree(spans)
    path = find_completion_path(spans, tree)
    reached = max(spans.ends)
    for step in path.steps:
        assert step.end == reached
        assert step.start < step.end
        if step.cause == ROOT:
            assert spans.starts[step.row] <= step.start
            assert step.end <= spans.ends[step.row]
        else:
            assert tree.parents[step.row] == step.cause
        reached = step.start
    assert reached <= spans.starts[path.root]


@pytest.mark.parametrize("shape", LARGE_SHAPES)
def test_100_000_spans_of_any_shape_have_a_path(shape: str) -> None:
    spans = large_trace(shape)
    path = find_completion_path(spans, build_tree(spans))
    assert sum(step.end - step.start for step in path.steps) == spans.durations[path.root]


def test_real_traces_are_explained_from_their_last_end_to_the_start_of_a_root() -> None:
    for spans in real_traces():
        path = find_completion_path(spans, build_tree(spans))
        covered = sum(step.end - step.start for step in path.steps)
        assert covered >= spans.end - spans.starts[path.root]
