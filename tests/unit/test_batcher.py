"""The batcher: what it makes of a stream of requests, and that it keeps account of every span."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from collector.errors import Retryable
from collector.pipeline import batcher as batcher_module
from collector.pipeline.batcher import Batcher, Holder, Remainder
from collector.pipeline.batching import BatchLimits
from collector.queues.memory import MemoryQueue, QueueLimits
from exporters.base import Delivery
from exporters.tally import spans_by_owner
from proto.otlp_decode import Decoder
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.receivers import ListConsumer
from tests.support.requests import Shape, generated_request
from tests.support.scarce import let_memory_be_short
from tests.support.waiting import until

HUGE = 1 << 30
LONG_S = 3600.0


class Destination(ListConsumer):
    """Keeps batches under their names."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.given.append(name)
        await self.consume(batch)
        return Delivery(Counter(spans_by_owner(batch)))


class HoldingBack(Destination):
    """Says only at the end what became of the spans."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.arrived = asyncio.Event()
        self.over = asyncio.Event()

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        delivery = await super().deliver(batch, name)
        self.events.append(f"{len(batch)} spans")
        self.arrived.set()
        return Delivery(later=[self._later(delivery)])

    async def _later(self, delivery: Delivery) -> Delivery:
        await self.over.wait()
        return delivery

    awaits = True

    def resume(self) -> None:
        self.events.append("resume")

    def close(self) -> None:
        self.events.append("close")

    def finish(self) -> None:
        self.events.append("finish")
        self.over.set()


def limits(min_spans: int = 10, max_spans: int = 0, max_bytes: int = HUGE, timeout_s: float = LONG_S) -> BatchLimits:
    return BatchLimits(min_spans, max_spans, max_bytes, timeout_s)


@asynccontextmanager
async def running(
    consumer: Destination, policy: BatchLimits, *, in_flight: int = 2, max_bytes: int = HUGE, holders: Sequence[Holder] = ()
) -> AsyncIterator[tuple[MemoryQueue, Batcher]]:
    """A batcher at work; it is drained at the end if the test has not done so."""
    with ThreadPoolExecutor(1) as executor:
        queue = MemoryQueue(QueueLimits(max_bytes))
        batcher = Batcher(queue, policy, consumer, in_flight, executor, holders)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(batcher.run())
            yield queue, batcher
            await batcher.drain(10.0)


async def test_requests_are_joined_until_there_are_enough_spans() -> None:
    consumer = Destination()
    async with running(consumer, limits(min_spans=10)) as (queue, _):
        for first in range(0, 9, 3):
            await queue.put(numbered(first, 3))
        assert consumer.batches == []
        await queue.put(numbered(9, 1))
        await until(lambda: bool(consumer.batches))
    assert [numbers(batch) for batch in consumer.batches] == [list(range(10))]


async def test_batches_of_requests_that_were_decoded_one_behind_the_other_are_not_copied() -> None:
    consumer = Destination()
    decoder = Decoder()
    body = generated_request(Shape(spans=4)).SerializeToString()
    sent: list[SpanBatch] = []
    async with running(consumer, limits(min_spans=12)) as (queue, _):
        for batches in range(1, 4):
            for _request in range(3):
                sent.append(decoder.decode(body).batch)
                await queue.put(sent[-1])
            await until(lambda batches=batches: len(consumer.batches) == batches)
    for number, batch in enumerate(consumer.batches):
        assert len(batch) == 12
        assert all(np.shares_memory(batch.spans, request.spans) for request in sent[3 * number : 3 * number + 3])


async def test_requests_are_joined_until_they_are_heavy_enough() -> None:
    consumer = Destination()
    size = numbered(0).nbytes
    async with running(consumer, limits(min_spans=0, max_bytes=3 * size)) as (queue, _):
        for number in range(3):
            await queue.put(numbered(number))
        await until(lambda: bool(consumer.batches))
    assert consumer.names == ["0", "1", "2"]


async def test_a_lone_span_goes_when_its_time_is_up() -> None:
    consumer = Destination()
    async with running(consumer, limits(min_spans=10, timeout_s=0.02)) as (queue, _):
        await queue.put(numbered(7))
        await until(lambda: consumer.spans == 1)
        await queue.put(numbered(8))
        await until(lambda: consumer.spans == 2)
    assert [numbers(batch) for batch in consumer.batches] == [[7], [8]]


async def test_a_batch_over_the_most_spans_is_cut_and_every_span_arrives_once() -> None:
    consumer = Destination()
    async with running(consumer, limits(min_spans=10, max_spans=10)) as (queue, _):
        await queue.put(numbered(0, 25))
        await until(lambda: consumer.spans == 25)
    assert [len(batch) for batch in consumer.batches] == [10, 10, 5]
    assert consumer.names == [str(number) for number in range(25)]


async def test_a_batch_whose_rows_would_be_too_heavy_is_cut() -> None:
    consumer = Destination()
    # 20 spans that share 50,000 bytes of resource: small in memory, but each row repeats them.
    async with running(consumer, limits(min_spans=1, max_bytes=210_000)) as (queue, _):
        await queue.put(numbered(0, 20, filler=50_000))
        await until(lambda: consumer.spans == 20)
    assert [len(batch) for batch in consumer.batches] == [4] * 5


async def test_while_all_places_are_taken_what_comes_gathers_into_one_batch() -> None:
    consumer = Destination()
    gate = asyncio.Event()
    consumer.before = lambda _: gate.wait()
    async with running(consumer, limits(min_spans=1), in_flight=1) as (queue, batcher):
        await queue.put(numbered(0))
        await until(lambda: batcher.statistics().batches == 1)
        for number in range(1, 50):
            await queue.put(numbered(number))
        gate.set()
        await until(lambda: consumer.spans == 50)
    assert len(consumer.batches) <= 3
    assert sorted(map(int, consumer.names)) == list(range(50))


async def test_the_bound_holds_for_queued_and_sent_spans_together_and_frees_when_they_are_stored() -> None:
    consumer = Destination()
    gate = asyncio.Event()
    consumer.before = lambda _: gate.wait()
    size = numbered(0).nbytes
    async with running(consumer, limits(min_spans=1), max_bytes=3 * size) as (queue, batcher):
        for number in range(3):
            await queue.put(numbered(number))
        with pytest.raises(Retryable):
            await queue.put(numbered(3))
        assert batcher.statistics().nbytes == 3 * size
        gate.set()
        await until(lambda: batcher.statistics().nbytes == 0)
    assert sorted(map(int, consumer.names)) == [0, 1, 2]


async def test_what_is_held_back_holds_no_place_and_is_committed_when_it_is_known_what_became_of_it() -> None:
    consumer = HoldingBack()
    async with running(consumer, limits(min_spans=1, timeout_s=0.0), in_flight=1, holders=[consumer]) as (queue, batcher):
        for number in range(5):
            consumer.arrived.clear()
            await queue.put(numbered(number))
            await consumer.arrived.wait()
        assert (batcher.statistics().spans, queue.account.settled.stored.total()) == (5, 0)
        assert await batcher.drain(10.0) == Remainder(0, 0)
        assert consumer.events == ["resume", *["1 spans"] * 5, "close", "finish"]
    assert queue.account.settled == Delivery(Counter({"default/numbers": 5}))


async def test_draining_does_not_wait_longer_for_what_is_held_back() -> None:
    consumer = HoldingBack()
    async with running(consumer, limits(min_spans=1)) as (queue, batcher):
        await queue.put(numbered(0, 3))
        assert (await batcher.drain(0.05)).spans == 3
    assert queue.account.settled == Delivery()


async def test_draining_sends_what_has_gathered_without_waiting_for_its_time() -> None:
    consumer = Destination()
    async with running(consumer, limits(min_spans=1000)) as (queue, batcher):
        await queue.put(numbered(0, 5))
        assert await batcher.drain(10.0) == Remainder(0, 0)
        with pytest.raises(Retryable, match="shutting down"):
            await queue.put(numbered(5))
    assert consumer.spans == 5


async def test_a_batch_for_which_there_is_no_memory_is_put_together_later(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = let_memory_be_short(monkeypatch, batcher_module, "concatenate", range(1, 4))
    consumer = Destination()
    with capture_logs() as logs:
        async with running(consumer, limits(min_spans=10), in_flight=1) as (queue, _):
            for first in range(0, 30, 5):
                await queue.put(numbered(first, 5))
            await until(lambda: consumer.spans == 30)
    assert failed == [1, 2, 3]
    # Once for as long as it lasts.
    assert [line["event"] for line in logs] == ["batch_waits_for_memory"]
    assert sorted(map(int, consumer.names)) == list(range(30))
    assert queue.account.settled == Delivery(Counter({"default/numbers": 30}))


async def test_draining_does_not_wait_longer_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    let_memory_be_short(monkeypatch, batcher_module, "concatenate", range(1, 1 << 30))
    async with running(Destination(), limits(min_spans=5)) as (queue, batcher):
        await queue.put(numbered(0, 5))
        assert (await batcher.drain(0.05)).spans == 5


async def test_draining_says_what_is_left_when_its_time_is_up() -> None:
    consumer = Destination()
    consumer.before = lambda _: asyncio.Event().wait()
    batches = [numbered(0, 5), numbered(5, 5)]
    async with running(consumer, limits(min_spans=5, max_spans=5)) as (queue, batcher):
        for batch in batches:
            await queue.put(batch)
        assert await batcher.drain(0.05) == Remainder(10, sum(batch.nbytes for batch in batches))
    assert consumer.batches == []


async def test_every_piece_of_every_batch_has_a_name_of_its_own_and_is_accounted_for() -> None:
    consumer = Destination()
    async with running(consumer, limits(min_spans=10, max_spans=10)) as (queue, _):
        await queue.put(numbered(0, 25))
        await until(lambda: consumer.spans == 25)
        await queue.put(numbered(25, 10))
        await until(lambda: queue.statistics().spans == 0)
    assert len(set(consumer.given)) == 4
    assert (+queue.account.accepted, queue.account.settled.stored) == ({"default/numbers": 35}, {"default/numbers": 35})


def test_limits_that_are_off_are_infinite() -> None:
    off = limits(min_spans=0, max_spans=0)
    assert (off.wanted_spans, off.most_spans) == (math.inf, math.inf)
