"""Refuses requests while the process takes too much memory: the processor `memory_limiter`.

It looks at resident memory itself, where the OpenTelemetry Collector's looks at its heap: what an operator must bound is what the
machine has to give.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

import structlog

from collector.errors import Retryable
from collector.memory import resident_bytes

_log: Final = structlog.get_logger(__name__)

_LEAST_INTERVAL_S: Final = 0.01
"""However much is let in, memory is looked at no more often than this."""


class MemoryLimiter:
    """Belongs to one event loop. Has no task of its own: it looks when a request asks, and not too often.

    Args:
        soft_bytes: from where requests are refused.
        hard_bytes: from where garbage is collected as well.
        check_interval_s: how long a look counts, in seconds; meanwhile what was let in is added to it.
        gc_interval_s: seconds between two collections of garbage, at least.
        resident: bytes that the process takes.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        soft_bytes: int,
        hard_bytes: int,
        check_interval_s: float,
        gc_interval_s: float,
        resident: Callable[[], int] = resident_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._soft_bytes = soft_bytes
        self._hard_bytes = hard_bytes
        self._check_interval_s = check_interval_s
        self._gc_interval_s = gc_interval_s
        self._resident = resident
        self._monotonic = monotonic
        self._seen_at_s = self._collected_at_s = float("-inf")
        self._used_bytes = 0
        self._refusing = False

    def admitted(self, nbytes: int) -> None:
        """So much was let in, and may not be in memory yet."""
        self._used_bytes += nbytes

    def check(self) -> None:
        """Find out whether a request may come in.

        Raises:
            Retryable: the process takes too much memory.
        """
        now_s = self._monotonic()
        since_s = now_s - self._seen_at_s
        # What was let in since the last look may be gone again, so nothing is refused for it alone.
        if since_s >= self._check_interval_s or (self._used_bytes > self._soft_bytes and since_s >= _LEAST_INTERVAL_S):
            self._look(now_s)
        if self._used_bytes > self._soft_bytes:
            used_mib, most_mib = self._used_bytes >> 20, self._soft_bytes >> 20
            raise Retryable(f"the collector takes {used_mib} MiB of memory, and may take {most_mib}; try again shortly")

    async def trouble(self) -> str:
        """Why no request may come in now, as a sentence, for who asks whether the daemon is ready; empty when one may."""
        try:
            self.check()
        except Retryable as error:
            return str(error)
        return ""

    def _look(self, now_s: float) -> None:
        self._seen_at_s = now_s
        self._used_bytes = self._resident()
        if self._used_bytes > self._hard_bytes and now_s - self._collected_at_s >= self._gc_interval_s:
            self._collected_at_s = now_s
            gc.collect()
            self._used_bytes = self._resident()
        refusing = self._used_bytes > self._soft_bytes
        if refusing != self._refusing:
            self._refusing = refusing
            tell = _log.warning if refusing else _log.info
            tell(
                "memory_limit_reached" if refusing else "memory_limit_left",
                used_mib=self._used_bytes >> 20,
                refusing_from_mib=self._soft_bytes >> 20,
            )
