from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.query.tree import build_tree
from collector.query.waterfall import build_waterfall, self_times_of
from tests.support.rows import rows_of
from tests.support.stored import Drawn, draw, spans_by_trace
from tests.support.traces import all_traces


def test_bars_stand_in_drawing_order_with_depth_offset_and_self_time() -> None:
    spans = draw("A[100,200], B[110,150]<A, C[120,130]<B, D[140,190]<A")
    found = build_waterfall(spans, build_tree(spans))
    assert [(spans.names[bar.row], bar.depth, bar.offset, bar.duration, bar.self_time) for bar in found.bars] == [
        ("A", 0, 0, 100, 20),
        ("B", 1, 10, 40, 30),
        ("C", 2, 20, 10, 10),
        ("D", 1, 40, 50, 50),
    ]
    assert (found.start, found.duration, found.depth) == (100, 100, 3)


def test_errors_are_counted_for_every_ancestor() -> None:
    spans = draw(
        [Drawn("A", 0, 9), Drawn("B", 1, 8, "A"), Drawn("C", 2, 7, "B", failed=True), Drawn("D", 3, 4, "A", failed=True)]
    )
    found = build_waterfall(spans, build_tree(spans))
    assert {spans.names[bar.row]: (bar.descendants, bar.errors_below) for bar in found.bars} == {
        "A": (3, 2),
        "B": (1, 1),
        "C": (0, 0),
        "D": (0, 0),
    }
    assert found.error_count == 2


def test_the_trace_is_named_by_its_earliest_root_that_has_no_parent_id() -> None:
    spans = draw("orphan[0,10]<gone, A[5,10], B[7,8]")
    found = build_waterfall(spans, build_tree(spans))
    assert spans.names[found.root] == "A"


def test_a_trace_of_orphans_is_named_by_the_earliest() -> None:
    spans = draw("late[3,10]<gone, early[1,10]<lost")
    found = build_waterfall(spans, build_tree(spans))
    assert spans.names[found.root] == "early"


def test_services_are_counted_by_name() -> None:
    spans = draw("A[0,10] @web, B[1,2]<A @cart, C[3,4]<A @cart")
    assert build_waterfall(spans, build_tree(spans)).services == {"cart": 2, "web": 1}


def test_a_span_without_a_start_does_not_stretch_the_trace_to_1970() -> None:
    start = 1_700_000_000_000_000_000
    spans = draw([Drawn("A", 0, 0), Drawn("B", start, start + 10)])
    found = build_waterfall(spans, build_tree(spans))
    assert (found.start, found.duration) == (start, 10)
    assert [bar.offset for bar in found.bars] == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=8))
def test_self_time_is_what_no_child_covers_unit_by_unit(items: list[tuple[int, int, int]]) -> None:
    spans = draw(
        [
            Drawn(f"s{index}", start, start + length, f"s{parent % index}" if index else "")
            for index, (start, length, parent) in enumerate(items)
        ]
    )
    tree = build_tree(spans)
    for row, self_time in enumerate(self_times_of(spans, tree).tolist()):
        units = set(range(spans.starts[row], spans.ends[row]))
        for child in tree.children[row]:
            units -= set(range(spans.starts[child], spans.ends[child]))
        assert self_time == len(units)


def test_real_traces_have_a_bar_for_each_span_and_no_negative_time() -> None:
    for file in all_traces()[::30]:
        for spans in spans_by_trace(rows_of(file.message)).values():
            found = build_waterfall(spans, build_tree(spans))
            assert sorted(bar.row for bar in found.bars) == list(range(len(spans)))
            assert all(0 <= bar.self_time <= bar.duration and bar.offset >= 0 for bar in found.bars)
            assert sum(found.services.values()) == len(spans)
