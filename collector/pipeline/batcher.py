"""Gathers the spans of many requests into batches worth sending, and keeps several of them on their way at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import structlog

from collector.consumer import Consumer
from collector.errors import CollectorError, Retryable
from collector.pipeline.batching import BatchLimits
from collector.pipeline.queue import Queue, QueueStatistics, Taken
from proto.spans import SpanBatch, concatenate
from proto.weights import stored_bytes

_log = structlog.get_logger(__name__)


class DropTelemetry(Protocol):
    """Where a batcher counts what it must give up."""

    def dropped(self, spans: int, reason: str) -> None:
        """Spans were given up because what follows in the pipeline will never take them."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What was acknowledged and is not stored when a pipeline stops.

    Attributes:
        spans, nbytes: at most so many; of a batch that was cut, a part may be stored.
    """

    spans: int
    nbytes: int

    def __add__(self, other: Remainder) -> Remainder:
        return Remainder(self.spans + other.spans, self.nbytes + other.nbytes)


class Batcher:
    """A consumer that queues spans and hands them on in batches.

    The cost for a request is that of `Queue.put`: no task, no timer. While all `in_flight` places are taken, what comes
    gathers, so batches grow with the load, up to the limits.

    Args:
        queue: holds the spans until the next consumer has taken responsibility for them.
        limits: how large and how old a batch becomes.
        next_consumer: where batches go.
        in_flight: how many batches are on their way at once.
        executor: threads that join and cut batches.
        telemetry: where to count.
    """

    def __init__(
        self,
        queue: Queue,
        limits: BatchLimits,
        next_consumer: Consumer,
        in_flight: int,
        executor: Executor,
        telemetry: DropTelemetry,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._next = next_consumer
        self._free = asyncio.Semaphore(in_flight)
        self._executor = executor
        self._telemetry = telemetry
        self._deadline: float | None = None
        self._time_limit: asyncio.Timeout | None = None
        self._stopped = asyncio.Event()

    async def consume(self, batch: SpanBatch) -> None:
        """Queue the spans. Raises as `Queue.put`."""
        await self._queue.put(batch)

    def statistics(self) -> QueueStatistics:
        """The state of the queue."""
        return self._queue.statistics()

    async def run(self) -> None:
        """Batch and hand on until `drain` is called and the queue is empty, or the drain's time is up."""
        try:
            async with asyncio.timeout_at(self._deadline) as self._time_limit, asyncio.TaskGroup() as tasks:
                await self._hand_on_all(tasks)
        except TimeoutError:
            # Only the limit that drain() sets ends here: what fails in a task arrives as a group of exceptions.
            pass
        finally:
            self._stopped.set()

    async def drain(self, deadline_s: float) -> Remainder:
        """Let nothing more in, hand on what is queued, and say what is left after `deadline_s` seconds.

        `run` must have been started, as a task of its own.
        """
        self._queue.close()
        self._deadline = asyncio.get_running_loop().time() + deadline_s
        if self._time_limit is not None and not self._stopped.is_set():
            self._time_limit.reschedule(self._deadline)
        await self._stopped.wait()
        left = self._queue.statistics()
        return Remainder(left.spans, left.nbytes)

    async def _hand_on_all(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._free.acquire()
            await self._due()
            taken = self._queue.take(self._limits.most_spans, self._limits.max_bytes)
            if taken is None:
                return
            tasks.create_task(self._hand_on(taken))

    async def _due(self) -> None:
        """Wait until what is queued should go; at shutdown that is at once."""
        while not self._queue.closed:
            waiting = self._queue.waiting()
            if not waiting.spans:
                await self._queue.wait(1, 1)
            elif self._limits.is_due(waiting.spans, waiting.nbytes, waiting.age_s):
                return
            else:
                left_s = self._limits.timeout_s - waiting.age_s
                await self._queue.wait(self._limits.wanted_spans, self._limits.max_bytes, left_s)

    async def _hand_on(self, taken: Taken) -> None:
        try:
            pieces = await asyncio.get_running_loop().run_in_executor(self._executor, self._assemble, taken)
            while pieces:
                # Popped, so that the next consumer alone decides how long the piece stays in memory.
                await self._offer(pieces.pop())
            self._queue.commit(taken)
        finally:
            self._free.release()

    def _assemble(self, taken: Taken) -> list[SpanBatch]:
        """One batch of what was taken, cut by the limits; the pieces in reverse order."""
        batch = concatenate(taken.batches)
        taken.batches.clear()
        pieces = [batch.select(run) for run in self._limits.cuts(stored_bytes(batch))]
        pieces.reverse()
        return pieces

    async def _offer(self, piece: SpanBatch) -> None:
        while True:
            try:
                return await self._next.consume(piece)
            except Retryable as error:
                await asyncio.sleep(error.delay_s)
            except CollectorError as error:
                _log.error("spans_dropped", spans=len(piece), reason="refused", error=str(error))
                return self._telemetry.dropped(len(piece), "refused")
