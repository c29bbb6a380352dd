"""Waiting for states, never for time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], deadline_s: float = 30.0) -> None:
    """Let other tasks run until a condition, which may have to be awaited, holds; fail when it does not within the deadline."""
    give_up_at = time.monotonic() + deadline_s
    while True:
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return
        assert time.monotonic() < give_up_at, "the awaited state did not come"
        await asyncio.sleep(0.002)
