"""Exclusive times of the worked examples by CRISP's definition, and the definition as one recursion."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.analysis.crisp_path import find_crisp_paths
from collector.query.analysis.longest_chain import find_longest_chains
from collector.query.skeleton import Skeleton
from collector.query.tree import build_tree
from tests.support.shapes import LARGE_SHAPES, large_trace
from tests.support.stored import Drawn, draw, real_traces
from tests.unit.test_critical_path import EXAMPLES, forests

EXCLUSIVE = {
    "E1": "A 100",
    "E2": "A 50, B 50",
    "E3": "C 70, D 20, E 10",
    "E4": "X 60, C 40",
    "E5": "A 50, B 40, C 10",
    "E6": "A 15, D 85",
    "E7": "A 20, C 40, D 10, E 30",
    "E8": "R 15, B 60, C 25",
    "E9": "A 30, B 30, C 40",
    "E10": "A 14, B 5, C 10",
    "E11": "A 30",
    "E12": "A 400, B 200, C 100, D 300",
    "E13": "A 20",
    "E14": "A 20",
    "E15": "A 20, B 8, C 2",
    "E16": "A 10, F 40",
    "E17": "A 40, B 10, C 50",
    "E18": "A 70, D 30",
    "E19": "A 40, B 40, D 20",
    "E20": "A 35, B 20, D 25",
    "E21": "A 10, B 2, C 2, D 21, E 65",
    "E22": "A 50, K 5, V 45",
    "E24": "A 0, B 100",
    "E25": "A 50, C 50",
}
LONGEST = {
    "E1": "A",
    "E3": "C D",
    "E4": "X A",
    "E7": "A D E",
    "E11": "A B C",
    "E21": "A B C D",
}


def trace_of(example: str) -> Skeleton:
    return draw(next(trace for name, (trace, _) in EXAMPLES.items() if name.split()[0] == example))


@pytest.mark.parametrize("example", EXCLUSIVE)
def test_worked_example_gives_its_exclusive_times(example: str) -> None:
    spans = trace_of(example)
    (path,) = find_crisp_paths(spans, build_tree(spans))
    found = {spans.names[span.row]: span.exclusive for span in path.spans}
    assert found == {name: int(time) for name, time in (part.split() for part in EXCLUSIVE[example].split(", "))}


@pytest.mark.parametrize("example", LONGEST)
def test_worked_example_gives_its_longest_chain(example: str) -> None:
    spans = trace_of(example)
    (found,) = find_longest_chains(spans, build_tree(spans))
    assert " ".join(spans.names[row] for row in found.rows) == LONGEST[example]
    assert found.total == sum(spans.durations[row] for row in found.rows)


def test_the_longest_of_the_worked_chains_have_their_sums() -> None:
    sums = {}
    for example in ("E7", "E11", "E21"):
        spans = trace_of(example)
        sums[example] = find_longest_chains(spans, build_tree(spans))[0].total
    assert sums == {"E7": 170, "E11": 80, "E21": 169}


def test_only_true_roots_are_analysed() -> None:
    spans = draw("A[0,10], P[20,40]<gone, Q[25,35]<P, B[50,60]")
    assert [spans.names[path.root] for path in find_crisp_paths(spans, build_tree(spans))] == ["A", "B"]


def test_a_third_event_at_the_instant_parts_two_calls() -> None:
    # B ends as C starts; D starts then too, so that more happens there than these two.
    spans = draw("A[0,100], B[10,40]<A, C[40,80]<A, D[40,60]<A")
    (path,) = find_crisp_paths(spans, build_tree(spans))
    assert {spans.names[span.row] for span in path.spans} == {"A", "C"}


@pytest.mark.parametrize(
    ("trace", "server"),
    [
        # The only child of a client, and only as long as that.
        ("A[0,100], K[10,60]<A CLIENT, V[55,106]<K SERVER", 5),
        # Not the only child.
        ("A[0,100], K[10,60]<A CLIENT, V[55,100]<K SERVER, W[11,12]<K", 5),
        # A server below something between it and another server.
        ("A[0,100] SERVER, K[10,60]<A, V[55,100]<K SERVER", 45),
        ("A[0,100], K[10,60]<A, V[55,100]<K SERVER", 5),
    ],
)
def test_a_remote_child_keeps_its_time_when_the_pair_looks_like_a_call(trace: str, server: int) -> None:
    spans = draw(trace)
    (path,) = find_crisp_paths(spans, build_tree(spans))
    assert {spans.names[span.row]: span.inclusive for span in path.spans}["V"] == server


def test_two_known_hosts_make_a_remote_pair() -> None:
    for host, expected in (("a", 5), ("b", 45)):
        spans = draw([Drawn("K", 10, 60, host="a"), Drawn("V", 55, 100, "K", host=host)])
        (path,) = find_crisp_paths(spans, build_tree(spans))
        assert path.spans[1].inclusive == expected


def test_call_paths_add_up_spans_that_were_called_alike() -> None:
    spans = draw("A[0,100], B[10,20]<A, C[30,50]<A, D[60,90]<A, E[61,71]<D")
    names = ["A" if name == "A" else "leaf" if name == "E" else "step" for name in spans.names]
    spans.names[:] = names
    (path,) = find_crisp_paths(spans, build_tree(spans))
    root, step, leaf = path.call_paths
    assert (root.operation, root.parent, root.inclusive, root.exclusive) == ("A", -1, 100, 40)
    assert (step.operation, step.parent, step.inclusive, step.exclusive, step.frequency) == ("step", 0, 60, 50, 3)
    assert (spans.starts[step.worst], spans.ends[step.worst]) == (30, 50)
    assert (leaf.parent, leaf.inclusive) == (1, 10)


def recursive_path(spans: Skeleton, root: int) -> Counter[int]:
    """The definition word by word, on cleaned times, without remote pairs: rows on the path and their exclusive times."""
    tree = build_tree(spans)
    found: Counter[int] = Counter()

    def take(row: int, start: int, end: int) -> None:
        kept = []
        for child in tree.children[row]:
            low, high = spans.starts[child], spans.ends[child]
            if low >= start and high <= end:
                kept.append((low, high, child))
            elif low < start and start < high <= end:
                kept.append((start, high, child))
            elif start <= low < end < high:
                kept.append((low, end, child))
        events = [time for low, high, _ in kept for time in (low, high)]
        kept = sorted(kept, key=lambda item: item[1])[::-1]
        found[row] += end - start
        last = None
        for low, high, child in kept:
            if last is not None and not high < last[0]:
                small = high < last[1] and low < last[0] and (high - last[0]) * 100 < end - start
                if not small or sum(last[0] <= time <= high for time in events) != 2:
                    continue
            last = (low, high)
            found[row] -= high - low
            take(child, low, high)

    take(root, spans.starts[root], spans.ends[root])
    return found


@given(forests(), st.integers(1, 100))
def test_it_is_the_recursive_definition(forest: list[Drawn], scale: int) -> None:
    spans = draw([Drawn(item.name, item.start * scale, item.end * scale, item.parent, item.kind) for item in forest])
    for path in find_crisp_paths(spans, build_tree(spans)):
        expected = recursive_path(spans, path.root)
        assert {span.row: span.exclusive for span in path.spans} == {row: max(time, 0) for row, time in expected.items()}


def test_it_is_the_recursive_definition_on_real_traces_without_remote_pairs() -> None:
    for spans in real_traces():
        local = draw(
            [
                Drawn(name, start, max(start, end), parent)
                for name, parent, start, end in zip(spans.span_ids, spans.parent_span_ids, spans.starts, spans.ends, strict=True)
            ]
        )
        for path in find_crisp_paths(local, build_tree(local)):
            expected = recursive_path(local, path.root)
            assert {span.row: span.exclusive for span in path.spans} == {row: max(t, 0) for row, t in expected.items()}


@pytest.mark.parametrize("shape", LARGE_SHAPES)
def test_100_000_spans_of_any_shape_have_a_path_and_a_chain(shape: str) -> None:
    spans = large_trace(shape)
    tree = build_tree(spans)
    (path,) = find_crisp_paths(spans, tree)
    assert sum(call_path.frequency for call_path in path.call_paths) == len(path.spans)
    assert sum(span.exclusive for span in path.spans) == spans.durations[path.root]
    (longest,) = find_longest_chains(spans, tree)
    assert spans.durations[path.root] <= longest.total <= sum(spans.durations)


def chains_of(spans: Skeleton, row: int) -> list[int]:
    """Sums of the durations of every chain from a span down to a leaf, one by one."""
    children = build_tree(spans).children[row]
    below = [total for child in children for total in chains_of(spans, child)] or [0]
    return [spans.durations[row] + total for total in below]


@given(forests())
def test_no_chain_is_longer_than_the_longest(forest: list[Drawn]) -> None:
    spans = draw(forest)
    tree = build_tree(spans)
    for root, found in zip(tree.roots, find_longest_chains(spans, tree), strict=True):
        assert found.rows[0] == root
        assert found.total == max(chains_of(spans, root))
