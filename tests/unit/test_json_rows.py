"""Lists of records that are written by columns are what they would be if each record were written by itself."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any

import numpy as np
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
            "id": st.integers(0, 2**64 - 1),
            "name": TEXTS,
            "kind": st.integers(-1, 6),
            "at": st.integers(0, 2**64 - 1),
            "skew": st.integers(-(2**63), 2**63 - 1),
            "count": st.integers(0, 2**53 - 1),
            "parent": st.integers(-1, 100),
            "flag": st.booleans(),
            "more": st.none() | st.fixed_dictionaries({"%s": st.integers(0, 5)}),
        }
    ),
    max_size=8,
)
MEMBER_TYPES = {
    "id": np.uint64, "kind": np.int32, "at": np.uint64, "skew": np.int64, "count": np.int64, "parent": np.int32, "flag": np.bool_,
}  # fmt: skip


def written(drawn: list[dict[str, Any]], odd_ids: dict[int, str]) -> dict[str, json_rows.Member]:
    columns = {name: np.array([record[name] for record in drawn], dtype) for name, dtype in MEMBER_TYPES.items()}
    return {
        "id": json_rows.ids(columns["id"], odd_ids),
        "name": json_rows.texts([record["name"] for record in drawn]),
        "kind": json_rows.named(columns["kind"], lambda code: f'"{code}%'),
        "at": json_rows.nanoseconds(columns["at"]),
        "skew": json_rows.nanoseconds(columns["skew"]),
        "count": json_rows.counts(columns["count"]),
        "parent": json_rows.positions(columns["parent"]),
        "flag": json_rows.flags(columns["flag"]),
        "more": json_rows.documents(
            {place: record["more"] for place, record in enumerate(drawn) if record["more"] is not None}, len(drawn)
        ),
    }


def expected(drawn: list[dict[str, Any]], odd_ids: dict[int, str]) -> list[dict[str, Any]]:
    return [
        {
            **record,
            "id": utf8(odd_ids.get(record["id"]) or (f"{record['id']:016x}" if record["id"] else "")),
            "name": utf8(record["name"]),
            "kind": f'"{record["kind"]}%',
            "at": str(record["at"]),
            "skew": str(record["skew"]),
            "parent": None if record["parent"] < 0 else record["parent"],
        }
        for record in drawn
    ]


@given(RECORDS, st.sampled_from(["", "\udcff", "one"]))
def test_records_are_those_of_orjson(drawn: list[dict[str, Any]], odd_id: str) -> None:
    odd_ids = {drawn[0]["id"]: odd_id} if drawn and odd_id else {}
    records = json_rows.records(written(drawn, odd_ids))
    body = json_bytes({"records": records})
    assert orjson.loads(body) == {"records": expected(drawn, odd_ids)}
    assert orjson.dumps(orjson.loads(body)) == body
    # Beside a text that orjson does not take as it is.
    assert orjson.loads(json_bytes({"odd": "\udcff", "records": records})) == {
        "odd": "\ufffd",
        "records": expected(drawn, odd_ids),
    }


@given(RECORDS, st.lists(st.integers(0, 8), max_size=4))
def test_runs_of_records_are_lists_of_their_own(drawn: list[dict[str, Any]], places: list[int]) -> None:
    bounds = [0, *sorted(min(place, len(drawn)) for place in places), len(drawn)]
    found = orjson.loads(json_bytes({"runs": json_rows.runs_of_records(written(drawn, {}), bounds)}))["runs"]
    assert found == [expected(drawn[first:end], {}) for first, end in pairwise(bounds)]


def test_members_of_different_lengths_are_no_records() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        json_rows.records({"a": json_rows.counts(np.arange(2)), "b": json_rows.counts(np.arange(1))})


def test_the_collector_goes_on_when_the_last_who_paused_it_has_ended() -> None:
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collector_paused():
        1 / 0  # noqa: B018 - it is meant to fail
    assert gc.isenabled()
