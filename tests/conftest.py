"""Fixtures of all tests: servers to test against, and an eye on what a test leaves behind."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.clickhouse"]

# No test fails because a machine is busy.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_DEADLINE_S = 5.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            # In front, so that whatever other fixtures leave is seen as well.
            item.fixturenames.insert(0, "no_task_left")


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fails a test that ends while tasks which it started go on: whoever starts a task waits for its end."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        # Some end by themselves, such as those of a connection that was closed.
        _, left = await asyncio.wait(left, timeout=_DEADLINE_S)
    assert not left


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fails a test whose threads would keep the process from ending."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        # The threads of asyncio.to_thread belong to the test's event loop, which ends them when it is closed, after this.
        if not thread.daemon and not thread.name.startswith(("asyncio_", "uvloop_")):
            thread.join(_DEADLINE_S)
            assert not thread.is_alive(), f"the thread {thread.name} is left"
