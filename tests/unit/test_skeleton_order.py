"""In which order the spans of a trace stand, and that one that was sent twice stands there once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.query.skeleton_rows import skeleton_from_result
from exporters.clickhouse.client import QueryResult

KINDS = {"Server": 2, "Client": 3}
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 3), st.sampled_from("abcdef"), st.sampled_from(sorted(KINDS)), st.sampled_from("xy")
    ),
    max_size=8,
)
FEW = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8).flatmap(
    lambda ids: st.tuples(
        *(st.tuples(st.integers(0, 9), st.integers(0, 3), st.just(each), st.just("Server"), st.just("x")) for each in ids)
    )
)
"""Rows whose ids are all different, as is usual."""


@given(ROWS | FEW.map(list) | FEW.map(sorted))
def test_spans_stand_by_start_end_id_and_what_else_they_are_and_once(drawn: list[tuple[Any, ...]]) -> None:
    starts, ends, ids, kinds, names = ([row[column] for row in drawn] for column in range(5))
    count = len(drawn)
    result = QueryResult(
        {
            "Start": starts,
            "End": ends,
            "SpanId": ids,
            "ParentSpanId": [""] * count,
            "SpanKind": kinds,
            "SpanKindNumber": [0] * count,
            "ServiceName": ["s"] * count,
            "SpanName": names,
            "StatusCode": ["Ok"] * count,
            "StatusCodeNumber": [0] * count,
            "Process": [1] * count,
            "Host": [""] * count,
            "Content": [1] * count,
            "StrayEvents": [0] * count,
        },
        count,
    )
    expected = sorted({(row[0], row[1], row[2], KINDS[row[3]], row[4]) for row in drawn})
    found = skeleton_from_result("1", result)
    assert list(zip(found.starts, found.ends, found.span_ids, found.kinds, found.names, strict=True)) == expected
