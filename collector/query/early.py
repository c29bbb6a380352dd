"""Answers that are asked for before it is known whether they are the right ones, since they are as a rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def begun_early(usual: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """What is at work while it is found out whether it will be needed; broken off at the end, unless it was waited for."""
    task = asyncio.create_task(usual)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
