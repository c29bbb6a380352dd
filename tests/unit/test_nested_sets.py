from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.query.nested_sets import TRUE_ROOT, UNKNOWN, NestedSet, nested_sets
from collector.query.tree import ROOT, build_tree
from tests.support.stored import Drawn, draw


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-2, 19)), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_numbers_of_a_span_enclose_those_of_all_that_is_below_it_and_no_others(drawn: list[tuple[int, int]]) -> None:
    """Parents are others, whichever: so there are cycles, spans that name themselves, and parents that have not been stored."""
    names = {-2: "", -1: "gone"}
    spans = draw([Drawn(f"s{row}", start, 50, names.get(parent, f"s{parent}")) for row, (start, parent) in enumerate(drawn)])
    tree = build_tree(spans)
    numbers = nested_sets(tree, spans.table["parent_span_id"])

    def above(row: int) -> Iterator[int]:
        while (row := tree.parents[row]) != ROOT:
            yield row

    for row, each in enumerate(numbers):
        enclosing = {other for other, its in enumerate(numbers) if its.left < each.left and each.right < its.right}
        assert enclosing == set(above(row))
        parent = tree.parents[row]
        assert each.parent == (numbers[parent].left if parent != ROOT else UNKNOWN if spans.parent_span_ids[row] else TRUE_ROOT)
    assert sorted(number for each in numbers for number in (each.left, each.right)) == list(range(1, 2 * len(spans) + 1))


def test_a_tree_is_numbered_from_its_root_on() -> None:
    spans = draw("A[0,100], B[10,40]<A, C[50,60]<A, D[20,30]<B")
    numbers = nested_sets(build_tree(spans), spans.table["parent_span_id"])
    assert dict(zip(spans.names, numbers, strict=True)) == {
        "A": NestedSet(1, 8, TRUE_ROOT),
        "B": NestedSet(2, 5, 1),
        "C": NestedSet(6, 7, 1),
        "D": NestedSet(3, 4, 2),
    }
