from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.ranking import ranking_statement
from collector.query.search import Cursor, TraceSearch, decode_cursor, encode_cursor
from collector.query.store import SpanStore
from collector.query.trace import parse_trace_id
from exporters.clickhouse.client import ClickHouseClient

IDS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(st.integers(0, 2**63 - 1), IDS)
def test_a_cursor_comes_back_as_it_was(start: int, trace_id: str) -> None:
    search = TraceSearch(0, 10, "default", service="web")
    cursor = Cursor(start, trace_id)
    assert decode_cursor(search, encode_cursor(search, cursor)) == cursor


def test_a_cursor_of_another_search_is_refused() -> None:
    text = encode_cursor(TraceSearch(0, 10, "default", service="web"), Cursor(5, "a" * 32))
    with pytest.raises(ValueError, match="other parameters"):
        decode_cursor(TraceSearch(0, 10, "default", service="cart"), text)


def test_a_cursor_does_not_depend_on_the_size_of_a_page() -> None:
    text = encode_cursor(TraceSearch(0, 10, "default", limit=5), Cursor(5, "a" * 32))
    assert decode_cursor(TraceSearch(0, 10, "default", limit=50), text) == Cursor(5, "a" * 32)


@given(st.text(max_size=40))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        decode_cursor(TraceSearch(0, 10, "default"), text)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"start": 10, "end": 10}, "start"),
        ({"minimum_duration": 5, "maximum_duration": 4}, "duration"),
        ({"status": "error"}, "status"),
        ({"kind": "SERVER"}, "kind"),
        ({"limit": 0}, "limit"),
    ],
)
def test_a_search_that_contradicts_itself_names_the_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TraceSearch(**{"start": 0, "end": 10, "workspace": "default", **fields})  # type: ignore[arg-type]  # one wrong field at a time


@given(st.text(), st.text())
def test_no_value_of_a_search_ever_stands_in_its_sql(key: str, value: str) -> None:
    store = SpanStore(ClickHouseClient(["http://127.0.0.1:1"]))
    marked = TraceSearch(0, 10, "default", service=f"<{value}>", operation=f"<{value}>", attributes=((f"<{key}>", f"<{value}>"),))
    plain = TraceSearch(0, 10, "default", service="a", operation="b", attributes=(("c", "c" if key == value else "d"),))
    assert ranking_statement(store, marked, None).sql == ranking_statement(store, plain, None).sql


def test_a_table_name_that_is_not_plain_is_refused() -> None:
    with pytest.raises(ValueError, match="spans_table"):
        SpanStore(ClickHouseClient(["http://127.0.0.1:1"]), "otel_traces; DROP TABLE x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd8448eb211c80319c"),
        ("0af76519-16cd-43dd-8448-eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ("8448eb211c80319c", "00000000000000008448eb211c80319c"),
    ],
)
def test_trace_ids_are_understood_in_every_usual_spelling(text: str, expected: str) -> None:
    assert parse_trace_id(text) == expected


@pytest.mark.parametrize("text", ["", "0", "xyz", "0" * 32, "a" * 31, "a" * 33, "0x8448eb211c80319c"])
def test_other_texts_are_no_trace_ids(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        parse_trace_id(text)
