"""Waterfall and critical path by columns say what they say in records."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.api import analysis_rendering, json_columns, json_rows, rendering
from collector.query.analysis.critical_path import find_critical_path
from collector.query.reduction import Reduction, reduce_bars
from collector.query.skeleton import Skeleton
from collector.query.view import view_of
from collector.query.waterfall import build_waterfall
from tests.support.shapes import chain, star
from tests.support.stored import Drawn, draw, real_traces
from tests.unit.test_critical_path import forests

START = 1_700_000_000_000_000_000
ODD = {
    "a span without any time": draw([Drawn("A", 0, 0), Drawn("B", START, START + 10), Drawn("C", START + 1, START + 2, "B")]),
    "times without order": draw("A[1,10]<gone, B[0,40]<A, C[5,6]<gone, D[9,3]<A, E[2,2]<E"),
    "work that is handed over": draw("A[0,30] PRODUCER, B[10,20]<A CONSUMER, C[12,14]<B"),
    "one span": draw("A[5,5]"),
    "a year": draw("A[1,40000000000000000], B[2,3]<A"),
    "calls that repeat": draw("A[0,99], " + ", ".join(f"B{each}[{each},{each + 1}]<A" for each in range(1, 9))),
}
REDUCTIONS = (Reduction(), Reduction(depth=2), Reduction(repeats=2), Reduction(minimum_duration=1_000, only_errors=True))


def both(render: Callable[[bool], dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document in records and in columns, as a client reads it."""
    records, columns = (orjson.loads(rendering.json_bytes(render(in_columns))) for in_columns in (False, True))
    return records, columns


def as_records(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """What a list by columns would be by records."""
    lists = {name: _values(column) for name, column in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _values(column: Any) -> list[Any]:
    match column:
        case {"values": values, "codes": codes}:
            return [values[code] for code in codes]
        case {"base": base, "values": values}:
            return [str(int(base) + value) for value in values]
        case str():
            ids = [column[at : at + 16] for at in range(0, len(column), 16)]
            return ["" if each == "0" * 16 else each for each in ids]
    return list(column)


def assert_equal(spans: Skeleton, reduction: Reduction, part: slice = slice(None)) -> None:
    view = view_of(spans)
    found = build_waterfall(view.spans, view.tree)
    shown = reduce_bars(view.spans, view.tree, found.table, reduction)
    window = range(len(shown))[part]
    records, columns = both(lambda in_columns: analysis_rendering.waterfall(view, found, shown, window, in_columns=in_columns))
    columns["bars"] = as_records(columns["bars"])
    assert columns == records


def assert_equal_paths(spans: Skeleton) -> None:
    view = view_of(spans)
    path = find_critical_path(view.spans, view.tree)
    records, columns = both(
        lambda in_columns: analysis_rendering.critical_path(view, path, tolerance=0.01, overflow="clip", in_columns=in_columns)
    )
    segments, shares = (iter(as_records(columns.pop(name))) for name in ("segments", "spans"))
    for root in columns["roots"]:
        root["segments"] = list(islice(segments, root.pop("segmentCount")))
        root["spans"] = list(islice(shares, root.pop("spanCount")))
    assert (list(segments), list(shares)) == ([], [])
    assert columns == records


def test_real_traces() -> None:
    for spans in real_traces():
        assert_equal(spans, Reduction())
        assert_equal_paths(spans)


@pytest.mark.parametrize("odd", ODD)
def test_odd_traces(odd: str) -> None:
    for reduction in REDUCTIONS:
        assert_equal(ODD[odd], reduction)
    assert_equal_paths(ODD[odd])


@given(forests(), st.sampled_from(REDUCTIONS), st.integers(0, 4), st.integers(0, 9))
def test_any_trace_reduced_and_in_parts(forest: list[Drawn], reduction: Reduction, first: int, last: int) -> None:
    spans = draw(forest)
    assert_equal(spans, reduction, slice(first, last))
    assert_equal_paths(spans)


def test_many_spans_take_a_quarter_of_the_bytes() -> None:
    for forest in (chain(2_000), star(2_000)):
        view = view_of(draw(forest))
        found = build_waterfall(view.spans, view.tree)
        shown = reduce_bars(view.spans, view.tree, found.table, Reduction())
        records, columns = (
            len(rendering.json_bytes(analysis_rendering.waterfall(view, found, shown, range(len(shown)), in_columns=in_columns)))
            for in_columns in (False, True)
        )
        assert columns < records / 4


@pytest.mark.parametrize(
    ("values", "base"),
    [([0, -5, 2**53 - 1], "0"), ([1_700_000_000_000_000_000, 1_700_000_000_000_000_007], "1700000000000000000"), ([], "0")],
)
def test_nanoseconds_are_numbers_that_readers_keep_exact(values: list[int], base: str) -> None:
    column = written(np.array(values, np.int64))
    assert column["base"] == base
    assert [int(base) + value for value in column["values"]] == values
    assert all(abs(value) < 2**53 for value in column["values"])


def test_nanoseconds_too_far_apart_are_texts() -> None:
    assert written(np.array([0, 2**53], np.uint64)) == ["0", str(2**53)]
    assert written(np.array([0, 2**64 - 1], np.uint64)) == ["0", str(2**64 - 1)]
    assert written(np.array([2**64 - 1, 2**64 - 8], np.uint64)) == {"base": str(2**64 - 8), "values": [7, 0]}


def written(values: Any) -> Any:
    return orjson.loads(orjson.dumps(json_columns.columns({"each": json_rows.nanoseconds(values)})))["each"]
