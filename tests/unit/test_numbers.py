"""Numbers as text, against Python's own `repr` and `float`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proto.kernel import kernel
from proto.numbers import MAX_DOUBLE_TEXT, MAX_INTEGER_TEXT, write_double, write_integer, write_unsigned

MANY = 200_000


@kernel
def write_doubles(out, ends, values):
    """All values one after the other: one call, so that hundreds of thousands cost no time."""
    position = 0
    for index in range(values.size):
        position = write_double(out, position, values[index])
        ends[index] = position


def texts_of(values: NDArray[np.float64]) -> list[str]:
    out = np.zeros(MAX_DOUBLE_TEXT * values.size, np.uint8)
    ends = np.zeros(values.size, np.int64)
    write_doubles(out, ends, values)
    written = out.tobytes().decode()
    starts = [0, *ends.tolist()]
    return [written[start:end] for start, end in zip(starts, ends.tolist(), strict=False)]


def text_of(value: float) -> str:
    return texts_of(np.array([value]))[0]


def expected(value: float) -> str:
    """The digits of `repr` in the notation of `otel_traces`."""
    if np.isnan(value):
        return "NaN"
    sign = "-" if np.signbit(value) else ""
    if np.isinf(value):
        return f"{sign}Infinity"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    if 1e-6 <= abs(value) < 1e21:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        fraction = digits[point:]
        return f"{sign}{digits[:point].ljust(point, '0')}{'.' if fraction else ''}{fraction}"
    fraction = digits[1:]
    return f"{sign}{digits[0]}{'.' if fraction else ''}{fraction}e{point - 1:+d}"


def assert_all_as_expected(values: NDArray[np.float64]) -> None:
    wrong = [
        (text, expected(value)) for text, value in zip(texts_of(values), values.tolist(), strict=True) if text != expected(value)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (2.0, "2"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (0.000001, "0.000001"),
        (0.00000123, "0.00000123"),
        (0.0000001, "1e-7"),
        (9.99e-7, "9.99e-7"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (2.0**53, "9007199254740992"),
        (2.0**63, "9223372036854776000"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_a_double_is_written_in_the_notation_of_the_table(value: float, text: str) -> None:
    assert text_of(value) == text


def test_random_bit_patterns_are_written_with_the_digits_of_repr() -> None:
    bits = np.random.default_rng(1).integers(0, 2**64, MANY, np.uint64)
    assert_all_as_expected(bits.view(np.float64))


def test_subnormal_doubles_are_written_with_the_digits_of_repr() -> None:
    bits = np.random.default_rng(2).integers(1, 2**52, MANY // 4, np.uint64)
    assert_all_as_expected((bits >> (bits % np.uint64(52))).view(np.float64))


def test_decimals_of_few_digits_are_written_as_they_were_given() -> None:
    random = np.random.default_rng(3)
    assert_all_as_expected(np.round(random.random(MANY // 4) * 10.0 ** random.integers(-3, 6, MANY // 4), 3))


def test_large_whole_numbers_and_halves_are_written_with_the_digits_of_repr() -> None:
    random = np.random.default_rng(4)
    assert_all_as_expected(random.integers(2**52, 2**63, MANY // 4).astype(np.float64) * 2.0 ** random.integers(0, 12, MANY // 4))
    assert_all_as_expected(random.integers(2**50, 2**52, MANY // 4).astype(np.float64) + 0.5)


def test_powers_of_two_and_ten_and_their_neighbours_are_written_with_the_digits_of_repr() -> None:
    powers = np.array(
        [2.0**power for power in range(-1074, 1024)]
        + [float(f"{lead}e{power}") for power in range(-323, 308) for lead in (1, 5, 9)]
    )
    for values in (powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)):
        assert_all_as_expected(values)
        assert_all_as_expected(-values)


@given(st.floats())
def test_any_double_is_written_with_the_digits_of_repr(value: float) -> None:
    assert text_of(value) == expected(value)


def test_no_double_takes_more_than_the_stated_bytes() -> None:
    longest = np.array([-1.2345678901234567e-06, -1.2345678901234567e-300, -1.2345678901234567e20])
    lengths = [len(text) for text in texts_of(longest)]
    assert max(lengths) == MAX_DOUBLE_TEXT


@pytest.mark.parametrize("value", [0, 9, 10, 99, 100, 12345, -1, -100, 2**63 - 1, -(2**63)])
def test_a_signed_integer_is_written_in_decimal(value: int) -> None:
    assert written_by(write_integer, np.int64(value)) == str(value)


@given(st.integers(0, 2**64 - 1))
def test_any_unsigned_integer_is_written_in_decimal(value: int) -> None:
    assert written_by(write_unsigned, np.uint64(value)) == str(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_signed_integer_is_written_in_decimal(value: int) -> None:
    assert written_by(write_integer, np.int64(value)) == str(value)


def written_by(write: Any, value: np.int64 | np.uint64) -> str:
    out = np.zeros(MAX_INTEGER_TEXT, np.uint8)
    return out[: write(out, 0, value)].tobytes().decode()
