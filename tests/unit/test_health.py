"""Whether the daemon is ready: asked by anybody, however often, it costs the store one question at a time."""

from __future__ import annotations

import asyncio

from collector.health import Health
from collector.telemetry import Telemetry
from tests.support.waiting import until


class Store:
    """Answers a check once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.trouble = ""
        self.may_answer = asyncio.Event()

    async def check(self) -> str:
        self.asked += 1
        await self.may_answer.wait()
        return self.trouble


def running(store: Store) -> Health:
    health = Health(Telemetry("test"), {"clickhouse": store.check})
    health.state = "running"
    return health


async def test_the_store_is_asked_once_for_all_who_ask_meanwhile_and_anew_for_the_next() -> None:
    store = Store()
    health = running(store)
    store.trouble = "it is away"
    asking = [asyncio.create_task(health.problems()) for _ in range(100)]
    await until(lambda: store.asked > 0)
    store.may_answer.set()
    assert await asyncio.gather(*asking) == [{"clickhouse": "it is away"}] * 100
    assert store.asked == 1
    store.trouble = ""
    assert await health.problems() == {}
    assert store.asked == 2


async def test_who_asks_first_and_leaves_takes_the_answer_from_nobody() -> None:
    store = Store()
    health = running(store)
    first, second = (asyncio.create_task(health.problems()) for _ in range(2))
    await until(lambda: store.asked > 0)
    first.cancel()
    await asyncio.wait([first])
    store.may_answer.set()
    assert await second == {}
    assert store.asked == 1
