"""What kernels make of a trace is what plain Python over its spans makes of it, whatever those say."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from collector.query.adjusters import open_ends
from collector.query.analysis.critical_path import Overflow, find_critical_path
from collector.query.clock_skew import find_skews
from collector.query.spans import Spans
from collector.query.tree import build_tree
from collector.query.view import view_of
from collector.query.waterfall import build_waterfall
from tests.support import plain_analysis as plain
from tests.support.stored import KIND_NUMBERS, Drawn, draw, real_traces

TIMES = st.integers(0, 40) | st.sampled_from([2**55, 2**63, 2**64 - 1])
CLOCKS_END = 2**56
"""Times beyond are no clock's: what they would say of clocks need not fit 64 bits."""
FORESTS = st.lists(
    st.builds(
        Drawn,
        # Few names for many spans: some share an id, some are their own ancestors, some name what is not there.
        name=st.sampled_from("abcdefghij"),
        start=TIMES,
        end=TIMES,
        parent=st.sampled_from(["", "gone", *"abcdefghij"]),
        kind=st.sampled_from(sorted(KIND_NUMBERS)),
        service=st.sampled_from(["web", "cart"]),
        failed=st.booleans(),
        host=st.sampled_from(["", "x", "y"]),
    ),
    min_size=1,
    max_size=40,
).map(draw)
TOLERANCES = st.sampled_from([Fraction(0), Fraction(1, 100), Fraction("0.333333333"), Fraction(1)])


def assert_as_plain(spans: Spans, tolerance: Fraction, overflow: Overflow) -> None:
    tree, forest = build_tree(spans), plain.forest_of(spans)
    assert (tree.parents, tree.children, tree.roots) == (forest.parents, forest.children, forest.roots)
    assert list(tree.walk()) == list(forest.walk())
    assert {(warning.row, warning.kind) for warning in tree.warnings} == forest.unusual
    assert tree.missing_parents == {row for row, kind in forest.unusual if kind == "missing-parent"}
    assert build_waterfall(spans, tree).bars == plain.bars_of(spans, forest)
    calls = plain.calls_of(spans, forest, tolerance, overflow)
    path = find_critical_path(spans, tree, tolerance=tolerance, overflow=overflow)
    assert path.excluded == calls.excluded
    cut_ends, self_times = list(calls.ends), plain.self_times_of(spans, forest)
    for root in path.roots:
        segments = list(plain.segments_of(calls, cut_ends, root.root, calls.starts[root.root]))
        assert root.segments == segments
        assert root.shares == plain.shares_of(calls, forest, self_times, root.root, segments)
    if max(spans.starts + spans.ends) < CLOCKS_END:
        assert find_skews(spans, tree).by_row.tolist() == plain.skews_of(spans, forest)


@given(FORESTS, TOLERANCES, st.sampled_from(["clip", "ignore"]))
def test_any_spans_give_what_plain_python_makes_of_them(spans: Spans, tolerance: Fraction, overflow: Overflow) -> None:
    assert_as_plain(spans, tolerance, overflow)


def test_real_traces_give_what_plain_python_makes_of_them() -> None:
    for spans in real_traces()[::3]:
        if len(spans) < 300:
            assert_as_plain(spans, Fraction(1, 100), "clip")


@given(FORESTS)
def test_times_are_adjusted_and_doubted_as_plain_python_would(spans: Spans) -> None:
    forest = plain.forest_of(spans)
    lasting = {
        row
        for row, children in enumerate(forest.children)
        if not spans.durations[row]
        and any(spans.kinds[child] != plain.CONSUMER and spans.ends[child] > spans.starts[row] for child in children)
    }
    tree = build_tree(spans)
    assert set(open_ends(spans, tree).tolist()) == lasting
    if all(spans.starts) and max(spans.starts + spans.ends) < CLOCKS_END:
        adjusted = view_of(spans, ["clock-skew"]).spans
        skews = plain.skews_of(spans, forest)
        assert adjusted.starts == [max(start - skew, 0) for start, skew in zip(spans.starts, skews, strict=True)]
        assert adjusted.ends == [max(end - skew, 0) for end, skew in zip(spans.ends, skews, strict=True)]
        assert adjusted.durations == [max(end - start, 0) for start, end in zip(adjusted.starts, adjusted.ends, strict=True)]
