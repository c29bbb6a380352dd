"""How the taker of a queue waits for there to be enough in it."""

from __future__ import annotations

import asyncio
import math


class Demand:
    """How much one taker waits for. Belongs to one event loop."""

    def __init__(self) -> None:
        self._spans = self._nbytes = math.inf
        self._met: asyncio.Future[None] | None = None

    @property
    def is_there(self) -> bool:
        """Whether the taker waits."""
        return self._met is not None

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None) -> None:
        """Return when `offer` has been told of so many spans or bytes, after `wake`, or after `timeout_s` seconds."""
        self._spans, self._nbytes = spans, nbytes
        self._met = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._met,), timeout=timeout_s)
        finally:
            self._met = None

    def offer(self, spans: int, nbytes: int) -> None:
        """So much waits now."""
        if spans >= self._spans or nbytes >= self._nbytes:
            self.wake()

    def wake(self) -> None:
        """End the wait, if there is one."""
        if self._met is not None and not self._met.done():
            self._met.set_result(None)
