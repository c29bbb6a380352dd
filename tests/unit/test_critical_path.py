"""Worked examples E1 to E28 of the definition, drag and slack, and what holds for every forest."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.analysis.critical_path import CriticalPath, Overflow, find_critical_path
from collector.query.spans import Spans
from collector.query.tree import build_tree
from tests.support.rows import rows_of
from tests.support.shapes import LARGE_SHAPES, large_trace
from tests.support.stored import Drawn, draw, spans_by_trace
from tests.support.traces import all_traces


def path_of(spans: Spans, tolerance: Fraction = Fraction(1, 100), overflow: Overflow = "clip") -> CriticalPath:
    return find_critical_path(spans, build_tree(spans), tolerance=tolerance, overflow=overflow)


def written(spans: Spans, path: CriticalPath) -> str:
    """The segments of all roots as the examples write them."""
    return "; ".join(
        ", ".join(f"{spans.names[segment.row]} {segment.start}-{segment.end}" for segment in root.segments) for root in path.roots
    )


EXAMPLES = {
    "E1 single span": ("A[0,100]", "A 0-100"),
    "E2 one child": ("A[0,100], B[10,60]<A", "A 60-100, B 10-60, A 0-10"),
    "E3 two calls in series": (
        "C[0,100], D[20,40]<C, E[50,60]<C",
        "C 60-100, E 50-60, C 40-50, D 20-40, C 0-20",
    ),
    "E4 two overlapping calls": ("X[0,100], A[10,50]<X, C[20,60]<X", "X 60-100, C 20-60, X 0-20"),
    "E5 nested": ("A[0,100], B[10,60]<A, C[20,30]<B", "A 60-100, B 30-60, C 20-30, B 10-20, A 0-10"),
    "E6 fan-out": ("A[0,100], B[5,50]<A, C[5,70]<A, D[5,90]<A", "A 90-100, D 5-90, A 0-5"),
    "E7 fan-out and a second stage": (
        "A[0,100], B[5,40]<A, C[5,45]<A, D[50,90]<A, E[55,85]<D",
        "A 90-100, D 85-90, E 55-85, D 50-55, A 45-50, C 5-45, A 0-5",
    ),
    "E8 back to back with a faster sibling": (
        "R[0,100], A[10,40]<R, B[10,70]<R, C[70,95]<R",
        "R 95-100, C 70-95, B 10-70, R 0-10",
    ),
    "E9 back to back": ("A[0,100], B[10,40]<A, C[40,80]<A", "A 80-100, C 40-80, B 10-40, A 0-10"),
    "E10 child outlives parent": ("A[0,29], B[14,34]<A, C[9,24]<B", "B 24-29, C 14-24, A 0-14"),
    "E11 child starts after the parent ended": ("A[0,30], B[40,80]<A, C[50,60]<B", "A 0-30"),
    "E12 overlaps of one unit": (
        "A[0,1000], B[10,210]<A, C[209,309]<A, D[308,608]<A",
        "A 608-1000, D 308-608, C 209-308, B 10-209, A 0-10",
    ),
    "E13 child covers its parent": ("A[10,30], B[5,35]<A", "B 10-30"),
    "E14 child before its parent": ("A[10,30], B[1,5]<A", "A 10-30"),
    "E15 producer and consumer": ("A[0,30] PRODUCER, B[10,20]<A CONSUMER, C[12,14]<B", "A 0-30"),
    "E16 background child": ("A[0,50], B[5,20]<A, F[10,200]<A", "F 10-50, A 0-10"),
    "E17 grandchild beyond its parent": ("A[0,100], B[10,70]<A, C[20,120]<B", "A 70-100, C 20-70, B 10-20, A 0-10"),
    "E18 late sibling": (
        "A[0,100], B[110,160]<A, C[120,150]<B, D[60,90]<A",
        "A 90-100, D 60-90, A 0-60",
    ),
    "E19 overlapping grandchildren": (
        "A[0,100], B[10,70]<A, C[25,45]<B, D[30,50]<B",
        "A 70-100, B 50-70, D 30-50, B 10-30, A 0-10",
    ),
    "E20 chain of overlaps": (
        "A[0,80], B[10,30]<A, C[20,45]<A, D[40,65]<A",
        "A 65-80, D 40-65, A 30-40, B 10-30, A 0-10",
    ),
    "E21 deep but quick": (
        "A[0,100], B[5,30]<A, C[6,29]<B, D[7,28]<C, E[30,95]<A",
        "A 95-100, E 30-95, B 29-30, C 28-29, D 7-28, C 6-7, B 5-6, A 0-5",
    ),
    "E22 server clock ahead": (
        "A[0,100], K[10,60]<A CLIENT, V[55,100]<K SERVER",
        "A 60-100, V 55-60, K 10-55, A 0-10",
    ),
    "E23 spans of no length": ("A[0,10], Z[5,5]<A, Y[10,10]<A", "A 0-10"),
    "E24 child equal to the parent": ("A[0,100], B[0,100]<A", "B 0-100"),
    "E25 equal ends": ("A[0,100], B[10,80]<A, C[30,80]<A", "A 80-100, B 10-80, A 0-10"),
    "E26 two roots": (
        "A[0,50], B[10,30]<A; R[60,100], Q[70,90]<R",
        "A 30-50, B 10-30, A 0-10; R 90-100, Q 70-90, R 60-70",
    ),
    "E27 orphan root": ("P[0,40]<gone, Q[5,35]<P", "P 35-40, Q 5-35, P 0-5"),
    "E28 cycle": ("A[0,10]<B, B[2,8]<A", "A 8-10, B 2-8, A 0-2"),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_worked_example_gives_its_path(example: str) -> None:
    trace, expected = EXAMPLES[example]
    spans = draw(trace)
    assert written(spans, path_of(spans)) == expected


def test_ignoring_overflow_takes_the_background_child_off_the_path() -> None:
    spans = draw("A[0,50], B[5,20]<A, F[10,200]<A")
    path = path_of(spans, overflow="ignore")
    assert written(spans, path) == "A 20-50, B 5-20, A 0-5"
    assert {spans.names[row]: reason for row, reason in path.excluded.items()} == {"F": "outlives-parent"}


def test_segments_of_a_child_that_outlives_its_parent_are_uncertain() -> None:
    spans = draw("A[0,50], B[5,20]<A, F[10,200]<A, G[20,30]<F")
    marked = {spans.names[segment.row]: segment.uncertain for segment in path_of(spans).roots[0].segments}
    assert marked == {"A": False, "F": True, "G": True}


def test_excluded_spans_carry_their_reason() -> None:
    spans = draw("A[0,30] PRODUCER, B[10,20]<A CONSUMER, C[40,50]<A, D[1,2]<A")
    reasons = {spans.names[row]: reason for row, reason in path_of(spans).excluded.items()}
    assert reasons == {"B": "producer-consumer", "C": "outside-parent"}


def test_drag_and_slack_are_those_of_the_worked_table() -> None:
    spans = draw("R[0,100], A[10,40]<R, B[10,70]<R, C[70,95]<R")
    shares = {spans.names[share.row]: share for share in path_of(spans).roots[0].shares}
    assert {name: (share.drag, share.slack) for name, share in shares.items()} == {
        "R": (100, 0),
        "A": (0, 30),
        "B": (30, 0),
        "C": (25, 0),
    }
    assert {name: share.on_path for name, share in shares.items()} == {"R": 15, "A": 0, "B": 60, "C": 25}
    assert {name: share.self_time for name, share in shares.items()} == {"R": 15, "A": 30, "B": 60, "C": 25}


def test_a_span_that_is_faster_than_its_drag_saves_no_more_than_its_drag() -> None:
    # The what-if of the worked table: B takes 50 less, C follows whatever ends the stage.
    faster = draw("R[0,70], A[10,40]<R, B[10,20]<R, C[40,65]<R")
    assert written(faster, path_of(faster)) == "R 65-70, C 40-65, A 10-40, R 0-10"
    assert 100 - faster.durations[0] == 30


@st.composite
def forests(draw_value: st.DrawFn) -> list[Drawn]:
    """Up to 12 spans with parents before them, any times, sometimes a missing parent."""
    count = draw_value(st.integers(1, 12))
    spans = []
    for index in range(count):
        start = draw_value(st.integers(0, 40))
        parent = draw_value(st.integers(-2, index - 1))
        kind = draw_value(st.sampled_from(["", "", "PRODUCER", "CONSUMER"]))
        name = "gone" if parent == -2 else f"s{parent}" if parent >= 0 else ""
        spans.append(Drawn(f"s{index}", start, start + draw_value(st.integers(0, 40)), name, kind))
    return spans


TOLERANCES = st.sampled_from([Fraction(0), Fraction(1, 100), Fraction(1, 4), Fraction(1)])


@given(forests(), TOLERANCES, st.sampled_from(["clip", "ignore"]))
def test_segments_tile_their_root_and_lie_inside_their_ancestors(
    forest: list[Drawn], tolerance: Fraction, overflow: Overflow
) -> None:
    spans = draw(forest)
    tree = build_tree(spans)
    for root in find_critical_path(spans, tree, tolerance=tolerance, overflow=overflow).roots:
        reached = spans.starts[root.root] + spans.durations[root.root]
        for segment in root.segments:
            assert segment.end == reached
            assert segment.start < segment.end
            reached = segment.start
            row = segment.row
            while row >= 0:
                assert spans.starts[row] <= segment.start
                assert segment.end <= spans.starts[row] + spans.durations[row]
                row = tree.parents[row]
        assert reached == spans.starts[root.root]
        assert sum(share.on_path for share in root.shares) == spans.durations[root.root]


@given(forests(), TOLERANCES, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(forest: list[Drawn], tolerance: Fraction, source: random.Random) -> None:
    spans = draw(forest)
    shuffled = list(forest)
    source.shuffle(shuffled)
    again = draw(shuffled)
    assert written(spans, path_of(spans, tolerance)) == written(again, path_of(again, tolerance))


@given(forests(), TOLERANCES)
def test_removing_a_subtree_without_a_segment_changes_nothing(forest: list[Drawn], tolerance: Fraction) -> None:
    spans = draw(forest)
    tree = build_tree(spans)
    path = path_of(spans, tolerance)
    on_path = {segment.row for root in path.roots for segment in root.segments}
    for row, parent in enumerate(tree.parents):
        below = {row}
        for descendant, _ in tree.walk():
            if tree.parents[descendant] in below:
                below.add(descendant)
        if parent >= 0 and not below & on_path:
            gone = {spans.names[member] for member in below}
            rest = draw([span for span in forest if span.name not in gone])
            assert written(rest, path_of(rest, tolerance)) == written(spans, path)


@given(forests(), TOLERANCES, st.integers(1, 5), st.integers(0, 1000))
def test_scaled_and_shifted_times_give_the_scaled_and_shifted_path(
    forest: list[Drawn], tolerance: Fraction, scale: int, shift: int
) -> None:
    # Times are multiples of 100, so that no tolerance is a fraction of a nanosecond.
    base = [Drawn(s.name, s.start * 100, s.end * 100, s.parent, s.kind) for s in forest]
    moved = [Drawn(s.name, s.start * scale + shift, s.end * scale + shift, s.parent, s.kind) for s in base]
    spans, after = draw(base), draw(moved)
    expected = [
        (spans.names[part.row], part.start * scale + shift, part.end * scale + shift)
        for root in path_of(spans, tolerance).roots
        for part in root.segments
    ]
    found = [(after.names[part.row], part.start, part.end) for root in path_of(after, tolerance).roots for part in root.segments]
    assert found == expected


def backward_walk(spans: Spans, root: int) -> list[tuple[int, int, int]]:
    """The strict walk without tolerance, from its definition: clean up, then always the child that finished last."""
    tree = build_tree(spans)
    windows = {root: (spans.starts[root], spans.ends[root])}
    for row, _ in tree.walk():
        parent = tree.parents[row]
        if parent in windows:
            begin, end = max(spans.starts[row], windows[parent][0]), min(spans.ends[row], windows[parent][1])
            producer = spans.kinds[parent] == 4 and spans.kinds[row] == 5
            if begin < end and not producer:
                windows[row] = (begin, end)
    segments: list[tuple[int, int, int]] = []

    def visit(row: int) -> None:
        until = windows[row][1]
        # On first entry a child may end with its parent; after that only strictly before what is explained.
        eligible = [child for child in tree.children[row] if child in windows]
        while eligible:
            last = max(eligible, key=lambda child: windows[child][1])
            if windows[last][1] < until:
                segments.append((row, windows[last][1], until))
            visit(last)
            until = windows[last][0]
            eligible = [child for child in eligible if windows[child][1] < until]
        if windows[row][0] < until:
            segments.append((row, windows[row][0], until))

    visit(root)
    return segments


@given(st.permutations(range(16)), st.lists(st.integers(0, 6), min_size=7, max_size=7))
def test_without_tolerance_and_with_distinct_times_it_is_the_strict_walk(times: list[int], parents: list[int]) -> None:
    spans = draw(
        [Drawn("s0", 0, 1000)]
        + [
            Drawn(
                f"s{n}", 10 * min(times[2 * n : 2 * n + 2]) + 5, 10 * max(times[2 * n : 2 * n + 2]) + 5, f"s{parents[n - 1] % n}"
            )
            for n in range(1, 8)
        ]
    )
    path = path_of(spans, Fraction(0))
    root = path.roots[0]
    assert [(part.row, part.start, part.end) for part in root.segments] == backward_walk(spans, root.root)


@pytest.mark.parametrize("shape", LARGE_SHAPES)
def test_100_000_spans_of_any_shape_have_a_path(shape: str) -> None:
    spans = large_trace(shape)
    (root,) = path_of(spans).roots
    assert sum(part.end - part.start for part in root.segments) == spans.durations[root.root]


@pytest.mark.parametrize("end", [0, 10])
def test_equal_times_everywhere_give_one_and_the_same_path(end: int) -> None:
    forest = [Drawn("a", 0, end)] + [Drawn(f"{n:x}", 0, end, "a") for n in range(5)]
    expected = "" if end == 0 else "0 0-10"
    for seed in range(5):
        shuffled = random.Random(seed).sample(forest, len(forest))
        spans = draw(shuffled)
        assert written(spans, path_of(spans)) == expected


def test_children_one_nanosecond_apart_keep_their_order() -> None:
    start = 1_700_000_000_000_000_000
    spans = draw([Drawn("R", start, start + 9), *(Drawn(f"c{n}", start + 2 * n, start + 2 * n + 1, "R") for n in range(4))])
    order = [spans.names[part.row] for part in path_of(spans, Fraction(0)).roots[0].segments]
    assert [name for name in order if name != "R"] == ["c3", "c2", "c1", "c0"]


def test_every_root_of_real_traces_is_tiled() -> None:
    for file in all_traces()[::30]:
        for spans in spans_by_trace(rows_of(file.message)).values():
            for root in path_of(spans).roots:
                assert sum(part.end - part.start for part in root.segments) == spans.durations[root.root]
