"""Clocks that tests can turn."""

from __future__ import annotations

import time
from dataclasses import dataclass

from collector.clock import Clock


@dataclass
class RunningClock:
    """A clock that runs, and whose two times can be turned apart.

    Attributes:
        ahead_s: how far the time of day is ahead of the machine's.
        passed_s: how much more time has passed than on the machine; may only grow.
    """

    ahead_s: float = 0.0
    passed_s: float = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: time.monotonic() + self.passed_s, lambda: time.time_ns() + int((self.ahead_s + self.passed_s) * 1e9))
