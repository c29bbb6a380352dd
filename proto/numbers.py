"""Numbers as text: integers and doubles written in decimal, decimal read exactly. Kernels; no Python object per value.

A writer takes `out` (uint8) and the position to write at, and returns the position after what it wrote.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel, unchecked_kernel
from proto.shortest import shortest_digits
from proto.words import store64

MAX_INTEGER_TEXT: Final = 20
"""The most bytes that `write_integer` and `write_unsigned` write."""

MAX_DOUBLE_TEXT: Final = 25
"""The most bytes that `write_double` writes, as for -1.2345678901234567e-06: sign, `0.`, five zeros and 17 digits."""

_NAN: Final = np.frombuffer(b"NaN", np.uint8)
_INFINITY: Final = np.frombuffer(b"Infinity", np.uint8)
_DIGIT_PAIRS: Final = np.frombuffer(b"".join(b"%02d" % pair for pair in range(100)), np.uint8)

_ONE: Final = np.uint64(1)
_TEN: Final = np.uint64(10)
_HUNDRED: Final = np.uint64(100)
_TEN_THOUSAND: Final = np.uint64(10_000)
_HUNDRED_MILLION: Final = np.uint64(100_000_000)

_ZERO_SIGN: Final = np.uint8(ord("0"))
_POINT: Final = np.uint8(ord("."))
_MINUS: Final = np.uint8(ord("-"))
_PLUS: Final = np.uint8(ord("+"))
_LOWER_E: Final = np.uint8(ord("e"))

_POWERS_OF_TEN: Final = tuple(np.uint64(10**exponent) for exponent in range(1, 8))

# Whole numbers below this one lie at least 1 apart, so their own digits are the shortest.
_ALL_WHOLE: Final = 2.0**53
# Decimal points of the values that are written plainly: 1e-6 <= abs(value) < 1e21, seen as 0.DIGITS * 10**point.
_LEAST_PLAIN_POINT: Final = -5
_MOST_PLAIN_POINT: Final = 21


@kernel
def count_digits(value):
    """How many decimal digits the uint64 has."""
    count = 1
    while value >= _TEN_THOUSAND:
        value //= _TEN_THOUSAND
        count += 4
    while value >= _TEN:
        value //= _TEN
        count += 1
    return count


@kernel
def write_digits(out, position, value, count):
    """The uint64 in `count` digits, which are as many as it has."""
    after = position + count
    at = after
    while value >= _HUNDRED:
        quotient = value // _HUNDRED
        pair = 2 * np.int64(value - quotient * _HUNDRED)
        at -= 2
        out[at] = _DIGIT_PAIRS[pair]
        out[at + 1] = _DIGIT_PAIRS[pair + 1]
        value = quotient
    pair = 2 * np.int64(value)
    out[at - 1] = _DIGIT_PAIRS[pair + 1]
    if value >= _TEN:
        out[at - 2] = _DIGIT_PAIRS[pair]
    return after


@unchecked_kernel
def eight_digits(value):
    """The digits of a uint64 below 10**8, leading zeros included, as the bytes of a word: halves of it split in parallel.

    The multiplications divide: 10486 / 2**20 by a hundred and 103 / 2**10 by ten, exactly for what stands in a lane.
    """
    upper = value // _TEN_THOUSAND
    fours = upper | (value - upper * _TEN_THOUSAND) << np.uint64(32)
    upper = fours * np.uint64(10486) >> np.uint64(20) & np.uint64(0x0000007F0000007F)
    twos = upper | (fours - upper * _HUNDRED) << np.uint64(16)
    upper = twos * np.uint64(103) >> np.uint64(10) & np.uint64(0x000F000F000F000F)
    ones = upper | (twos - upper * _TEN) << np.uint64(8)
    return ones | np.uint64(0x3030303030303030)


@unchecked_kernel
def write_up_to_eight_digits(out, position, value):
    """A uint64 below 10**8 without leading zeros, where `out` has room for eight bytes. The caller has checked that."""
    count = 1
    for power in _POWERS_OF_TEN:
        count += np.int64(value >= power)
    store64(out, position, eight_digits(value) >> np.uint64(8 * (8 - count)))
    return position + count


@kernel
def write_unsigned(out, position, value):
    """The uint64 in decimal; at most MAX_INTEGER_TEXT bytes."""
    if position < 0 or position + 16 > out.size:
        return write_digits(out, position, value, count_digits(value))
    if value < _HUNDRED_MILLION:
        return write_up_to_eight_digits(out, position, value)
    upper = value // _HUNDRED_MILLION
    if upper < _HUNDRED_MILLION:
        position = write_up_to_eight_digits(out, position, upper)
        store64(out, position, eight_digits(value - upper * _HUNDRED_MILLION))
        return position + 8
    return write_digits(out, position, value, count_digits(value))


@kernel
def write_integer(out, position, value):
    """The int64 in decimal; at most MAX_INTEGER_TEXT bytes."""
    if value < 0:
        out[position] = _MINUS
        # Not -value, which the least int64 does not have.
        return write_unsigned(out, position + 1, np.uint64(~value) + _ONE)
    return write_unsigned(out, position, np.uint64(value))


@kernel
def write_constant(out, position, text):
    for index in range(text.size):
        out[position + index] = text[index]
    return position + text.size


@kernel
def write_zeros(out, position, count):
    for index in range(position, position + count):
        out[index] = _ZERO_SIGN
    return position + count


@kernel
def write_double(out, position, value):
    """The float64 with the fewest digits that read back as it; at most MAX_DOUBLE_TEXT bytes.

    The notation is that of OTLP's attribute texts in `otel_traces` (the reference's `AsString`): plain where
    1e-6 <= abs(value) < 1e21, else with an exponent that is not padded (`1e-7`, `1e+21`); whole numbers have no point; `NaN`,
    `Infinity`, `-Infinity`, `-0`.
    """
    if np.isnan(value):
        return write_constant(out, position, _NAN)
    bits = np.float64(value).view(np.uint64)
    if bits >> np.uint64(63):
        out[position] = _MINUS
        position += 1
        value = -value
        bits = np.float64(value).view(np.uint64)
    if value == np.inf:
        return write_constant(out, position, _INFINITY)
    if value < _ALL_WHOLE and value == np.floor(value):
        return write_unsigned(out, position, np.uint64(value))
    digits, exponent = shortest_digits(bits)
    count = count_digits(digits)
    point = count + exponent
    if _LEAST_PLAIN_POINT <= point <= _MOST_PLAIN_POINT:
        return write_plain(out, position, digits, count, point)
    return write_scientific(out, position, digits, count, point - 1)


@kernel
def write_plain(out, position, digits, count, point):
    """0.DIGITS * 10**point without an exponent."""
    if point <= 0:
        out[position] = _ZERO_SIGN
        out[position + 1] = _POINT
        position = write_zeros(out, position + 2, -point)
        return write_digits(out, position, digits, count)
    if point >= count:
        position = write_digits(out, position, digits, count)
        return write_zeros(out, position, point - count)
    after = write_digits(out, position + 1, digits, count)
    for index in range(position, position + point):
        out[index] = out[index + 1]
    out[position + point] = _POINT
    return after


@kernel
def write_scientific(out, position, digits, count, exponent):
    """D.IGITS * 10**exponent."""
    after = write_digits(out, position + 1, digits, count)
    out[position] = out[position + 1]
    if count > 1:
        out[position + 1] = _POINT
    else:
        after -= 1
    out[after] = _LOWER_E
    out[after + 1] = _MINUS if exponent < 0 else _PLUS
    return write_unsigned(out, after + 2, np.uint64(abs(exponent)))
