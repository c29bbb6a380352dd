"""One time limit for what is done thousands of times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class TimeLimit:
    """Ends what takes longer than so many seconds, as `asyncio.timeout` does; one timer looks after all that goes on.

    A timer of its own for each would cost more than the rest of the bookkeeping of a small request. Belongs to one event loop; a
    task uses one limit once at a time.

    Args:
        seconds: how long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # In the order in which they began, which is that in which their time is up.
        self._ends_s: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, work: Awaitable[T]) -> T:
        """What `work` returns.

        Raises:
            TimeoutError: it takes too long.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - a coroutine is run by a task
        self._ends_s[task] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._look, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._ended and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            self._ends_s.pop(task, None)
            self._ended.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End those whose time is up, and look again when that of the next one is."""
        self._timer = None
        now_s = loop.time()
        while self._ends_s:
            task, end_s = next(iter(self._ends_s.items()))
            if end_s > now_s:
                self._timer = loop.call_at(end_s, self._look, loop)
                return
            del self._ends_s[task]
            self._ended.add(task)
            task.cancel()
