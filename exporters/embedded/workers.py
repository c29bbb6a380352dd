"""The threads that statements run in, and the list of what runs.

The owner has threads of its own, so that readers who use all of theirs do not hold up what the daemon stores.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from exporters.embedded.errors import error

T = TypeVar("T")


class Workers:
    """Threads for statements, and a few more for what must get through when all of those are busy.

    Args:
        max_queries: requests at a time; the next one is refused with code 202.
    """

    def __init__(self, max_queries: int) -> None:
        self._max_queries = max_queries
        # A request may still be ending in one thread while the next one begins.
        self._statements = ThreadPoolExecutor(max_queries + 4, "statement")
        self._controls = ThreadPoolExecutor(2, "control")
        self._endings: set[asyncio.Task[None]] = set()
        self._requests: Counter[str] = Counter()
        self.running: dict[str, str] = {}
        """The tags of running statements, by the query ids that clients know."""

    @contextmanager
    def hold(self, name: str, most: int) -> Iterator[None]:
        """Count a request of an account from its first byte to its last. Raises DatabaseError 202: it has `most` already."""
        if self._requests[name] >= most:
            raise error(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries for user {name}. Maximum: {most}")
        if self._requests.total() >= self._max_queries:
            raise error(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries. Maximum: {self._max_queries}")
        self._requests[name] += 1
        try:
            yield
        finally:
            self._requests[name] -= 1

    @contextmanager
    def admit(self, query_id: str, tag: str) -> Iterator[None]:
        """Count a statement as running. Raises DatabaseError 216 if the id is in use."""
        if query_id in self.running:
            message = f"Query with id = {query_id} is already running"
            raise error(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", message)
        self.running[query_id] = tag
        try:
            yield
        finally:
            del self.running[query_id]

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start blocking work of a statement."""
        return asyncio.get_running_loop().run_in_executor(self._statements, work)

    def control(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start blocking work that must not wait for statements."""
        return asyncio.get_running_loop().run_in_executor(self._controls, work)

    async def outlive(self, ending: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end even if the caller is cancelled; `close` waits for it."""
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is ending, then let the threads go."""
        await asyncio.gather(*self._endings)
        self._statements.shutdown()
        self._controls.shutdown()
