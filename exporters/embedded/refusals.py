"""Requests and connections that were turned away at the door: counted by reason, and told to whoever reads standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

INTERVAL_S: Final = 10.0
"""At most one line for a reason in so many seconds, so that nobody can flood the log."""

FOREIGN: Final = "foreign"
UNAUTHENTICATED: Final = "unauthenticated"
BUSY: Final = "busy"

_TEXTS: Final[Mapping[str, str]] = {
    FOREIGN: "sent by a web page of another site, or for a host name that is not this server's",
    UNAUTHENTICATED: "wrong name or password",
    BUSY: "too many requests or sessions at a time",
}
"""What these reasons mean; others come with a text."""

REASON_OF_CODE: Final = {194: UNAUTHENTICATED, 516: UNAUTHENTICATED, 202: BUSY}
"""ClickHouse's codes for those who are not let in."""


class Refusals:
    """The count of a server.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()
        self._untaken: Counter[str] = Counter()

    def count(self, reason: str, address: str | None = None, text: str = "") -> None:
        """Count a refusal. `reason` is from a small fixed set, `address` the peer's, `text` what the reason means."""
        self._untaken[reason] += 1
        self._untold[reason] += 1
        now = self._monotonic()
        if now >= self._next_at.get(reason, now):
            self._next_at[reason] = now + INTERVAL_S
            sender = f", the last from {address}" if address else ""
            sys.stderr.write(f"requests refused: {self._untold.pop(reason)}{sender}: {text or _TEXTS[reason]}\n")
            sys.stderr.flush()

    def take(self) -> dict[str, int]:
        """How many were counted since the last call, by reason."""
        taken, self._untaken = self._untaken, Counter()
        return dict(taken)
