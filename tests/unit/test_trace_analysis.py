"""What is made of one trace beside its paths: what-if, groups, comparison, reductions, clocks and adjusted times."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.adjusters import ADJUSTERS
from collector.query.analysis.comparison import Node, compare
from collector.query.analysis.critical_path import find_critical_path
from collector.query.analysis.statistics import group_spans, shape_of
from collector.query.analysis.what_if import WhatIf, without_span
from collector.query.clock_skew import find_skews
from collector.query.reduction import Reduction, Repeat, reduce_bars
from collector.query.skeleton import Skeleton
from collector.query.tree import ROOT, build_tree
from collector.query.view import view_of
from collector.query.waterfall import build_waterfall, self_times_of
from tests.support.shapes import large_trace
from tests.support.stored import Drawn, draw, drawn, real_traces, renamed
from tests.unit.test_critical_path import forests


def what_if(spans: Skeleton, name: str) -> WhatIf:
    tree = build_tree(spans)
    return without_span(find_critical_path(spans, tree), tree, spans.names.index(name))


@pytest.mark.parametrize(("name", "saved", "rival"), [("C", 25, None), ("B", 30, "A"), ("A", 0, None)])
def test_what_a_span_of_the_worked_table_would_save(name: str, saved: int, rival: str | None) -> None:
    spans = draw("R[0,100], A[10,40]<R, B[10,70]<R, C[70,95]<R")
    found = what_if(spans, name)
    assert found.saved == saved
    (level,) = found.levels
    assert level.rival == (ROOT if rival is None else spans.names.index(rival))


def test_a_root_would_save_all_of_its_time() -> None:
    found = what_if(draw("R[0,100], A[10,40]<R"), "R")
    assert (found.saved, found.levels) == (100, [])


def test_a_span_saves_no_more_than_the_least_drag_above_it() -> None:
    # D holds B up by 50, but without D the root waits for A from 60 on.
    spans = draw("R[0,100], A[10,60]<R, B[10,80]<R, D[20,70]<B")
    found = what_if(spans, "D")
    assert [(spans.names[level.row], level.drag, level.saved) for level in found.levels] == [("D", 50, 50), ("B", 20, 20)]
    assert found.saved == 20


@pytest.mark.parametrize("name", ["B", "C"])
def test_what_nobody_waited_for_saves_nothing_and_says_why(name: str) -> None:
    found = what_if(draw("A[0,30] PRODUCER, B[10,20]<A CONSUMER, C[12,14]<B"), name)
    assert (found.saved, found.levels, found.excluded) == (0, [], "producer-consumer")


def ends_without(forest: list[Drawn], name: str) -> int:
    """When the root ends if a span takes no time: what started after its end starts that much sooner, unless a sibling that ended
    later than that was waited for instead. From the span up, one level at a time."""
    by_name = {span.name: span for span in forest}
    gain = by_name[name].end - by_name[name].start
    while by_name[name].parent:
        span = by_name[name]
        siblings = [other for other in forest if other.parent == span.parent and other.name != name]
        before = [other.end for other in siblings if other.end <= span.end]
        gain = min(gain, span.end - max(before, default=span.end - gain))
        name = span.parent
    return by_name[name].end - gain


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 1)), min_size=1, max_size=8), st.data())
def test_calls_one_after_the_other_save_what_retiming_them_saves(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    # All on the path: successive calls, some with one call inside, each a unit apart.
    forest = []
    now = 1
    for index, (length, nested) in enumerate(steps):
        forest.append(Drawn(f"c{index}", now, now + length + 2, "R"))
        if nested:
            forest.append(Drawn(f"d{index}", now + 1, now + length + 1, f"c{index}"))
        now += length + 3
    forest.insert(0, Drawn("R", 0, now + 10))
    spans = draw(forest)
    name = data.draw(st.sampled_from([span.name for span in forest[1:]]))
    found = what_if(spans, name)
    assert spans.durations[found.root] - found.saved == ends_without(forest, name)


@given(forests())
def test_no_span_saves_more_than_its_own_time_or_its_roots(forest: list[Drawn]) -> None:
    spans = draw(forest)
    tree = build_tree(spans)
    path = find_critical_path(spans, tree)
    for root in path.roots:
        for share in root.shares:
            found = without_span(path, tree, share.row)
            assert found.saved == share.saving
            assert 0 <= share.saving <= min(spans.durations[share.row], spans.durations[root.root])


def test_groups_add_up_counts_durations_and_self_times() -> None:
    spans = draw("A[0,100] @web, B[10,30]<A @cart, C[40,90]<A @cart")
    tree = build_tree(spans)
    cart, web = group_spans(spans, spans.services, self_times_of(spans, tree).tolist(), [30, 20, 50])
    assert (cart.key, cart.spans, cart.total, cart.minimum, cart.maximum, cart.self_total, cart.on_path) == (
        "cart", 2, 70, 20, 50, 70, 70,
    )  # fmt: skip
    assert (web.key, web.self_total, web.self_minimum, web.self_maximum) == ("web", 30, 30, 30)
    assert shape_of(tree)._asdict() == {"depth": 2, "roots": 1, "missing_parents": 0, "leaves": 2, "widest": 2}


@given(forests())
def test_groups_of_any_kind_have_each_span_and_all_self_time_once(forest: list[Drawn]) -> None:
    spans = draw(forest)
    self_times = self_times_of(spans, build_tree(spans)).tolist()
    for keys in (spans.names, spans.kinds, [0] * len(spans)):
        groups = group_spans(spans, list(keys), self_times, self_times)
        assert sum(group.spans for group in groups) == len(spans)
        assert sum(group.self_total for group in groups) == sum(self_times)
        assert [group.self_total for group in groups] == sorted((group.self_total for group in groups), reverse=True)


def compared(left: Skeleton, right: Skeleton) -> list[Node]:
    return compare((left, build_tree(left)), (right, build_tree(right)))


def test_traces_are_compared_by_how_their_spans_were_called() -> None:
    left = draw("A[0,100] @web, B[10,30]<A @db, C[40,50]<A @db, D[60,70]<A @cache")
    right = draw("A[0,90] @web, B[10,30]<A @db, C[40,80]<A @mail")
    left = renamed(left, ["GET /", "query", "query", "get"])
    right = renamed(right, ["GET /", "query", "send"])
    found = {
        node.name: (node.depth, node.state, node.left.spans, node.right.spans, node.left.total) for node in compared(left, right)
    }
    assert found == {
        "GET /": (0, "same", 1, 1, 100),
        "query": (1, "fewer", 2, 1, 30),
        "get": (1, "only-left", 1, 0, 10),
        "send": (1, "only-right", 0, 1, 0),
    }


def test_a_span_that_calls_something_and_one_that_does_not_are_not_the_same() -> None:
    nodes = compared(draw("A[0,100], B[1,2]<A"), draw("A[0,100]"))
    assert [(node.name, node.leaf, node.state) for node in nodes] == [
        ("A", False, "only-left"),
        ("B", True, "only-left"),
        ("A", True, "only-right"),
    ]


@given(forests(), forests())
def test_a_comparison_has_each_span_of_both_once(left: list[Drawn], right: list[Drawn]) -> None:
    a, b = draw(left), draw(right)
    nodes = compared(a, b)
    assert (sum(node.left.spans for node in nodes), sum(node.right.spans for node in nodes)) == (len(a), len(b))
    assert (sum(node.left.total for node in nodes), sum(node.right.total for node in nodes)) == (
        sum(a.durations),
        sum(b.durations),
    )
    for position, node in enumerate(nodes):
        assert node.parent < position
        assert node.depth == (0 if node.parent == ROOT else nodes[node.parent].depth + 1)
    assert {node.state for node in compared(a, a)} == {"same"}


@pytest.mark.parametrize("shape", ["chain", "star"])
def test_100_000_spans_of_any_shape_are_compared_and_grouped(shape: str) -> None:
    trace = large_trace(shape)
    spans = renamed(trace, ["call"] * len(trace))
    nodes = compared(spans, spans)
    assert sum(node.left.spans for node in nodes) == len(spans)
    tree = build_tree(spans)
    (group,) = group_spans(spans, spans.names, self_times_of(spans, tree).tolist(), [0] * len(spans))
    assert group.spans == len(spans)


TREE = "R[1,100], A[10,50]<R, B[11,20]<A, C[12,14]<B, D[60,90]<R, E[61,62]<D"


class ShownBar(NamedTuple):
    row: int
    omitted: int
    repeat: Repeat | None


def reduced(spans: Skeleton, reduction: Reduction) -> list[ShownBar]:
    """The bars that are left."""
    tree = build_tree(spans)
    found = reduce_bars(spans, tree, build_waterfall(spans, tree).table, reduction)
    rows = found.table["row"].tolist()
    return [ShownBar(row, omitted, found.repeats.get(row)) for row, omitted in zip(rows, found.omitted.tolist(), strict=True)]


def shown(spans: Skeleton, reduction: Reduction) -> dict[str, int]:
    """Names of the bars that are left → how many below them are not."""
    return {spans.names[item.row]: item.omitted for item in reduced(spans, reduction)}


def test_a_waterfall_can_be_of_one_subtree_to_a_depth() -> None:
    spans = draw(TREE)
    assert shown(spans, Reduction()) == dict.fromkeys("RABCDE", 0)
    assert shown(spans, Reduction(depth=1)) == {"R": 0, "A": 2, "D": 1}
    below = spans.names.index("A")
    assert shown(spans, Reduction(below=below)) == {"A": 0, "B": 0, "C": 0}
    assert shown(spans, Reduction(below=below, depth=1)) == {"A": 0, "B": 1}


def test_a_waterfall_can_be_of_long_or_failed_spans_and_their_ancestors() -> None:
    spans = draw([*drawn(TREE), Drawn("F", 13, 14, "C", failed=True), Drawn("G", 70, 75, "D", failed=True)])
    assert shown(spans, Reduction(minimum_duration=20)) == {"R": 0, "A": 3, "D": 2}
    assert shown(spans, Reduction(only_errors=True)) == {"R": 0, "A": 0, "B": 0, "C": 0, "F": 0, "D": 1, "G": 0}
    assert shown(spans, Reduction(only_errors=True, minimum_duration=5)) == {"R": 1 + 3, "D": 1, "G": 0}
    assert shown(spans, Reduction(only_errors=True, depth=2)) == {"R": 0, "A": 0, "B": 2, "D": 1, "G": 0}


def test_repeats_of_leaves_are_one_bar_and_what_parts_them_stays() -> None:
    spans = draw(
        [
            Drawn("R", 1, 100),
            *(Drawn(f"q{n}", 2 + 10 * n, 3 + 11 * n, "R", failed=n == 2) for n in range(6)),
            Drawn("x", 43, 44, "q4"),
        ]
    )
    spans = renamed(spans, ["q" if name.startswith("q") else name for name in spans.names])
    found = [
        f"{spans.names[item.row]}{spans.starts[item.row]}" + (f" x {item.repeat.spans}" if item.repeat else "")
        for item in reduced(spans, Reduction(repeats=2))
    ]
    assert found == ["R1", "q2 x 2", "q22", "q32", "q42", "x43", "q52"]
    assert reduced(spans, Reduction(repeats=2))[1].repeat == (2, 1, 2, 3)


REDUCTIONS = st.builds(
    Reduction,
    depth=st.none() | st.integers(0, 3),
    minimum_duration=st.integers(0, 30),
    only_errors=st.booleans(),
    repeats=st.none() | st.integers(2, 4),
)


@given(forests(), REDUCTIONS, st.data())
def test_every_span_is_shown_or_counted_where_it_is_missing(
    forest: list[Drawn], reduction: Reduction, data: st.DataObject
) -> None:
    # Below a root that always fits, so that every span has something above it that is shown; two names, so that some repeat.
    name_of = {span.name: f"{'xy'[index % 2]}{index}" for index, span in enumerate(forest)}
    below = [Drawn(name_of[s.name], s.start, s.end, name_of.get(s.parent, "r")) for s in forest]
    failed = [Drawn(s.name, s.start, s.end, s.parent, failed=data.draw(st.booleans())) for s in below]
    spans = draw([Drawn("r", 0, 100, failed=True), *failed])
    spans = renamed(spans, [name[0] for name in spans.names])
    tree = build_tree(spans)
    items = reduced(spans, reduction)
    rows = {item.row for item in items}
    assert all(tree.parents[row] in {ROOT, *rows} for row in rows)
    assert sum(item.omitted + (item.repeat.spans if item.repeat else 1) for item in items) == len(spans)


CALL = "A[100,200] @web, K[110,160]<A CLIENT @web, V[155,200]<K SERVER @cart, W[160,170]<V @cart"


def test_the_clock_of_the_worked_example_is_42_ahead_and_correcting_it_gives_the_server_its_time() -> None:
    spans = draw(CALL)
    skews = find_skews(spans, build_tree(spans))
    assert dict(zip(spans.names, skews.by_row.tolist(), strict=True)) == {"A": 0, "K": 0, "V": 42, "W": 42}
    (warning,) = skews.warnings
    assert (spans.names[warning.row], warning.kind) == ("V", "clock-skew")
    assert "42 ns ahead" in warning.text
    for adjusters, expected in (((), {"A": 50, "K": 45, "V": 5}), (("clock-skew",), {"A": 50, "K": 5, "V": 35, "W": 10})):
        view = view_of(spans, adjusters)
        (root,) = find_critical_path(view.spans, view.tree).roots
        assert {view.spans.names[share.row]: share.on_path for share in root.shares if share.on_path} == expected
        assert view.skews.tolist() == skews.by_row.tolist()


@pytest.mark.parametrize(
    "trace",
    [
        "K[10,60] CLIENT @web, V[15,55]<K SERVER @cart",
        # Clocks that agree: one host, a message, a server that lasts longer, a call without kinds.
        "K[10,60] CLIENT @web, V[55,100]<K SERVER @web",
        "K[10,60] PRODUCER @web, V[55,100]<K CONSUMER @cart",
        "K[10,60] CLIENT @web, V[55,200]<K SERVER @cart",
        "K[10,60] @web, V[55,100]<K @cart",
        # Calls that contradict each other: no one offset explains both.
        "A[1,200] @web, K[10,60]<A CLIENT @web, V[55,100]<K SERVER @cart, L[110,150]<A CLIENT @web, W[70,100]<L SERVER @cart",
    ],
)  # fmt: skip
def test_clocks_that_may_agree_are_left_alone(trace: str) -> None:
    spans = draw(trace)
    assert not find_skews(spans, build_tree(spans)).by_row.any()
    assert view_of(spans, ["clock-skew"]).spans.starts == spans.starts


def test_all_calls_between_two_clocks_bound_their_offset_whoever_calls() -> None:
    # cart is 40 to 45 ahead by the first call, and 43 to 48 by the one back.
    spans = draw(
        "A[1,300] @web, K[10,60]<A CLIENT @web, V[55,100]<K SERVER @cart,L[60,99]<V CLIENT @cart, W[17,51]<L SERVER @web"
    )
    skews = dict(zip(spans.names, find_skews(spans, build_tree(spans)).by_row.tolist(), strict=True))
    assert skews == {"A": 0, "K": 0, "V": 44, "L": 44, "W": 0}


def test_spans_of_one_host_have_one_clock_whatever_their_process() -> None:
    spans = draw([Drawn("K", 10, 60, "", "CLIENT", "web", host="h"), Drawn("V", 55, 100, "K", "SERVER", "cart", host="h")])
    assert find_skews(spans, build_tree(spans)).by_row.tolist() == [0, 0]


@given(forests(), st.sets(st.sampled_from([adjuster.name for adjuster in ADJUSTERS])))
def test_adjusters_leave_what_is_stored_as_it_is_and_rows_where_they_are(forest: list[Drawn], names: set[str]) -> None:
    spans = draw(forest)
    before = spans.table.copy()
    view = view_of(spans, names)
    assert (spans.table == before).all()
    assert view.spans.span_ids == spans.span_ids
    assert sorted(row for row, _ in view.tree.walk()) == list(range(len(spans)))


def test_traces_of_every_real_system_can_be_analysed_and_its_self_times_add_up() -> None:
    for spans in real_traces():
        view = view_of(spans, [adjuster.name for adjuster in ADJUSTERS])
        self_times = self_times_of(view.spans, view.tree).tolist()
        groups = group_spans(view.spans, view.spans.services, self_times, self_times)
        assert sum(group.self_total for group in groups) == sum(self_times)
        path = find_critical_path(view.spans, view.tree)
        for root in path.roots:
            assert sum(part.end - part.start for part in root.segments) == view.spans.durations[root.root]
        assert {node.state for node in compare((spans, view.tree), (spans, view.tree))} == {"same"}
        kept = reduced(view.spans, Reduction(repeats=3))
        assert sum(item.repeat.spans if item.repeat else 1 for item in kept) == len(spans)
