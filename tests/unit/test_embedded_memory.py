"""How readers of the embedded ClickHouse take turns at its memory."""

from __future__ import annotations

import asyncio

import pytest

from exporters.embedded.errors import DatabaseError
from exporters.embedded.memory import MemoryShare


async def _started(share: MemoryShare, *wanted: tuple[str, int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(share.take(name, nbytes)) for name, nbytes in wanted]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def _in(tasks: list[asyncio.Task[int]]) -> list[bool]:
    return [task.done() for task in tasks]


async def test_so_many_run_as_fit_and_others_wait() -> None:
    share = MemoryShare(10, 60)
    tasks = await _started(share, ("a", 4), ("b", 4), ("c", 4))
    assert _in(tasks) == [True, True, False]
    share.give_back("a", await tasks[0])
    assert await tasks[2] == 4


async def test_whoever_has_the_least_is_next() -> None:
    share = MemoryShare(10, 60)
    tasks = await _started(share, ("a", 5), ("a", 5), ("a", 5), ("b", 5))
    assert _in(tasks) == [True, True, False, False]
    share.give_back("a", 5)
    assert await tasks[3] == 5
    assert not tasks[2].done()
    share.give_back("b", 5)
    assert await tasks[2] == 5


async def test_who_wants_more_than_there_is_gets_all() -> None:
    assert await MemoryShare(10, 60).take("a", 1000) == 10


async def test_who_leaves_while_waiting_takes_nothing() -> None:
    share = MemoryShare(10, 60)
    first, waiting, last = await _started(share, ("a", 10), ("b", 10), ("c", 10))
    waiting.cancel()
    share.give_back("a", await first)
    assert await last == 10
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_when_the_next_leaves_those_behind_are_looked_at() -> None:
    share = MemoryShare(10, 60)
    _, large, small = await _started(share, ("a", 5), ("b", 10), ("a", 5))
    assert not small.done()
    large.cancel()
    assert await small == 5


async def test_who_leaves_when_the_turn_has_come_gives_it_back() -> None:
    share = MemoryShare(10, 60)
    first, leaving = await _started(share, ("a", 10), ("b", 10))
    share.give_back("a", await first)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await share.take("c", 10) == 10


async def test_who_waits_too_long_is_refused() -> None:
    share = MemoryShare(10, 0.01)
    await share.take("a", 10)
    with pytest.raises(DatabaseError, match="TOO_MANY_SIMULTANEOUS_QUERIES"):
        await share.take("b", 1)
    share.give_back("a", 10)
    assert await share.take("b", 1) == 1
