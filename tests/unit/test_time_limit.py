"""A time limit for many things at once, against `asyncio.timeout`, which has a timer for each."""

from __future__ import annotations

import asyncio

import pytest

from collector.time_limit import TimeLimit


async def test_what_is_done_in_time_is_returned_and_what_fails_fails_as_it_did() -> None:
    limit = TimeLimit(60)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    assert await limit.within(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(LookupError):
        await limit.within(fails())


async def test_each_is_ended_when_its_own_time_is_up() -> None:
    limit = TimeLimit(0.05)
    gate = asyncio.Event()
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await limit.within(gate.wait())
        except TimeoutError:
            ended.append(number)

    first = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.wait(first)
    assert ended == [0, 1, 2]
    # The timer goes on for those that came later, and the task that was ended may go on.
    later = asyncio.create_task(wait(3))
    quick = asyncio.create_task(limit.within(asyncio.sleep(0, "done")))
    await later
    assert (ended, await quick) == ([0, 1, 2, 3], "done")


async def test_a_task_that_was_ended_goes_on() -> None:
    limit = TimeLimit(0.01)
    with pytest.raises(TimeoutError):
        await limit.within(asyncio.Event().wait())
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    assert await limit.within(asyncio.sleep(0, "done")) == "done"


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    limit = TimeLimit(60)
    task = asyncio.create_task(limit.within(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
