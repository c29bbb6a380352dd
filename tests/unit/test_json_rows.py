"""Lists of records that are written by columns are what they would be if each record were written by itself."""

from __future__ import annotations

import gc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.api import json_rows
from collector.api.rendering import json_bytes
from collector.memory import collector_paused
from collector.query.attributes import utf8

# As they come from the store, where not all bytes need be UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=8)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text("0123456789abcdef", max_size=16) | TEXTS,
            "name": TEXTS,
            "kind": st.integers(-1, 6),
            "at": st.integers(0, 2**64 - 1),
            "count": st.integers(0, 2**53 - 1),
            "parent": st.integers(-1, 100),
            "flag": st.booleans(),
            "more": st.none() | st.fixed_dictionaries({"%s": st.integers(0, 5)}),
        }
    ),
    max_size=8,
)


@given(RECORDS)
def test_records_are_those_of_orjson(drawn: list[dict[str, Any]]) -> None:
    columns = {
        name: [record[name] for record in drawn] for name in ("id", "name", "kind", "at", "count", "parent", "flag", "more")
    }
    written = json_rows.records(
        {
            "id": json_rows.ids(columns["id"]),
            "name": json_rows.texts(columns["name"]),
            "kind": json_rows.named(columns["kind"], lambda code: f'"{code}%'),
            "at": json_rows.nanoseconds(columns["at"]),
            "count": json_rows.counts(columns["count"]),
            "parent": json_rows.positions(columns["parent"]),
            "flag": json_rows.flags(columns["flag"]),
            "more": json_rows.documents(columns["more"]),
        }
    )
    expected = [
        {
            **record,
            "id": utf8(record["id"]),
            "name": utf8(record["name"]),
            "kind": f'"{record["kind"]}%',
            "at": str(record["at"]),
            "parent": None if record["parent"] < 0 else record["parent"],
        }
        for record in drawn
    ]
    body = json_bytes({"records": written})
    assert orjson.loads(body) == {"records": expected}
    assert orjson.dumps(orjson.loads(body)) == body
    # Beside a text that orjson does not take as it is.
    assert orjson.loads(json_bytes({"odd": "\udcff", "records": written})) == {"odd": "\ufffd", "records": expected}


def test_members_of_different_lengths_are_no_records() -> None:
    with pytest.raises(ValueError, match="shorter"):
        json_rows.records({"a": json_rows.counts([1, 2]), "b": json_rows.counts([1])})


def test_the_collector_goes_on_when_the_last_who_paused_it_has_ended() -> None:
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collector_paused():
        1 / 0  # noqa: B018 - it is meant to fail
    assert gc.isenabled()
