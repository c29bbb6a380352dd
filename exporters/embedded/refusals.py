"""Requests that were turned away at the door: counted by reason, and told to whoever reads this process's standard error."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

INTERVAL_S: Final = 10.0
"""At most one line for a reason in so many seconds, so that nobody can flood the log."""

REASON_OF_CODE: Final = {
    194: "wrong name or password",
    516: "wrong name or password",
    202: "too many requests or sessions at a time",
}
"""ClickHouse's codes for those who are not let in."""

FOREIGN: Final = "sent by a web page of another site, or for a host name that is not this server's"


NOT_HTTP: Final = "no HTTP request"


class Refusals(logging.Filter):
    """The count of a server. As a filter of aiohttp's log it also takes out the tracebacks of what peers send instead of HTTP.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._next_at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def count(self, reason: str, address: str | None) -> None:
        """Count a refusal. `reason` is from a small fixed set, `address` the peer's."""
        self._untold[reason] += 1
        now = self._monotonic()
        if now >= self._next_at.get(reason, now):
            self._next_at[reason] = now + INTERVAL_S
            sender = f", the last from {address}" if address else ""
            sys.stderr.write(f"requests refused: {self._untold.pop(reason)}{sender}: {reason}\n")
            sys.stderr.flush()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line of aiohttp's is about a fault of ours."""
        raised = record.exc_info[1] if record.exc_info else None
        if not isinstance(raised, HttpProcessingError):
            return True
        self.count(NOT_HTTP, None)
        return False
