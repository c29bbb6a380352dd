"""The fewest decimal digits that read back as the same double: Raffaello Giulietti's Schubfach.

A double stands for all reals that round to it. Take the largest power of ten that is no longer than that interval: of its
multiples, one or both neighbours of the double lie in the interval; of the multiples of ten times that power at most one
does, and is then shorter. So a shortest decimal is among four candidates, and integers of 64 bits are enough to compare them
when the bits below are kept as one sticky bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from proto.kernel import kernel
from proto.powers import ONE, floor_log2_of_power, multiply_by_power

FRACTION: Final = np.uint64(2**52 - 1)
FRACTION_BITS: Final = np.uint64(52)
EXPONENT: Final = np.uint64(0x7FF)
HIDDEN_BIT: Final = np.uint64(2**52)

_TWO: Final = np.uint64(2)
_FOUR: Final = np.uint64(4)
_TEN: Final = np.uint64(10)
_FORTY: Final = np.uint64(40)
_HUNDRED_MILLION: Final = np.uint64(10**8)
_NONE: Final = np.uint64(0)


@kernel
def scaled_to_odd(word, exponent):
    """The high word of word * g, for the 128 bits g of 10**exponent; its last bit is set when more than rounding was cut off."""
    high, middle, _ = multiply_by_power(word, exponent)
    return high | ONE if middle > ONE else high


@kernel
def shortest_digits(bits):
    """(digits, exponent) of the positive finite double with these bits: it is the nearest to digits * 10**exponent.

    The digits are as few as possible, of those the closest to the double, and do not end in 0.
    """
    fraction = bits & FRACTION
    biased = np.int64((bits >> FRACTION_BITS) & EXPONENT)
    if biased:
        significand = fraction | HIDDEN_BIT
        binary_exponent = biased - 1075
    else:
        significand = fraction
        binary_exponent = -1074
    # Below a power of two the doubles lie twice as close.
    uneven = fraction == _NONE and biased > 1
    # floor(log10) of the interval's length: 2**binary_exponent, or three quarters of it.
    exponent = (binary_exponent * 1262611 - (524031 if uneven else 0)) >> 22
    shift = np.uint64(binary_exponent + floor_log2_of_power(-exponent) + 1)
    # Four times the double and the ends of its interval, in units of 10**exponent.
    center = _FOUR * significand
    value = scaled_to_odd(center << shift, -exponent)
    lower = scaled_to_odd((center - (ONE if uneven else _TWO)) << shift, -exponent)
    upper = scaled_to_odd((center + _TWO) << shift, -exponent)
    # A tie rounds to the even significand, so the ends belong to its interval only.
    if significand & ONE:
        lower += ONE
        upper -= ONE

    digits = value // _FOUR
    if digits >= _TEN:
        tens = digits // _TEN
        below = lower <= _FORTY * tens
        above = _FORTY * tens + _FORTY <= upper
        if below != above:
            return without_trailing_zeros(tens + ONE if above else tens, exponent + 1)
    below = lower <= _FOUR * digits
    above = _FOUR * digits + _FOUR <= upper
    if below != above:
        return without_trailing_zeros(digits + ONE if above else digits, exponent)
    half = _FOUR * digits + _TWO
    if value > half or (value == half and digits & ONE):
        digits += ONE
    return without_trailing_zeros(digits, exponent)


@kernel
def without_trailing_zeros(digits, exponent):
    quotient = digits // _HUNDRED_MILLION
    if quotient * _HUNDRED_MILLION == digits:
        digits = quotient
        exponent += 8
    quotient = digits // _TEN
    while quotient * _TEN == digits:
        digits = quotient
        exponent += 1
        quotient = digits // _TEN
    return digits, exponent
