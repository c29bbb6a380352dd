"""When requests are due: by the clock (open model), or whenever one of so many senders is free (closed model)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests at a rate, whatever becomes of those before: the times at which each is due.

    The rate rises evenly from nothing during the ramp-up. Times depend on the number of the request alone, so that what is late
    does not put off what comes after it.

    Attributes:
        rate: requests a second.
        ramp_up_s: in seconds.
    """

    rate: float
    ramp_up_s: float = 0.0

    def due_s(self, number: int) -> float:
        """Seconds from the start of the test until the request is due; the first has number 0."""
        in_ramp_up = self.rate * self.ramp_up_s / 2
        if number < in_ramp_up:
            # So many are due after t seconds: rate * t^2 / (2 * ramp_up).
            return math.sqrt(2 * number * self.ramp_up_s / self.rate)
        return self.ramp_up_s + (number - in_ramp_up) / self.rate


def first_due_s(sender: int, senders: int, ramp_up_s: float) -> float:
    """Seconds from the start until one of several senders begins, when they begin evenly during the ramp-up."""
    return ramp_up_s * sender / senders
