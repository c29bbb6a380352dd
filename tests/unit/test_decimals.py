"""Decimal text as numbers, against Python's own `float` and `Decimal`."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.decimals import FRACTIONAL, MALFORMED, TOO_LARGE, WHOLE, parse_double, scan_decimal, whole_value
from proto.kernel import kernel

MANY = 100_000


@kernel
def parse_doubles(data, ends, values, decided):
    """All texts, which stand one after the other, in one call."""
    start = 0
    for index in range(ends.size):
        values[index], decided[index] = parse_double(data, start, ends[index])
        start = ends[index]


def assert_all_as_float(texts: list[str], undecided: int) -> None:
    """Every decided text has the bits that `float` gives it; at most `undecided` are not decided."""
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    values = np.zeros(len(texts))
    decided = np.zeros(len(texts), np.bool_)
    parse_doubles(data, np.cumsum([len(text) for text in texts]), values, decided)
    expected = np.array([float(text) for text in texts])
    wrong = np.flatnonzero(decided & (values.view(np.uint64) != expected.view(np.uint64)))
    assert [texts[index] for index in wrong] == []
    assert np.count_nonzero(~decided) <= undecided


def whole(text: str) -> tuple[int, int]:
    data = np.frombuffer(text.encode(), np.uint8)
    after, negative, digits, exponent, exact = scan_decimal(data, 0, data.size)
    assert after == data.size
    found, value = whole_value(np.uint64(digits), exponent, exact)
    return found, -int(value) if negative else int(value)


def random_doubles(seed: int, count: int) -> list[float]:
    values = np.random.default_rng(seed).integers(0, 2**64, count, np.uint64).view(np.float64)
    return [float(value) for value in values if np.isfinite(value)]


def test_the_repr_of_every_double_reads_back() -> None:
    assert_all_as_float([repr(value) for value in random_doubles(1, MANY)], undecided=0)


def test_more_digits_than_a_word_holds_are_rounded_correctly() -> None:
    assert_all_as_float([f"{value:.30e}" for value in random_doubles(2, MANY // 4)], undecided=10)


def test_decimals_near_the_limits_of_doubles_are_rounded_correctly() -> None:
    random = np.random.default_rng(3)
    for exponents in ((-345, -300), (285, 312)):
        digits = random.integers(1, 10**18, MANY // 4).tolist()
        assert_all_as_float(
            [f"{digits}e{power}" for digits, power in zip(digits, random.integers(*exponents, MANY // 4), strict=True)],
            undecided=0,
        )


def test_halfway_between_two_doubles_is_decided_rightly_or_not_at_all() -> None:
    texts = []
    with localcontext(prec=800):
        for value in random_doubles(4, 300):
            halfway = (Decimal(value) + Decimal(float(np.nextafter(value, np.inf)))) / 2
            texts += [f"{halfway:e}", f"{halfway.next_plus():e}", f"{halfway.next_minus():e}"]
    assert_all_as_float(texts, undecided=len(texts))


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "-0.0",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999999999999",
        "1e999999999999",
        "1e-999999999999",
        "0.00000000000000000000000000001e20",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "100000000000000000000000000000",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "2.2250738585072011e-308",
    ],
)
def test_a_decimal_at_an_edge_is_read_as_float_reads_it(text: str) -> None:
    assert_all_as_float([text], undecided=0)


@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?\Z"))
def test_any_decimal_is_read_as_float_reads_it(text: str) -> None:
    assert_all_as_float([text], undecided=1)


@pytest.mark.parametrize("text", ["", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "e5", "NaN", "x", "--1"])
def test_text_outside_the_grammar_of_json_is_no_number(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    assert scan_decimal(data, 0, data.size)[0] == MALFORMED
    assert not parse_double(data, 0, data.size)[1]


@pytest.mark.parametrize("text", ["1 ", "1,", "1.5.5", "1e5e5", "0x10", "1_000"])
def test_a_number_ends_where_its_grammar_does(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    after = scan_decimal(data, 0, data.size)[0]
    assert 0 < after < data.size
    assert not parse_double(data, 0, data.size)[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1e3", (WHOLE, 1000)),
        ("1.0", (WHOLE, 1)),
        ("-0", (WHOLE, 0)),
        ("1.50e1", (WHOLE, 15)),
        ("1.000000000000000000000000000000", (WHOLE, 1)),
        ("0.000e-50", (WHOLE, 0)),
        ("18446744073709551615", (WHOLE, 2**64 - 1)),
        ("1844674407370955161500e-2", (WHOLE, 2**64 - 1)),
        ("18446744073709551616", (TOO_LARGE, 0)),
        ("1e21", (TOO_LARGE, 0)),
        ("1e999999999999", (TOO_LARGE, 0)),
        ("1.5", (FRACTIONAL, 0)),
        ("15e-1", (FRACTIONAL, 0)),
        ("1e-999999999999", (FRACTIONAL, 0)),
        ("0.1000000000000000000000000000001", (FRACTIONAL, 0)),
    ],
)
def test_whole_numbers_are_exact_however_they_are_written(text: str, found: tuple[int, int]) -> None:
    assert whole(text) == found


@given(st.integers(-(2**64) + 1, 2**64 - 1))
def test_any_whole_number_of_a_word_is_exact(value: int) -> None:
    assert whole(str(value)) == (WHOLE, value)
