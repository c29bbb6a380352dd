"""Trace context in threads, executors and tasks: OpenTelemetry's instrumentation of threads lets it go along; nothing stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from spanhouse_sdk import get_trace_id
from spanhouse_sdk.xtrace import XTracePropagator

from sdk.tests.test_http import TRACE, XTRACE


@pytest.fixture
def instrumented() -> Iterator[None]:
    ThreadingInstrumentor().instrument()
    yield
    ThreadingInstrumentor().uninstrument()


async def in_thread(executor: ThreadPoolExecutor) -> str | None:
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(get_trace_id()))
    thread.start()
    thread.join()
    return found[0]


async def in_timer(executor: ThreadPoolExecutor) -> str | None:
    found: list[str | None] = []
    timer = threading.Timer(0, lambda: found.append(get_trace_id()))
    timer.start()
    timer.join()
    return found[0]


async def in_executor(executor: ThreadPoolExecutor) -> str | None:
    return executor.submit(get_trace_id).result()


async def in_executor_of_the_loop(executor: ThreadPoolExecutor) -> str | None:
    return await asyncio.get_running_loop().run_in_executor(executor, get_trace_id)


async def in_thread_of_the_loop(executor: ThreadPoolExecutor) -> str | None:
    return await asyncio.to_thread(get_trace_id)


async def in_task(executor: ThreadPoolExecutor) -> str | None:
    async def told() -> str | None:
        await asyncio.sleep(0)
        return get_trace_id()

    async with asyncio.TaskGroup() as tasks:
        return await tasks.create_task(told())


Place = Callable[[ThreadPoolExecutor], Awaitable[str | None]]
BY_THEMSELVES = [in_thread_of_the_loop, in_task]
OTHERS = [in_thread, in_timer, in_executor, in_executor_of_the_loop]


def request() -> Any:
    return trace.get_tracer("cart").start_as_current_span("request", XTracePropagator().extract(XTRACE))


@pytest.mark.parametrize("place", [*BY_THEMSELVES, *OTHERS])
async def test_context_goes_along_and_does_not_stay(place: Place, instrumented: None, told: Any) -> None:
    with ThreadPoolExecutor(1) as executor:
        with request():
            assert await place(executor) == TRACE
        assert await place(executor) is None


@pytest.mark.parametrize("place", OTHERS)
async def test_without_the_instrumentation_threads_begin_without_context(place: Place, told: Any) -> None:
    with ThreadPoolExecutor(1) as executor, request():
        assert await place(executor) is None
