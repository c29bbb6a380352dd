"""The queue in memory: bounded in bytes, first in first out, and nothing leaves it before it is stored.

What `take` hands out still counts against the bound until it is committed, so the bound covers waiting spans and those on their
way to the store alike.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from collector.errors import Refused, Retryable
from collector.ledger import Account, folded, folded_delivery
from collector.queues.contract import CLOSED, QueueStatistics, Taken, Waiting
from collector.queues.demand import Demand
from exporters.base import Delivery
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch

_CALM_BYTES: Final = 32 << 20
_SLOWED_S: Final = 0.1
"""While so much waits and the taker is busy, who brings more waits for it, at most so long. Spans that come faster than they are
stored would else fill the memory with ever larger batches, to no use; those that come during an outage are let in the same."""


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

    Attributes:
        limits: the bounds; others may take their place.

    Args:
        limits: the bounds at first.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, limits: QueueLimits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._entries: deque[_Entry] = deque()
        self._taken: list[Taken] = []
        self._arrivals: deque[_Arrival] = deque()
        self._next_taking: asyncio.Future[None] | None = None
        self._closed = False
        # Held: waiting or taken, until committed. Waiting: not taken yet.
        self._held_spans = self._held_bytes = self._waiting_spans = self._waiting_bytes = 0
        self._peak_bytes = 0
        self._refused_spans = 0
        self._demand = Demand()
        self._run_id = uuid.uuid4().hex
        self._cuts = 0
        self.account = Account()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unfinished(self) -> int:
        return 0

    def check_open(self) -> None:
        if self._closed:
            raise Retryable(CLOSED)

    async def put(self, batch: SpanBatch) -> None:
        self.check_open()
        spans, nbytes = len(batch), batch.nbytes
        if nbytes > self.limits.max_bytes:
            self._refused_spans += spans
            raise Refused(
                f"the request's spans take {nbytes} bytes in memory, more than the whole queue ({self.limits.max_bytes} bytes); "
                "send smaller batches",
                "too_large",
            )
        if self._waiting_bytes >= _CALM_BYTES and not self._demand.is_there:
            await self._slow_down()
            self.check_open()
        if not self._arrivals and self._has_room(spans, nbytes):
            self._append(batch, spans, nbytes)
        else:
            await self._put_when_there_is_room(_Arrival(batch, spans, nbytes))

    async def _slow_down(self) -> None:
        """Wait until something is taken, though not long."""
        if self._next_taking is None:
            self._next_taking = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._next_taking,), timeout=_SLOWED_S)

    def _go_on(self) -> None:
        """Have nobody wait for something to be taken."""
        if self._next_taking is not None:
            self._next_taking.set_result(None)
            self._next_taking = None

    async def _put_when_there_is_room(self, arrival: _Arrival) -> None:
        self._arrivals.append(arrival)
        try:
            # Unlike a time-out that cancels, this cannot strike between admission and return.
            await asyncio.wait((arrival.admitted,), timeout=self.limits.wait_s)
        finally:
            if not arrival.admitted.done():
                self._arrivals.remove(arrival)
                self._admit()
        if not arrival.admitted.done():
            self._refused_spans += arrival.spans
            raise Retryable(f"the queue is full: {self._held_bytes} of {self.limits.max_bytes} bytes wait to be stored")
        arrival.admitted.result()

    def _has_room(self, spans: int, nbytes: int) -> bool:
        if self._held_bytes + nbytes > self.limits.max_bytes:
            return False
        most = self.limits.max_spans
        return most is None or not self._held_spans or self._held_spans + spans <= most

    def _append(self, batch: SpanBatch, spans: int, nbytes: int) -> None:
        self._entries.append(_Entry(batch, spans, nbytes, self._monotonic()))
        self._held_spans += spans
        self._held_bytes += nbytes
        self._waiting_spans += spans
        self._waiting_bytes += nbytes
        self._peak_bytes = max(self._peak_bytes, self._held_bytes)
        self.account.accepted.update(folded(spans_by_owner(batch), self.account.accepted))
        self._demand.offer(self._waiting_spans, self._waiting_bytes)

    def _admit(self) -> None:
        while self._arrivals and self._has_room(self._arrivals[0].spans, self._arrivals[0].nbytes):
            arrival = self._arrivals.popleft()
            self._append(arrival.batch, arrival.spans, arrival.nbytes)
            arrival.admitted.set_result(None)

    def waiting(self) -> Waiting:
        age_s = self._monotonic() - self._entries[0].since if self._entries else 0.0
        return Waiting(self._waiting_spans, self._waiting_bytes, age_s)

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None = None) -> None:
        if not self._closed and self._waiting_spans < spans and self._waiting_bytes < nbytes:
            await self._demand.wait(spans, nbytes, timeout_s)

    def look_again(self) -> None:
        self._demand.wake()

    async def take(self, max_spans: float, max_bytes: float) -> Taken | None:
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
        self._go_on()
        taken = Taken(batches, len(batches), spans, nbytes, since)
        self._taken.append(taken)
        return taken

    async def cut(self, taken: Taken, cuts: Sequence[slice]) -> str:
        self._cuts += 1
        return f"{self._run_id}-{self._cuts}"

    def commit(self, taken: Taken, delivery: Delivery) -> None:
        self._taken.remove(taken)
        self.account.settled.add(folded_delivery(delivery, self.account.accepted))
        self._held_spans -= taken.spans
        self._held_bytes -= taken.nbytes
        self._admit()

    async def lasts(self) -> bool:
        return True

    def statistics(self) -> QueueStatistics:
        ages = [taken.since for taken in self._taken] + ([self._entries[0].since] if self._entries else [])
        return QueueStatistics(
            spans=self._held_spans,
            nbytes=self._held_bytes,
            batches=len(self._entries) + sum(taken.count for taken in self._taken),
            capacity_bytes=self.limits.max_bytes,
            peak_bytes=self._peak_bytes,
            oldest_age_s=self._monotonic() - min(ages) if ages else 0.0,
            refused_spans=self._refused_spans,
        )

    def close(self) -> None:
        self._closed = True
        while self._arrivals:
            self._arrivals.popleft().admitted.set_exception(Retryable(CLOSED))
        self._go_on()
        self._demand.wake()
