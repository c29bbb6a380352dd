"""Worked examples of Jaeger's definition, its known faults included, and the same walk as one recursion."""

from __future__ import annotations

import pytest
from hypothesis import given

from collector.query.analysis.jaeger_path import find_jaeger_path
from collector.query.skeleton import Skeleton
from collector.query.tree import build_tree
from tests.support.shapes import LARGE_SHAPES, large_trace
from tests.support.stored import Drawn, draw, real_traces
from tests.unit.test_critical_path import EXAMPLES, forests

DIFFERENT = {
    "E8 back to back with a faster sibling": "R 95-100, C 70-95, R 40-70, A 10-40, R 0-10",
    "E9 back to back": "A 80-100, C 40-80, A 0-40",
    "E12 overlaps of one unit": "A 608-1000, D 308-608, A 210-308, B 10-210, A 0-10",
    "E21 deep but quick": "A 95-100, E 30-95, A 0-30",
    "E23 spans of no length": "A 5-10, A 0-5",
    "E27 orphan root": "",
    "E28 cycle": "",
}
"""What differs from the default definition; all other worked examples agree with it."""


def written(spans: Skeleton) -> str:
    paths = find_jaeger_path(spans, build_tree(spans))
    return "; ".join(", ".join(f"{spans.names[part.row]} {part.start}-{part.end}" for part in path) for path in paths.values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_worked_example_gives_its_path(example: str) -> None:
    trace, default = EXAMPLES[example]
    assert written(draw(trace)) == DIFFERENT.get(example, default)


def test_of_several_roots_one_that_names_a_missing_parent_does_not_lose_the_others() -> None:
    assert written(draw("P[0,40]<gone, Q[5,35]<P, A[50,60]")) == "; A 50-60"


def recursive_walk(spans: Skeleton, root: int) -> list[tuple[int, int, int]]:
    """The definition word by word: clean up from the top, then visit and go back to the parent, recursively."""
    tree = build_tree(spans)
    windows = {root: (spans.starts[root], spans.ends[root])}
    for row, _ in tree.walk():
        parent = tree.parents[row]
        if parent not in windows or (spans.kinds[parent], spans.kinds[row]) == (4, 5):
            continue
        begin, end = windows[parent]
        start, stop = spans.starts[row], spans.ends[row]
        if start >= end or stop <= begin:
            continue
        windows[row] = (max(start, begin), min(stop, end))
    sections: list[tuple[int, int, int]] = []

    def visit(row: int, until: int | None) -> None:
        children = [child for child in tree.children[row] if child in windows]
        if until is not None:
            children = [child for child in children if windows[child][1] < until]
        else:
            until = windows[row][1]
        if children:
            last = max(children, key=lambda child: windows[child][1])
            if windows[last][1] != until:
                sections.append((row, windows[last][1], until))
            visit(last, None)
            return
        if windows[row][0] != until:
            sections.append((row, windows[row][0], until))
        if row != root:
            visit(tree.parents[row], windows[row][0])

    visit(root, None)
    return sections


@given(forests())
def test_it_is_the_recursive_definition(forest: list[Drawn]) -> None:
    spans = draw(forest)
    for root, path in find_jaeger_path(spans, build_tree(spans)).items():
        expected = [] if spans.parent_span_ids[root] else recursive_walk(spans, root)
        assert [(part.row, part.start, part.end) for part in path] == expected


@given(forests())
def test_segments_tile_every_root_that_names_no_parent(forest: list[Drawn]) -> None:
    spans = draw(forest)
    for root, path in find_jaeger_path(spans, build_tree(spans)).items():
        if not spans.parent_span_ids[root]:
            edges = [spans.ends[root], *(part.start for part in path)]
            assert [part.end for part in path] == edges[:-1]
            assert edges[-1] == spans.starts[root]


@pytest.mark.parametrize("shape", LARGE_SHAPES)
def test_100_000_spans_of_any_shape_have_a_path(shape: str) -> None:
    spans = large_trace(shape)
    ((root, path),) = find_jaeger_path(spans, build_tree(spans)).items()
    assert sum(part.end - part.start for part in path) == spans.durations[root]


def test_every_true_root_of_real_traces_is_tiled() -> None:
    for spans in real_traces():
        for root, path in find_jaeger_path(spans, build_tree(spans)).items():
            expected = 0 if spans.parent_span_ids[root] else spans.durations[root]
            assert sum(part.end - part.start for part in path) == expected
