"""Powers of ten to 128 bits, and the few steps of 64-bit arithmetic that turn doubles into decimal and back.

Words are uint64 throughout, and no step overflows, so that kernels and plain Python compute the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.kernel import kernel

MIN_POWER: Final = -342
MAX_POWER: Final = 324
MAX_EXACT_POWER: Final = 55

LOW_HALF: Final = np.uint64(0xFFFFFFFF)
HALF: Final = np.uint64(32)
ONE: Final = np.uint64(1)


def _scaled_power(exponent: int) -> int:
    """10**exponent, shifted to 128 bits and rounded up."""
    power: int = 10 ** abs(exponent)
    if exponent < 0:
        return -(-(1 << (127 + power.bit_length())) // power)
    shift = 128 - power.bit_length()
    return power << shift if shift >= 0 else -(-power >> -shift)


def _table() -> NDArray[np.uint64]:
    scaled = [_scaled_power(exponent) for exponent in range(MIN_POWER, MAX_POWER + 1)]
    return np.array([(power >> 64, power & (2**64 - 1)) for power in scaled], np.uint64)


POWERS: Final = _table()
"""uint64, shape (powers, 2): high and low word of g in [2**127, 2**128) with 10**k in (g - 1, g] * 2**(floor(log2(10**k)) - 127)
for k = MIN_POWER + row. From 10**0 to 10**MAX_EXACT_POWER it is exact."""


@kernel
def floor_log2_of_power(exponent):
    """floor(log2(10**exponent)), for |exponent| <= 1233."""
    return (exponent * 1741647) >> 19


@kernel
def multiply(first, second):
    """The 128-bit product of two words: (high word, low word)."""
    first_low = first & LOW_HALF
    first_high = first >> HALF
    second_low = second & LOW_HALF
    second_high = second >> HALF
    low = first_low * second_low
    middle = first_high * second_low + (low >> HALF)
    other_middle = first_low * second_high + (middle & LOW_HALF)
    high = first_high * second_high + (middle >> HALF) + (other_middle >> HALF)
    return high, (other_middle << HALF) | (low & LOW_HALF)


@kernel
def multiply_by_power(word, exponent):
    """The 192-bit product of a word and the 128 bits of 10**exponent: (high, middle, low word)."""
    row = exponent - MIN_POWER
    high, middle = multiply(word, POWERS[row, 0])
    carried, low = multiply(word, POWERS[row, 1])
    room = ~middle
    if carried > room:
        return high + ONE, carried - room - ONE, low
    return high, middle + carried, low
