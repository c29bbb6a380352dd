"""Decimal text as numbers: exact integers and correctly rounded doubles. Kernels; no Python object per value.

A decimal is read once into digits * 10**exponent, with as many digits as a word holds. Doubles are then made by Daniel Lemire's
way: one product with a 128-bit power of ten, whose error is bounded, decides nearly every text. Where both bounds do not round to
the same double, the text is reported as undecided, and `float` of the same text decides.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel
from proto.powers import MAX_EXACT_POWER, ONE, floor_log2_of_power, multiply_by_power

MALFORMED: Final = -1
"""The position that `scan_decimal` returns when the text is not a number."""

# What `whole_value` found.
WHOLE: Final = 0
FRACTIONAL: Final = 1
TOO_LARGE: Final = 2

_NONE: Final = np.uint64(0)
_TEN: Final = np.uint64(10)
_ALL_ONES: Final = np.uint64(2**64 - 1)
_TOP_BIT: Final = np.uint64(2**63)
_LAST_FOR_ANY_DIGIT: Final = np.uint64((2**64 - 10) // 10)
_DIGITS_OF_A_WORD: Final = 20

_FRACTION_BITS: Final = np.uint64(52)
_INFINITY: Final = np.uint64(0x7FF) << _FRACTION_BITS
_SIGN: Final = _TOP_BIT

# Digits and powers of ten that a double holds exactly, so that one rounded operation on them is right.
_EXACT_DIGITS: Final = np.uint64(2**53)
_EXACT_POWERS: Final = np.array([10.0**power for power in range(23)])
# Beyond these exponents any digits that fit a word are infinite, or nearer to zero than to the least double.
_LARGEST_EXPONENT: Final = 308
_LEAST_EXPONENT: Final = -342
_ENDLESS_EXPONENT: Final = 1_000_000_000


@kernel
def scan_digits(data, position, end, digits, dropped, exact):
    """Append decimal digits to `digits` while they fit its word.

    Returns (position after them, digits, how many digits no longer fitted, whether those were all zero).
    """
    while position < end:
        byte = data[position]
        if byte < 0x30 or byte > 0x39:
            break
        digit = np.uint64(byte - 0x30)
        if dropped == 0 and (digits <= _LAST_FOR_ANY_DIGIT or digits <= (_ALL_ONES - digit) // _TEN):
            digits = digits * _TEN + digit
        else:
            dropped += 1
            if digit != _NONE:
                exact = False
        position += 1
    return position, digits, dropped, exact


@kernel
def scan_decimal(data, position, end):
    """The number, in JSON's grammar, that begins at `position` and ends at `end` or before.

    Returns (position after it or MALFORMED, whether it is negative, digits, exponent, whether that is all of it). If so, it is
    digits * 10**exponent; else it lies between that and (digits + 1) * 10**exponent.
    """
    malformed = (MALFORMED, False, _NONE, 0, True)
    negative = position < end and data[position] == 0x2D
    if negative:
        position += 1
    first = position
    position, digits, dropped, exact = scan_digits(data, position, end, _NONE, 0, True)
    if position == first or (data[first] == 0x30 and position > first + 1):
        return malformed
    exponent = dropped
    if position < end and data[position] == 0x2E:
        first = position + 1
        position, digits, all_dropped, exact = scan_digits(data, first, end, digits, dropped, exact)
        if position == first:
            return malformed
        exponent -= position - first - (all_dropped - dropped)
    if position < end and (data[position] | 0x20) == 0x65:
        position += 1
        downward = position < end and data[position] == 0x2D
        if downward or (position < end and data[position] == 0x2B):
            position += 1
        first = position
        written = 0
        while position < end and 0x30 <= data[position] <= 0x39:
            if written < _ENDLESS_EXPONENT:
                written = written * 10 + (np.int64(data[position]) - 0x30)
            position += 1
        if position == first:
            return malformed
        exponent += -written if downward else written
    return position, negative, digits, exponent, exact


@kernel
def whole_value(digits, exponent, exact):
    """(WHOLE and the integer, or why there is none in a word: FRACTIONAL, TOO_LARGE and 0)."""
    if digits == _NONE:
        return WHOLE, _NONE
    while exponent < 0:
        quotient = digits // _TEN
        if not exact or quotient * _TEN != digits:
            return FRACTIONAL, _NONE
        digits = quotient
        exponent += 1
    if not exact or exponent > _DIGITS_OF_A_WORD:
        return TOO_LARGE, _NONE
    for _ in range(exponent):
        if digits > _LAST_FOR_ANY_DIGIT:
            return TOO_LARGE, _NONE
        digits *= _TEN
    return WHOLE, digits


@kernel
def nearest_double(digits, exponent, exact):
    """(bits of the positive double nearest to digits * 10**exponent, whether they are certain)."""
    if digits == _NONE:
        return _NONE, True
    if exact and digits <= _EXACT_DIGITS and -22 <= exponent <= 22:
        value = np.float64(digits)
        value = value / _EXACT_POWERS[-exponent] if exponent < 0 else value * _EXACT_POWERS[exponent]
        return np.float64(value).view(np.uint64), True
    if exponent > _LARGEST_EXPONENT:
        return _INFINITY, True
    if exponent < _LEAST_EXPONENT:
        return _NONE, True
    if not exact and digits == _ALL_ONES:
        return _NONE, False
    low = rounded_product(digits, exponent, False)
    return low, low == rounded_product(digits if exact else digits + ONE, exponent, True)


@kernel
def rounded_product(digits, exponent, upper):
    """Bits of the double nearest to the lower or upper bound of digits * 10**exponent."""
    binary_exponent = floor_log2_of_power(exponent) + 1
    while digits < _TOP_BIT:
        digits <<= ONE
        binary_exponent -= 1
    high, middle, low = multiply_by_power(digits, exponent)
    if not upper and (exponent < 0 or exponent > MAX_EXACT_POWER):
        # The power was rounded up by less than 1 in its last bit, so the product is too large by less than `digits`.
        if low < digits:
            if middle == _NONE:
                high -= ONE
            middle = middle - ONE if middle != _NONE else _ALL_ONES
        low = ONE if low != digits else _NONE
    if high < _TOP_BIT:
        high = (high << ONE) | (middle >> np.uint64(63))
        middle <<= ONE
        binary_exponent -= 1
    return round_to_double(high, middle | low, binary_exponent)


@kernel
def round_to_double(word, below, binary_exponent):
    """Bits of the double nearest to (word + something less than 1, which is zero if `below` is) * 2**binary_exponent.

    The top bit of `word` is set. Ties go to the even significand.
    """
    biased = binary_exponent + 63 + 1023
    if biased > 2046:
        return _INFINITY
    dropped_bits = 11 if biased > 0 else 12 - biased
    if dropped_bits > 64:
        return _NONE
    half = ONE << np.uint64(dropped_bits - 1)
    # A shift by all 64 bits is not one.
    significand = (word >> np.uint64(dropped_bits - 1)) >> ONE
    rest = word & (half | (half - ONE))
    # The hidden bit adds one to the exponent's field; so does a significand that is rounded up to the next power of two.
    bits = significand + (np.uint64(biased - 1) << _FRACTION_BITS) if biased > 0 else significand
    if rest > half or (rest == half and (below != _NONE or significand & ONE)):
        bits += ONE
    return bits


@kernel
def parse_double(data, start, end):
    """(the double nearest to the decimal text data[start:end], whether it is decided).

    Undecided are texts that a 128-bit product cannot round (less than one in a thousand million of random texts, and some with
    more digits than a word holds) and texts that are not a number in JSON's grammar: ask `float`.
    """
    position, negative, digits, exponent, exact = scan_decimal(data, start, end)
    if position != end:
        return 0.0, False
    bits, certain = nearest_double(digits, exponent, exact)
    if negative:
        bits |= _SIGN
    return np.uint64(bits).view(np.float64), certain
