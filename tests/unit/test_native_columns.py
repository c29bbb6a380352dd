"""Blocks of columns of any table, read by clickhouse-connect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.native_columns import TYPES, NativeColumn, NumberMaps, Strings, encode_columns
from tests.support.faulty_clickhouse import read_native

texts = st.text(st.characters(codec="utf-8"), max_size=20)
float64s = st.floats(allow_nan=False)
maps = st.dictionaries(st.integers(-(2**15), 2**15 - 1), float64s, max_size=6)


def number_maps(values: list[dict[int, float]]) -> NumberMaps:
    return NumberMaps(
        np.array([len(value) for value in values], np.int64),
        np.array([key for value in values for key in value], np.int16),
        np.array([number for value in values for number in value.values()], np.float64),
    )


def strings(values: list[str]) -> Strings:
    differing = list(dict.fromkeys(values))
    return Strings(differing, np.array([differing.index(value) for value in values], np.int64))


@given(st.data())
@settings(deadline=None)
def test_columns_of_every_type_are_read_as_they_were_written(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 20))

    def drawn(values: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(values, min_size=rows, max_size=rows))

    symbols, plain, floats, seconds = drawn(texts), drawn(texts), drawn(float64s), drawn(st.integers(0, 2**32 - 1))
    counts, sketches = drawn(st.integers(0, 2**64 - 1)), drawn(maps)
    columns = [
        NativeColumn("Symbol", "LowCardinality(String)", strings(symbols)),
        NativeColumn("Text", "String", strings(plain)),
        NativeColumn("Time", "DateTime", np.array(seconds, np.int64)),
        NativeColumn("Count", "UInt64", np.array(counts, np.uint64)),
        NativeColumn("Sum", "Float64", np.array(floats)),
        NativeColumn("Sketch", "Map(Int16, Float64)", number_maps(sketches)),
    ]
    chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=rows)))
    read = read_native(encode_columns([column.select(chosen) for column in columns], len(chosen)))
    assert read == {
        "Symbol": [symbols[row] for row in chosen],
        "Text": [plain[row] for row in chosen],
        "Time": [datetime.fromtimestamp(seconds[row], UTC).replace(tzinfo=None) for row in chosen],
        "Count": [counts[row] for row in chosen],
        "Sum": [floats[row] for row in chosen],
        "Sketch": [sketches[row] for row in chosen],
    }


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_numbers_of_every_type_are_read_as_they_were_written(kind: str) -> None:
    values = np.array([1, 0, 1])
    read = read_native(encode_columns([NativeColumn("Number", kind, values)], 3))["Number"]
    assert [value.timestamp() if kind == "DateTime" else value for value in read] == [1, 0, 1]


@pytest.mark.parametrize("kind", ["Map(String, String)", "Nullable(UInt64)"])
def test_other_types_are_refused(kind: str) -> None:
    values = number_maps([{1: 2.0}]) if kind.startswith("Map") else np.array([1])
    with pytest.raises(KeyError):
        encode_columns([NativeColumn("Other", kind, values)], 1)
