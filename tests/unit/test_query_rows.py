"""The oracle itself, against texts that were worked out by hand from the definition of the table."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from tests.support.requests import any_value, key_values
from tests.support.rows import MAX_TIMESTAMP, double_text, json_lines, rows_of, text, type_code, types


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (2.0, "2"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (1e-6, "0.000001"),
        (9.999999e-7, "9.999999e-7"),
        (1e-7, "1e-7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (123456789.125, "123456789.125"),
        (2.0**53 + 2, "9007199254740994"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_doubles_have_their_shortest_digits_in_the_usual_notation(value: float, expected: str) -> None:
    assert double_text(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_reads_back_as_itself(value: float) -> None:
    back = float(double_text(value))
    assert (back, math.copysign(1, back)) == (value, math.copysign(1, value))


@pytest.mark.parametrize(
    ("value", "expected", "code"),
    [
        (None, "", "n"),
        (True, "true", "b"),
        (-(2**63), "-9223372036854775808", "i"),
        (b"\x00\xff\x10", "AP8Q", "x"),
        ("<a&b>", "<a&b>", "s"),
        ([], "[]", "[]"),
        ({}, "{}", "{}"),
        (["<a&b>", None, 1.0, True, b"\x01"], '["<a&b>",null,1,true,"AQ=="]', "[sndbx]"),
        ({"b": [1], "a": {"z": 'q"\\\n\u2028'}}, '{"a":{"z":"q\\"\\\\\\n\\u2028"},"b":[1]}', "{{s}[i]}"),
        ([math.nan, -math.inf], '["NaN","-Infinity"]', "[dd]"),
        (["\x00\x08\x1f\x7f"], '["\\u0000\\b\\u001f\x7f"]', "[s]"),
        ({"é": 1, "z": 2, "\U0001f600": 3, "\uffff": 4}, '{"z":2,"é":1,"\uffff":4,"\U0001f600":3}', "{iiii}"),
    ],
)
def test_values_have_their_text_and_code(value: object, expected: str, code: str) -> None:
    assert (text(any_value(value)), type_code(any_value(value))) == (expected, code)


def test_codes_are_left_out_when_all_values_are_strings() -> None:
    assert types(key_values({"a": "x", "b": "y"})) == ""
    assert types(key_values({"a": "x", "b": 1})) == "si"
    assert types([]) == ""


def one_row(**fields: Any) -> dict[str, object]:
    message = TracesData()
    message.resource_spans.add().scope_spans.add().spans.add(**fields)
    (row,) = rows_of(message)
    return row


def test_ids_are_hex_and_an_id_of_zeros_is_absent() -> None:
    row = one_row(trace_id=bytes(range(16)), span_id=b"\xab" * 8, parent_span_id=bytes(8))
    assert (row["TraceId"], row["SpanId"], row["ParentSpanId"]) == ("000102030405060708090a0b0c0d0e0f", "ab" * 8, "")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (5, 9, (5, 4, 0, 0)),
        (9, 5, (9, 0, 0, 5)),
        (9, 0, (9, 0, 0, 0)),
        (MAX_TIMESTAMP + 1, MAX_TIMESTAMP + 3, (MAX_TIMESTAMP, 2, MAX_TIMESTAMP + 1, 0)),
    ],
)
def test_times_that_do_not_fit_stand_in_their_own_columns(start: int, end: int, expected: tuple[int, ...]) -> None:
    row = one_row(start_time_unix_nano=start, end_time_unix_nano=end)
    assert tuple(row[name] for name in ("Timestamp", "Duration", "StartTimeUnixNano", "EndTimeUnixNano")) == expected


def test_kinds_without_a_name_stand_as_numbers() -> None:
    assert (one_row(kind=Span.SPAN_KIND_CONSUMER)["SpanKind"], one_row(kind=17)["SpanKind"]) == ("Consumer", "")
    assert (one_row(kind=Span.SPAN_KIND_CONSUMER)["SpanKindNumber"], one_row(kind=17)["SpanKindNumber"]) == (0, 17)


def test_json_lines_are_exact_to_the_nanosecond_and_keep_repeated_keys() -> None:
    message = TracesData()
    span = message.resource_spans.add().scope_spans.add().spans.add(start_time_unix_nano=1_760_000_000_000_000_001)
    span.attributes.extend([*key_values({"k": "1"}), *key_values({"k": "2"})])
    line = json_lines(rows_of(message)).decode()
    assert json.loads(line)["Timestamp"] == "2025-10-09 08:53:20.000000001"
    assert '"SpanAttributes":{"k":"1","k":"2"}' in line
