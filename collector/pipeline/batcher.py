"""Gathers the spans of many requests into batches worth sending, and keeps several of them on their way at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog

from collector.pipeline.batching import BatchLimits
from collector.queues.contract import Queue, QueueStatistics, Taken
from collector.scarce_memory import once_there_is_memory
from collector.spaced_log import SpacedLog
from exporters.base import Delivery, Destination
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from proto.weights import stored_bytes

_log = structlog.get_logger(__name__)


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


class Holder(Protocol):
    """A destination that holds spans back: what becomes of them is said later (`Delivery.later`)."""

    @property
    def awaits(self) -> bool:
        """Whether it waits for spans that a former process held back."""

    def resume(self) -> None:
        """All that a former process had begun to hand on was handed on again; what is handed on from now on is new."""

    def close(self) -> None:
        """Nothing more comes in than what waits; that is still handed on, as fast as it goes."""

    def finish(self) -> None:
        """All that there will ever be was handed on, so there is nothing to wait for any more."""


class Batcher:
    """Takes spans from a queue and hands them on in batches.

    A request that is put costs it nothing: no task, no timer. While all `in_flight` places are taken, what comes
    gathers, so batches grow with the load, up to the limits. A batch leaves its place when it is handed on; what was taken is
    committed when everything is known that became of it, which may be much later.

    Limits and destination may change. A batch goes to the destination that there is when it is taken, with all its pieces; what a
    former process had cut goes to the first.

    Args:
        queue: holds the spans until the destination has them.
        limits: how large and how old a batch becomes.
        destination: where batches go.
        in_flight: how many batches are on their way at once.
        executor: threads that join and cut batches.
        holders: those on the way to the destination that hold spans back.
    """

    def __init__(
        self,
        queue: Queue[Any],
        limits: BatchLimits,
        destination: Destination,
        in_flight: int,
        executor: Executor,
        holders: Sequence[Holder] = (),
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._destination = destination
        self._in_flight = in_flight
        self._free = asyncio.Semaphore(in_flight)
        self._executor = executor
        self._holders = holders
        self._deadline: float | None = None
        self._time_limit: asyncio.Timeout | None = None
        self._stopped = asyncio.Event()
        self._failures = SpacedLog(_log, time.monotonic)

    def use(self, limits: BatchLimits, destination: Destination) -> None:
        """Have batches that are taken from now on made by other limits, and go elsewhere."""
        self._limits = limits
        self._destination = destination
        self._queue.look_again()

    @property
    def queue(self) -> Queue[Any]:
        """Where its spans come from."""
        return self._queue

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
        for holder in self._holders:
            holder.close()
        self._deadline = asyncio.get_running_loop().time() + deadline_s
        if self._time_limit is not None and not self._stopped.is_set():
            self._time_limit.reschedule(self._deadline)
        await self._stopped.wait()
        left = self._queue.statistics()
        return Remainder(left.spans, left.nbytes)

    async def _hand_on_all(self, tasks: asyncio.TaskGroup) -> None:
        await self._hand_on_again(tasks)
        while True:
            await self._free.acquire()
            await self._due()
            taken = await self._queue.take(self._limits.most_spans, self._limits.max_bytes)
            if taken is not None:
                if not self._queue.waiting().spans:
                    taken.set_apart()
                tasks.create_task(self._hand_on(taken, self._limits, self._destination))
            elif self._queue.closed:
                self._free.release()
                break
            else:
                self._free.release()
        await self._all_handed_on()
        for holder in self._holders:
            holder.finish()

    async def _hand_on_again(self, tasks: asyncio.TaskGroup) -> None:
        """Hand on what a former process had cut and did not commit, before anything that it had not."""
        destination = self._destination
        while self._queue.unfinished:
            await self._free.acquire()
            taken = await self._queue.take(self._limits.most_spans, self._limits.max_bytes)
            if taken is not None:
                tasks.create_task(self._hand_on(taken, self._limits, destination))
        if any(holder.awaits for holder in self._holders):
            await self._all_handed_on()
        for holder in self._holders:
            holder.resume()

    async def _all_handed_on(self) -> None:
        """Return when nothing that was taken is still being handed on."""
        for _ in range(self._in_flight):
            await self._free.acquire()
        for _ in range(self._in_flight):
            self._free.release()

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

    async def _hand_on(self, taken: Taken, limits: BatchLimits, destination: Destination) -> None:
        try:
            assemble = partial(asyncio.get_running_loop().run_in_executor, self._executor, _assembled, taken, limits)
            waits = partial(self._failures.error, "batch_waits_for_memory", spans=taken.spans)
            batch, cuts = await once_there_is_memory(assemble, waits)
            name = await self._queue.cut(taken, cuts)
            pieces = [(batch.select(cut), f"{name}-{number}") for number, cut in enumerate(cuts) if cut.start < cut.stop]
            del batch
            pieces.reverse()
            delivery = Delivery()
            while pieces:
                # Popped, so that the destination alone decides how long the piece stays in memory.
                delivery.add(await destination.deliver(*pieces.pop()))
        finally:
            self._free.release()
        await delivery.complete()
        self._queue.commit(taken, delivery)
        if delivery.afterwards and await self._queue.lasts():
            delivery.forget()


def _assembled(taken: Taken, limits: BatchLimits) -> tuple[SpanBatch, Sequence[slice]]:
    """One batch of what was taken, and where it is cut: by the limits, unless that was settled before.

    Raises:
        MemoryError: there is none for that; what was taken is as before.
    """
    batches, cuts = taken.load()
    # Nothing is left of what was taken where a queue has lost it all.
    batch = concatenate(batches or [decode(b"").batch])
    cuts = list(limits.cuts(stored_bytes(batch))) if cuts is None else cuts
    taken.joined()
    return batch, cuts
