"""A log that a storm of bad requests cannot flood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

INTERVAL_S: Final = 10.0
"""At most one line for a reason in so many seconds; the next one says how many were left out."""


class SpacedLog:
    """Writes the first line for a reason at once, then one for each interval.

    Args:
        log: a structlog logger.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, log: Any, monotonic: Callable[[], float]) -> None:
        self._log = log
        self._monotonic = monotonic
        self._next_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, reason: str, **details: Any) -> None:
        """Something that a peer did; `reason` is from a small fixed set."""
        if (left_out := self._due(f"{event}/{reason}")) is not None:
            self._log.warning(event, reason=reason, left_out=left_out, **details)

    def error(self, event: str, **details: Any) -> None:
        """Something that somebody should see to."""
        if (left_out := self._due(event)) is not None:
            self._log.error(event, left_out=left_out, **details)

    def unexpected(self, event: str, error: Exception, **details: Any) -> None:
        """A fault of ours, with its traceback."""
        if (left_out := self._due(f"{event}/{type(error).__name__}")) is not None:
            self._log.error(event, left_out=left_out, exc_info=error, **details)

    def _due(self, key: str) -> int | None:
        """How many lines of this key were left out since the last one, or None if this one is to be left out too."""
        now = self._monotonic()
        if now < self._next_at.get(key, now):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return None
        self._next_at[key] = now + INTERVAL_S
        return self._left_out.pop(key, 0)
