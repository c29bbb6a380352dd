from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from collector.api import params, parsing, trace_analysis
from collector.api.problems import BadParameter
from collector.api.traces import prefers_protobuf

NOON = 1_772_366_400_000_000_000
"""2026-03-01T12:00:00Z in nanoseconds."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01t12:00:00z", NOON),
        ("2026-03-01 12:00:00Z", NOON),
        ("2026-03-01T12:00:00.123456789Z", NOON + 123_456_789),
        ("2026-03-01T12:00:00.5Z", NOON + 500_000_000),
        ("2026-03-01T14:00:00+02:00", NOON),
        ("2026-03-01T14:00:00 02:00", NOON),
        ("2026-03-01T06:30:00-05:30", NOON),
        ("1772366400", NOON),
        ("1772366400.000000001", NOON + 1),
        ("1772366400000", NOON),
        ("1772366400000000", NOON),
        ("1772366400000000000", NOON),
        ("0", 0),
    ],
)
def test_times_are_read_exactly_in_every_form(text: str, expected: int) -> None:
    assert parsing.parse_time(text) == expected


@given(st.integers(10**17, 2**63 - 1))
def test_any_number_of_nanoseconds_is_itself(nanoseconds: int) -> None:
    assert parsing.parse_time(str(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "now", "-1", "2026-03-01", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "2026-03-01T25:00:00Z", "1e9", "9" * 19,
     "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z", "٣"],
)  # fmt: skip
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|not a time"):
        parsing.parse_time(text)


def test_an_error_names_parameter_value_and_remedy() -> None:
    with pytest.raises(BadParameter) as caught:
        params.MINIMUM_DURATION.read(MultiDict(minDuration="5"))
    assert caught.value.extensions == {"parameter": "minDuration", "value": "5"}
    assert "200ms" in caught.value.detail


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(BadParameter, match="once"):
        params.SERVICE.read(MultiDict([("service", "a"), ("service", "b")]))


def test_a_parameter_that_is_required_and_missing_is_named() -> None:
    with pytest.raises(BadParameter, match="must be given") as caught:
        trace_analysis.LEFT.read(MultiDict())
    assert caught.value.extensions == {"parameter": "left", "value": ""}


@pytest.mark.parametrize(("name", "remedy"), [("servcie", "did you mean service?"), ("colour", "service, limit")])
def test_a_misspelt_parameter_is_refused_with_the_nearest_or_those_that_exist(name: str, remedy: str) -> None:
    with pytest.raises(BadParameter, match=re.escape(remedy)):
        params.refuse_unknown(MultiDict({name: "a"}), [params.SERVICE, params.limit(1, 2, "things")])


@pytest.mark.parametrize(("text", "expected"), [("a=b", ("a", "b")), ("a=", ("a", "")), ("a=b=c", ("a", "b=c"))])
def test_the_first_equals_sign_parts_key_and_value(text: str, expected: tuple[str, str]) -> None:
    assert parsing.parse_attribute(text) == expected


@pytest.mark.parametrize("text", ["", "a", "=b"])
def test_an_attribute_needs_a_key_and_an_equals_sign(text: str) -> None:
    with pytest.raises(ValueError, match="key=value"):
        parsing.parse_attribute(text)


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "x", "", "9" * 30])
def test_a_limit_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="from 1 to 1000"):
        params.limit(10, 1000, "things").read(MultiDict(limit=text))


def test_names_of_kinds_and_statuses_may_be_in_either_case() -> None:
    assert params.KIND.read(MultiDict(kind="SERVER")) == "Server"
    assert params.STATUS.read(MultiDict(status="error")) == "Error"
    with pytest.raises(BadParameter, match="unset, ok, error"):
        params.STATUS.read(MultiDict(status="bad"))


def test_tolerance_is_a_share() -> None:
    assert parsing.parse_tolerance("0.05") == Fraction(1, 20)
    for text in ("1.1", "-0.1", "5%", ""):
        with pytest.raises(ValueError, match="from 0 to 1"):
            parsing.parse_tolerance(text)


def test_the_time_range_is_the_last_hour_unless_told() -> None:
    assert params.time_range(MultiDict(), NOON) == (NOON + 1 - params.DEFAULT_RANGE, NOON + 1)
    assert params.time_range(MultiDict(end="7200"), NOON) == (3600 * 10**9, 7200 * 10**9)
    assert params.time_range(MultiDict(end="10"), NOON) == (0, 10 * 10**9)


def test_an_empty_time_range_is_refused() -> None:
    with pytest.raises(BadParameter, match="before end"):
        params.time_range(MultiDict(start="20", end="10"), NOON)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/x-protobuf", True),
        ("application/protobuf", True),
        ("application/json, application/x-protobuf", False),
        ("application/json;q=0.5, application/x-protobuf", True),
        ("application/x-protobuf;q=0.1, application/json", False),
        ("application/x-protobuf;q=x", False),
    ],
)
def test_protobuf_is_for_clients_that_prefer_it(accept: str, expected: bool) -> None:
    assert prefers_protobuf(accept) is expected
