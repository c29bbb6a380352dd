"""Makes what was written last beyond a power cut: one fdatasync for all who wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor


class GroupCommit:
    """Whoever comes while a sync runs waits for the next one, together with all others who do.

    Args:
        sync: makes everything that was written before it was called last; runs in a thread, and may raise OSError.
        executor: the thread.
        observe: is told how long each sync took, in seconds.
    """

    def __init__(self, sync: Callable[[], None], executor: Executor, observe: Callable[[float], None]) -> None:
        self._sync = sync
        self._executor = executor
        self._observe = observe
        self._waiting: list[asyncio.Future[None]] = []
        self._running: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when all that was written before this call lasts. Raises OSError when it may not."""
        synced = asyncio.get_running_loop().create_future()
        self._waiting.append(synced)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="journal sync")
        await synced

    async def _run(self) -> None:
        try:
            while self._waiting:
                served, self._waiting = self._waiting, []
                error = await self._sync_once()
                for synced in served:
                    if synced.done():
                        continue
                    if error is None:
                        synced.set_result(None)
                    else:
                        synced.set_exception(error)
        finally:
            self._running = None

    async def _sync_once(self) -> Exception | None:
        started_s = time.monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._sync)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            return error
        self._observe(time.monotonic() - started_s)
        return None
