from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.query.spans import Spans
from collector.query.tree import ROOT, Tree, build_tree
from tests.support.rows import rows_of
from tests.support.stored import Drawn, draw, sharing_ids, spans_by_trace
from tests.support.traces import all_traces


def parents_by_name(spans: Spans, tree: Tree) -> dict[str, str]:
    """Name of each span -> name of its parent, '' for a root."""
    return {spans.names[row]: "" if parent == ROOT else spans.names[parent] for row, parent in enumerate(tree.parents)}


def warnings_by_name(spans: Spans, tree: Tree) -> set[tuple[str, str]]:
    return {(spans.names[warning.row], warning.kind) for warning in tree.warnings}


def test_children_stand_below_their_parents_by_start() -> None:
    spans = draw("A[0,100], C[50,60]<A, B[10,40]<A, D[20,30]<B")
    tree = build_tree(spans)
    assert [(spans.names[row], depth) for row, depth in tree.walk()] == [("A", 0), ("B", 1), ("D", 2), ("C", 1)]
    assert not tree.warnings


def test_spans_below_a_missing_parent_are_flagged_roots() -> None:
    spans = draw("A[0,10], P[20,40]<gone, Q[25,35]<P")
    tree = build_tree(spans)
    assert parents_by_name(spans, tree) == {"A": "", "P": "", "Q": "P"}
    assert {spans.names[row] for row in tree.missing_parents} == {"P"}
    assert warnings_by_name(spans, tree) == {("P", "missing-parent")}


def test_a_span_that_names_itself_is_a_root() -> None:
    spans = draw("A[0,10]<A, B[2,8]<A")
    tree = build_tree(spans)
    assert parents_by_name(spans, tree) == {"A": "", "B": "A"}
    assert warnings_by_name(spans, tree) == {("A", "own-parent")}


def test_a_cycle_is_broken_at_its_earliest_start_and_the_rest_of_the_trace_stays() -> None:
    spans = draw("R[0,100], B[5,10]<C, C[3,20]<A, A[4,10]<B, D[6,7]<B")
    tree = build_tree(spans)
    assert parents_by_name(spans, tree) == {"R": "", "C": "", "A": "B", "B": "C", "D": "B"}
    assert warnings_by_name(spans, tree) == {("C", "cycle")}


def shared(client: Drawn, server: Drawn, *others: Drawn) -> tuple[Spans, Tree]:
    """A trace in which `server` has the span id of `client`, as in Zipkin's model."""
    spans = draw([client, Drawn("server", server.start, server.end, server.parent, "SERVER", server.service), *others])
    spans = sharing_ids(spans, {"server": client.name})
    return spans, build_tree(spans)


def test_the_server_half_of_a_shared_id_is_a_child_of_the_client_half() -> None:
    spans, tree = shared(Drawn("client", 0, 100, "", "CLIENT", "web"), Drawn("", 10, 90, "", "SERVER", "cart"))
    assert parents_by_name(spans, tree) == {"client": "", "server": "client"}
    assert warnings_by_name(spans, tree) == {("server", "shared-span-id")}


def test_children_of_a_shared_id_go_to_the_half_of_their_own_process() -> None:
    spans, tree = shared(
        Drawn("client", 0, 100, "", "CLIENT", "web"),
        Drawn("", 10, 90, "", "SERVER", "cart"),
        Drawn("dns", 1, 5, "client", "", "web"),
        Drawn("query", 20, 30, "client", "CLIENT", "cart"),
        Drawn("late", 20, 95, "client", "", "other"),
        Drawn("inside", 20, 30, "client", "", "other"),
    )
    found = parents_by_name(spans, tree)
    assert found["dns"] == "client"
    assert found["query"] == "server"
    # Neither process is its own: the half that lasts around it, and the server where both do.
    assert found["late"] == "client"
    assert found["inside"] == "server"


def test_children_of_a_repeated_id_go_to_the_span_that_lasts_around_them() -> None:
    spans = sharing_ids(draw("first[0,10], second[20,30], B[22,25]<first"), {"second": "first"})
    tree = build_tree(spans)
    assert parents_by_name(spans, tree)["B"] == "second"
    assert ("second", "repeated-span-id") in warnings_by_name(spans, tree)


def test_an_end_before_its_start_is_told() -> None:
    spans = draw([Drawn("A", 100, 40)])
    assert (spans.starts, spans.ends, spans.durations) == ([100], [40], [0])
    assert warnings_by_name(spans, build_tree(spans)) == {("A", "ends-before-start")}


def test_a_chain_of_100_000_spans_is_walked_to_its_end() -> None:
    depth = 100_000
    spans = draw([Drawn(f"{n:x}", n, 2 * depth - n, f"{n - 1:x}" if n else "") for n in range(depth)])
    assert max(level for _, level in build_tree(spans).walk()) == depth - 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9), st.integers(0, 50), st.integers(0, 50)), max_size=12))
def test_any_parents_at_all_give_a_forest_with_each_span_once(
    items: list[tuple[int, int, int, int]],
) -> None:
    forest = [
        Drawn(f"n{name}", start, end, f"n{parent}" if parent >= 0 else "", ("", "CLIENT", "SERVER")[start % 3])
        for name, parent, start, end in items
    ]
    spans = draw(forest)
    tree = build_tree(spans)
    assert sorted(row for row, _ in tree.walk()) == list(range(len(spans)))
    assert len({warning.row for warning in tree.warnings if warning.kind == "cycle"}) <= len(tree.roots)


def test_real_traces_are_forests_with_each_span_once() -> None:
    for file in all_traces()[::40]:
        for spans in spans_by_trace(rows_of(file.message)).values():
            assert sorted(row for row, _ in build_tree(spans).walk()) == list(range(len(spans)))
