from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.query.attributes import Attributes, decode, split_codes, to_any_value, to_json, to_key_values, typed_values
from tests.support.rows import text, type_code, types

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def same(left: Any, right: Any) -> bool:
    """Equal in type and value; NaN is itself and zero has a sign. Entries of a dict have no order."""
    if type(left) is not type(right):
        return False
    match left:
        case float():
            return (math.isnan(left) and math.isnan(right)) or (
                left == right and math.copysign(1, left) == math.copysign(1, right)
            )
        case list():
            return len(left) == len(right) and all(map(same, left, right))
        case dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@given(VALUES)
def test_any_typed_value_survives_being_text_and_code(value: Any) -> None:
    stored = to_any_value(value)
    assert same(decode(text(stored), type_code(stored)), value)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=5))
def test_any_attributes_survive_with_their_order_and_repeated_keys(entries: list[tuple[str, Any]]) -> None:
    stored = [KeyValue(key=key, value=to_any_value(value)) for key, value in entries]
    attributes = Attributes([entry.key for entry in stored], [text(entry.value) for entry in stored], types(stored))
    found = list(typed_values(attributes))
    assert [key for key, _ in found] == [key for key, _ in entries]
    assert all(same(value, original) for (_, value), (_, original) in zip(found, entries, strict=True))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("12a", "i"),
        ("yes", "b"),
        ("1,5", "d"),
        ("%%%", "x"),
        ("text", "n"),
        ("[1,2]", "[i]"),
        ("[1", "[i]"),
        ("[1]", "{i}"),
        ("[true]", "[i]"),
        ("[1]", "[s]"),
        ("[1]", "[i"),
        ("[NaN]", "[d]"),
        ("x", "?"),
    ],
)
def test_a_text_that_does_not_fit_its_code_stays_a_string(written: str, code: str) -> None:
    assert decode(written, code) == written


def test_without_codes_all_values_are_strings() -> None:
    assert list(typed_values(Attributes(["a", "b"], ["1", "true"], ""))) == [("a", "1"), ("b", "true")]


def test_codes_of_another_number_of_attributes_are_not_trusted() -> None:
    assert split_codes("ii", 3) == ["s", "s", "s"]
    assert split_codes("i[s{b}]x", 3) == ["i", "[s{b}]", "x"]


def test_not_a_number_inside_an_array_stands_as_a_word_and_comes_back_as_a_number() -> None:
    value = decode('["NaN","Infinity","-Infinity",1e+21]', "[dddd]")
    assert isinstance(value, list)
    assert math.isnan(value[0])
    assert value[1:] == [math.inf, -math.inf, 1e21]


def test_json_of_attributes_is_the_one_of_otlp() -> None:
    attributes = Attributes(
        ["s", "i", "d", "n", "b", "x", "a", "k"],
        ["t", "9223372036854775807", "NaN", "", "true", "AQI=", "[1,null]", '{"q":1.5}'],
        "sidnbx[in]{d}",
    )
    assert orjson.loads(orjson.dumps(to_json(attributes))) == [
        {"key": "s", "value": {"stringValue": "t"}},
        {"key": "i", "value": {"intValue": "9223372036854775807"}},
        {"key": "d", "value": {"doubleValue": "NaN"}},
        {"key": "n", "value": {}},
        {"key": "b", "value": {"boolValue": True}},
        {"key": "x", "value": {"bytesValue": "AQI="}},
        {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
        {"key": "k", "value": {"kvlistValue": {"values": [{"key": "q", "value": {"doubleValue": 1.5}}]}}},
    ]


def test_an_integer_beyond_64_bits_of_another_writer_becomes_a_string() -> None:
    (entry,) = to_key_values(Attributes(["n"], ["99999999999999999999"], "i"))
    assert entry.value == AnyValue(string_value="99999999999999999999")


def test_bytes_that_are_not_utf8_do_not_stop_protobuf() -> None:
    (entry,) = to_key_values(Attributes(["k\udcff"], ["v\udcff"], ""))
    assert (entry.key, entry.value.string_value) == ("k\ufffd", "v\ufffd")
