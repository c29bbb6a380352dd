"""Time, passed in rather than asked for, so that tests can turn it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Both kinds of time that a daemon needs.

    Attributes:
        monotonic: seconds that never go back, from an arbitrary start; for deadlines and ages.
        now: nanoseconds since 1970; for what is shown and stored.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], int] = time.time_ns


SYSTEM = Clock()
"""The clock of the machine."""
