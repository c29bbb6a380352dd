"""Requests that were turned away at the door: counted by reason, and told to whoever reads this process's standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 10.0
"""At most one line for a reason in so many seconds, so that nobody can flood the log."""

REASON_OF_CODE: Final = {
    194: "wrong name or password",
    516: "wrong name or password",
    202: "too many requests or sessions at a time",
}
"""ClickHouse's codes for those who are not let in."""

FOREIGN: Final = "sent by a web page of another site, or for a host name that is not this server's"


class Refusals:
    """The count of a server.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def count(self, reason: str, address: str | None) -> None:
        """Count a refusal. `reason` is from a small fixed set, `address` the peer's."""
        self._untold[reason] += 1
        now = self._monotonic()
        if now >= self._next_at.get(reason, now):
            self._next_at[reason] = now + INTERVAL_S
            sys.stderr.write(f"requests refused: {self._untold.pop(reason)}, the last from {address}: {reason}\n")
            sys.stderr.flush()
