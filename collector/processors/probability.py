"""Sampling probabilities as 56-bit thresholds, which is how spans carry them in their trace state.

Source: the OpenTelemetry specification, "TraceState: Probability Sampling". A span is kept if its randomness, from 0 to
2**56 - 1, is at least the threshold. So the probability is (2**56 - threshold) / 2**56, and a kept span stands for as many as its
inverse says.
"""

from __future__ import annotations

import math
from typing import Final

DIGITS: Final = 14
"""Hexadecimal digits of a threshold and of a randomness."""
NEVER: Final = 1 << 56
"""A threshold that no randomness reaches. It has no text: never is not a probability."""
SMALLEST: Final = 2.0**-56
"""The smallest probability that there is."""


def threshold(probability: float, precision: int = DIGITS) -> int:
    """The threshold of a probability, rounded to so many hexadecimal digits behind leading zeros or fs.

    Raises:
        ValueError: the probability is not between SMALLEST and 1.
    """
    if not SMALLEST <= probability <= 1:
        raise ValueError(f"no probability between 2**-56 and 1: {probability}")
    exact = NEVER - math.floor(probability * NEVER + 0.5)
    # A probability of 2**-4 has one more leading f than one of 1, and 1 - 2**-4 one more leading zero.
    leading = -min(math.frexp(probability)[1], math.frexp(1 - probability)[1], 0) // 4
    unit: int = 16 ** (DIGITS - min(DIGITS, precision + leading))
    return (exact + unit // 2) // unit * unit


def probability(threshold: int) -> float:
    """The probability of a threshold below NEVER."""
    return (NEVER - threshold) / NEVER


def threshold_text(threshold: int) -> str:
    """A threshold below NEVER as the value of `th`: without zeros at its end, but with those at its beginning."""
    return f"{threshold:0{DIGITS}x}".rstrip("0") or "0"


def read_threshold(text: str) -> int:
    """The threshold that `th` says: 1 to 14 hexadecimal digits, the missing ones zeros at the end."""
    return int(text.ljust(DIGITS, "0"), 16)
