"""Work for which there may be too little memory at the moment: it is done again, for others may have given some back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

AGAIN_S: Final = 0.5
"""After so many seconds it is tried again."""
MOST_TRIES: Final = 120
"""After so many, work that may be given up is: then it is this work that asks for too much."""

T = TypeVar("T")


async def once_there_is_memory(work: Callable[[], Awaitable[T]], waits: Callable[[], None], most_tries: float = math.inf) -> T:
    """What `work` returns once there is memory for it.

    Args:
        work: leaves everything as it was where it raises a MemoryError.
        waits: is told each time that it has failed and will be tried again.
        most_tries: so often it is.

    Raises:
        MemoryError: there was none.
    """
    tries = 0
    while True:
        try:
            return await work()
        except MemoryError:
            if tries >= most_tries:
                raise
        # Outside the handler: the error holds on to what the work had made when it failed.
        tries += 1
        waits()
        await asyncio.sleep(AGAIN_S)
