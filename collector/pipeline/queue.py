"""The queue between receivers and the pipeline: bounded in bytes, first in first out, and nothing leaves it before it is stored.

What `take` hands out still counts against the bound until it is committed, so the bound covers waiting spans and those on their
way to the store alike.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from collector.errors import Refused, Retryable
from proto.spans import SpanBatch

_CLOSED: Final = "the collector is shutting down"


class Waiting(NamedTuple):
    """What has not been taken yet: spans, bytes, and seconds since the oldest of it came (0 when there is nothing)."""

    spans: int
    nbytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The state of a queue.

    Attributes:
        spans, nbytes: what waits or is on its way; it has been acknowledged and is not stored yet.
        batches: number of batches put and not committed.
        capacity_bytes: the bound.
        peak_bytes: the most that `nbytes` has been.
        oldest_age_s: seconds since the oldest of it came; 0 when there is nothing.
        refused_spans: spans that were not let in because the queue was full, since the start.
    """

    spans: int
    nbytes: int
    batches: int
    capacity_bytes: int
    peak_bytes: int
    oldest_age_s: float
    refused_spans: int


@dataclass(slots=True)
class Taken:
    """Batches that were handed out in the order in which they came, to be committed once they are stored."""

    batches: list[SpanBatch]
    count: int
    spans: int
    nbytes: int
    since: float


class Queue(Protocol):
    """A queue with one taker. Belongs to one event loop."""

    @property
    def closed(self) -> bool:
        """Whether nothing more is let in."""

    async def put(self, batch: SpanBatch) -> None:
        """Take responsibility for the spans of a batch.

        Raises:
            collector.errors.Retryable: there is no room, or the queue is closed.
            collector.errors.Refused: there never will be room for so large a batch (kind `too_large`).
        """

    def waiting(self) -> Waiting:
        """What could be taken now."""

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None = None) -> None:
        """Return when at least so many spans or bytes wait, when the queue is closed, or after `timeout_s` seconds."""

    def take(self, max_spans: float, max_bytes: float) -> Taken | None:
        """The oldest batches that keep within both limits, at least one; None when nothing waits."""

    def commit(self, taken: Taken) -> None:
        """Forget what was taken: it is stored, or dropped by a rule that counted it."""

    def statistics(self) -> QueueStatistics:
        """The state of the queue."""

    def close(self) -> None:
        """Let nothing more in; what is in can still be taken."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of a queue.

    Attributes:
        max_bytes: bytes of memory, as `SpanBatch.nbytes` counts them.
        max_spans: spans; None for no bound. A batch that is alone is let in whatever its spans.
        wait_s: how long a batch waits for room before it is refused, in seconds, so that bursts are absorbed first (receiver
            contract RETRY-08); 0 refuses at once.
    """

    max_bytes: int
    max_spans: int | None = None
    wait_s: float = 0.0


class _Entry(NamedTuple):
    batch: SpanBatch
    spans: int
    nbytes: int
    since: float


@dataclass(slots=True)
class _Arrival:
    """A batch that waits for room."""

    batch: SpanBatch
    spans: int
    nbytes: int
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class MemoryQueue:
    """The queue in memory; what it holds is lost with the process.

    Args:
        limits: the bounds.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, limits: QueueLimits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._entries: deque[_Entry] = deque()
        self._taken: list[Taken] = []
        self._arrivals: deque[_Arrival] = deque()
        self._closed = False
        # Held: waiting or taken, until committed. Waiting: not taken yet.
        self._held_spans = self._held_bytes = self._waiting_spans = self._waiting_bytes = 0
        self._peak_bytes = 0
        self._refused_spans = 0
        self._wanted_spans: float = 0
        self._wanted_bytes: float = 0
        self._wanted: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    async def put(self, batch: SpanBatch) -> None:
        if self._closed:
            raise Retryable(_CLOSED)
        spans, nbytes = len(batch), batch.nbytes
        if nbytes > self._limits.max_bytes:
            self._refused_spans += spans
            raise Refused(
                f"the request's spans take {nbytes} bytes in memory, more than the whole queue ({self._limits.max_bytes} bytes); "
                "send smaller batches",
                "too_large",
            )
        if not self._arrivals and self._has_room(spans, nbytes):
            self._append(batch, spans, nbytes)
        else:
            await self._put_when_there_is_room(_Arrival(batch, spans, nbytes))

    async def _put_when_there_is_room(self, arrival: _Arrival) -> None:
        self._arrivals.append(arrival)
        try:
            # Unlike a time-out that cancels, this cannot strike between admission and return.
            await asyncio.wait((arrival.admitted,), timeout=self._limits.wait_s)
        finally:
            if not arrival.admitted.done():
                self._arrivals.remove(arrival)
                self._admit()
        if not arrival.admitted.done():
            self._refused_spans += arrival.spans
            raise Retryable(f"the queue is full: {self._held_bytes} of {self._limits.max_bytes} bytes wait to be stored")
        arrival.admitted.result()

    def _has_room(self, spans: int, nbytes: int) -> bool:
        if self._held_bytes + nbytes > self._limits.max_bytes:
            return False
        most = self._limits.max_spans
        return most is None or not self._held_spans or self._held_spans + spans <= most

    def _append(self, batch: SpanBatch, spans: int, nbytes: int) -> None:
        self._entries.append(_Entry(batch, spans, nbytes, self._monotonic()))
        self._held_spans += spans
        self._held_bytes += nbytes
        self._waiting_spans += spans
        self._waiting_bytes += nbytes
        self._peak_bytes = max(self._peak_bytes, self._held_bytes)
        if self._wanted is not None and self._has_wanted():
            self._wake()

    def _admit(self) -> None:
        while self._arrivals and self._has_room(self._arrivals[0].spans, self._arrivals[0].nbytes):
            arrival = self._arrivals.popleft()
            self._append(arrival.batch, arrival.spans, arrival.nbytes)
            arrival.admitted.set_result(None)

    def waiting(self) -> Waiting:
        age_s = self._monotonic() - self._entries[0].since if self._entries else 0.0
        return Waiting(self._waiting_spans, self._waiting_bytes, age_s)

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None = None) -> None:
        self._wanted_spans, self._wanted_bytes = spans, nbytes
        if self._closed or self._has_wanted():
            return
        self._wanted = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._wanted,), timeout=timeout_s)
        finally:
            self._wanted = None

    def _has_wanted(self) -> bool:
        return self._waiting_spans >= self._wanted_spans or self._waiting_bytes >= self._wanted_bytes

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def take(self, max_spans: float, max_bytes: float) -> Taken | None:
        if not self._entries:
            return None
        since = self._entries[0].since
        batches: list[SpanBatch] = []
        spans = nbytes = 0
        while self._entries:
            entry = self._entries[0]
            if batches and (spans + entry.spans > max_spans or nbytes + entry.nbytes > max_bytes):
                break
            self._entries.popleft()
            batches.append(entry.batch)
            spans += entry.spans
            nbytes += entry.nbytes
        self._waiting_spans -= spans
        self._waiting_bytes -= nbytes
        taken = Taken(batches, len(batches), spans, nbytes, since)
        self._taken.append(taken)
        return taken

    def commit(self, taken: Taken) -> None:
        self._taken = [other for other in self._taken if other is not taken]
        self._held_spans -= taken.spans
        self._held_bytes -= taken.nbytes
        self._admit()

    def statistics(self) -> QueueStatistics:
        ages = [taken.since for taken in self._taken] + ([self._entries[0].since] if self._entries else [])
        return QueueStatistics(
            spans=self._held_spans,
            nbytes=self._held_bytes,
            batches=len(self._entries) + sum(taken.count for taken in self._taken),
            capacity_bytes=self._limits.max_bytes,
            peak_bytes=self._peak_bytes,
            oldest_age_s=self._monotonic() - min(ages) if ages else 0.0,
            refused_spans=self._refused_spans,
        )

    def close(self) -> None:
        self._closed = True
        while self._arrivals:
            self._arrivals.popleft().admitted.set_exception(Retryable(_CLOSED))
        self._wake()
