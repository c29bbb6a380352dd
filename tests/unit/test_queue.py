"""The queue in memory: its bound, its order, and what it says of itself."""

from __future__ import annotations

import asyncio

import pytest

from collector.errors import Refused, Retryable
from collector.queues.memory import MemoryQueue, QueueLimits
from exporters.base import Delivery
from tests.support.batches import numbered, numbers

LONG_S = 60.0


class TurnedClock:
    """A monotonic clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def room_for(batches: int, *, wait_s: float = 0.0, max_spans: int | None = None) -> MemoryQueue:
    return MemoryQueue(QueueLimits(batches * numbered(0).nbytes, max_spans, wait_s))


async def test_batches_leave_in_the_order_in_which_they_came() -> None:
    queue = room_for(10)
    for number in range(5):
        await queue.put(numbered(number))
    taken = await queue.take(max_spans=3, max_bytes=1 << 30)
    rest = await queue.take(max_spans=3, max_bytes=1 << 30)
    assert taken is not None
    assert rest is not None
    assert [numbers(batch) for batch in (*taken.batches, *rest.batches)] == [[0], [1], [2], [3], [4]]
    assert (taken.spans, rest.spans) == (3, 2)
    assert await queue.take(max_spans=3, max_bytes=1 << 30) is None


async def test_retry_08_what_would_exceed_the_bound_is_refused_and_may_come_back() -> None:
    queue = room_for(2)
    await queue.put(numbered(0))
    await queue.put(numbered(1))
    with pytest.raises(Retryable, match="queue is full"):
        await queue.put(numbered(2))
    assert queue.statistics().spans == 2
    assert queue.statistics().refused_spans == 1
    assert queue.statistics().nbytes == queue.statistics().capacity_bytes


async def test_what_was_taken_counts_against_the_bound_until_it_is_committed() -> None:
    queue = room_for(1)
    await queue.put(numbered(0))
    taken = await queue.take(max_spans=9, max_bytes=1 << 30)
    assert taken is not None
    with pytest.raises(Retryable):
        await queue.put(numbered(1))
    assert queue.statistics().spans == 1
    queue.commit(taken, Delivery())
    await queue.put(numbered(1))
    assert queue.statistics().spans == 1


async def test_retry_08_a_burst_waits_for_room_and_is_let_in_in_its_order() -> None:
    queue = room_for(1, wait_s=LONG_S)
    await queue.put(numbered(0))
    async with asyncio.TaskGroup() as tasks:
        for number in (1, 2):
            tasks.create_task(queue.put(numbered(number)))
        for number in (0, 1, 2):
            await queue.wait(1, 1)
            taken = await queue.take(max_spans=9, max_bytes=1 << 30)
            assert taken is not None
            assert numbers(taken.batches[0]) == [number]
            queue.commit(taken, Delivery())
    statistics = queue.statistics()
    assert (statistics.spans, statistics.nbytes, statistics.batches, statistics.refused_spans) == (0, 0, 0, 0)
    assert statistics.peak_bytes == statistics.capacity_bytes


async def test_retry_08_a_burst_that_finds_no_room_in_time_is_refused() -> None:
    queue = room_for(1, wait_s=0.01)
    await queue.put(numbered(0))
    with pytest.raises(Retryable, match="queue is full"):
        await queue.put(numbered(1))
    taken = await queue.take(max_spans=9, max_bytes=1 << 30)
    assert taken is not None
    queue.commit(taken, Delivery())
    assert queue.statistics().batches == 0


async def test_who_gives_up_waiting_for_room_leaves_no_span_behind() -> None:
    queue = room_for(1, wait_s=LONG_S)
    await queue.put(numbered(0))
    waiting = asyncio.create_task(queue.put(numbered(1)))
    behind = asyncio.create_task(queue.put(numbered(2)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    taken = await queue.take(max_spans=9, max_bytes=1 << 30)
    assert taken is not None
    queue.commit(taken, Delivery())
    await behind
    rest = await queue.take(max_spans=9, max_bytes=1 << 30)
    assert rest is not None
    assert [numbers(batch) for batch in rest.batches] == [[2]]


async def test_a_batch_larger_than_the_whole_queue_is_refused_for_good() -> None:
    queue = room_for(2)
    with pytest.raises(Refused, match="smaller batches") as refused:
        await queue.put(numbered(0, filler=10_000))
    assert refused.value.kind == "too_large"
    assert queue.statistics().refused_spans == 1


async def test_a_bound_in_spans_lets_a_large_batch_in_when_it_is_alone() -> None:
    queue = MemoryQueue(QueueLimits(1 << 20, max_spans=3))
    await queue.put(numbered(0, 5))
    with pytest.raises(Retryable):
        await queue.put(numbered(5))
    taken = await queue.take(max_spans=1, max_bytes=1)
    assert taken is not None
    assert taken.spans == 5
    queue.commit(taken, Delivery())
    await queue.put(numbered(5))


async def test_a_closed_queue_lets_nothing_in_and_gives_out_what_it_has() -> None:
    queue = room_for(1, wait_s=LONG_S)
    await queue.put(numbered(0))
    waiting = asyncio.create_task(queue.put(numbered(1)))
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(Retryable, match="shutting down"):
        await waiting
    with pytest.raises(Retryable, match="shutting down"):
        await queue.put(numbered(2))
    await queue.wait(spans=1000, nbytes=1 << 40)
    assert queue.closed
    taken = await queue.take(max_spans=9, max_bytes=1 << 30)
    assert taken is not None
    assert taken.spans == 1


async def test_the_age_is_that_of_the_oldest_batch_which_is_not_committed() -> None:
    clock = TurnedClock()
    queue = MemoryQueue(QueueLimits(1 << 20), clock)
    assert queue.waiting().age_s == 0
    await queue.put(numbered(0))
    clock.now_s += 5
    await queue.put(numbered(1))
    assert queue.waiting().age_s == 5
    taken = await queue.take(max_spans=1, max_bytes=1 << 20)
    assert taken is not None
    clock.now_s += 1
    assert queue.waiting().age_s == 1
    assert queue.statistics().oldest_age_s == 6
    queue.commit(taken, Delivery())
    assert queue.statistics().oldest_age_s == 1


async def test_the_taker_is_woken_by_spans_or_by_bytes_and_not_before() -> None:
    queue = room_for(100)
    size = numbered(0).nbytes
    waiting = asyncio.create_task(queue.wait(spans=3, nbytes=1 << 30))
    for number in range(2):
        await queue.put(numbered(number))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.put(numbered(2))
    await waiting
    await queue.wait(spans=1000, nbytes=3 * size)
    await queue.wait(spans=1000, nbytes=4 * size, timeout_s=0.001)


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> MemoryQueue:
    """A queue in which a single batch is more than should wait while its taker is busy."""
    monkeypatch.setattr("collector.queues.memory._CALM_BYTES", 1)
    return room_for(10)


async def test_who_brings_more_while_the_taker_is_busy_waits_for_it(
    restless: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.queues.memory._SLOWED_S", LONG_S)
    await restless.put(numbered(0))
    slowed = [asyncio.create_task(restless.put(numbered(number))) for number in (1, 2)]
    await asyncio.wait(slowed, timeout=0.05)
    assert restless.waiting().spans == 1
    assert await restless.take(max_spans=9, max_bytes=1 << 30)
    await asyncio.gather(*slowed)
    assert restless.waiting().spans == 2


async def test_a_taker_that_does_not_come_holds_nobody_up_for_long(
    restless: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.queues.memory._SLOWED_S", 0.001)
    for number in range(10):
        await restless.put(numbered(number))
    with pytest.raises(Retryable, match="queue is full"):
        await restless.put(numbered(10))


async def test_nobody_waits_for_a_taker_that_waits_for_more(restless: MemoryQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.queues.memory._SLOWED_S", LONG_S)
    enough = asyncio.create_task(restless.wait(3, 1 << 30))
    for number in range(3):
        await asyncio.sleep(0)
        await restless.put(numbered(number))
    await enough
    assert restless.waiting().spans == 3


async def test_who_waits_when_the_queue_closes_is_refused(restless: MemoryQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.queues.memory._SLOWED_S", LONG_S)
    await restless.put(numbered(0))
    slowed = asyncio.create_task(restless.put(numbered(1)))
    await asyncio.wait((slowed,), timeout=0.05)
    restless.close()
    with pytest.raises(Retryable):
        await slowed
    assert restless.statistics().spans == 1
