"""Requests whose answers take as long as somebody else likes: who follows something, or waits for what another server answers.

They take no turn at the store (`turns.py`), and are left when the port closes instead of being waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web

EVENTS: Final = "/events"
"""How paths end where clients stay to be told of what happens, ..."""
EXECUTIONS: Final = "/executions"
"""... and where something is sent, and its answer awaited: a request, ..."""
TEST: Final = "/test"
"""... or a notification."""
PATHS: Final = (EVENTS, EXECUTIONS, TEST)

_TASKS: Final[web.AppKey[set[asyncio.Task[Any]]]] = web.AppKey("lasting", set)


def allow_lasting(application: web.Application) -> None:
    """Prepare an application for `lasting`."""
    application[_TASKS] = set()
    application.on_shutdown.append(_leave)


@contextmanager
def lasting(request: web.Request) -> Iterator[None]:
    """Within it, a request is left when the port closes."""
    tasks, task = request.app[_TASKS], asyncio.current_task()
    assert task is not None  # noqa: S101 - handlers run in tasks
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


async def _leave(application: web.Application) -> None:
    for task in application[_TASKS]:
        task.cancel()
