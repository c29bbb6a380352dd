"""Between the collector and a real ClickHouse the network fails at random: each span is stored once all the same.

`SPANHOUSE_NETWORK_FAULTS` sets how many inserts meet a fault, `SPANHOUSE_SEED` which.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.proxy import (
    NETWORK_FAULTS,
    Exchange,
    Fault,
    Request,
    answer_late,
    leave_in_flight,
    proxy_to,
    refuse_what_happened,
)
from tests.support.waiting import until
from tests.support.ways import assert_stored_once, way_to

FAULTS = int(os.environ.get("SPANHOUSE_NETWORK_FAULTS", "60"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))
AT_ONCE = 4
LARGE = 4000
"""Spans of an insert that takes a while."""


@pytest.mark.timeout(60 + 2 * FAULTS)
async def test_whatever_the_network_does_each_span_is_stored_once(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    chance = random.Random(SEED)
    # Every kind of fault comes, in an order that the seed decides.
    waiting = (list(NETWORK_FAULTS) * (FAULTS // len(NETWORK_FAULTS) + 1))[:FAULTS]
    chance.shuffle(waiting)

    def some(_: Request) -> Fault | None:
        return waiting.pop() if waiting and chance.random() < 0.7 else None

    settings = {"timeout": "700ms", "sending_queue": {"num_consumers": AT_ONCE}}
    async with proxy_to(clickhouse.http_port, SEED) as proxy, way_to(proxy.url, tmp_path, database, exporter=settings) as way:
        proxy.fault = some
        first = 0
        while waiting:
            count = chance.randrange(1, 40)
            await way.send(first, count)
            first += count
            # Few wait, so that there is load for as long as there are faults.
            await way.settle(waiting=AT_ONCE * 40, deadline_s=60.0 + FAULTS)
        await way.settle()
        assert proxy.faults.total() == FAULTS
        assert not way.set_aside()
        assert way.settled == {"stored": len(way.taken)}
        assert_stored_once(clickhouse, database, way.taken)


@pytest.mark.parametrize("fault", [answer_late, leave_in_flight, refuse_what_happened], ids=lambda fault: fault.__name__)
async def test_what_was_stored_but_not_confirmed_again_and_again_is_stored_once(
    tmp_path: Path, clickhouse: ClickHouse, database: str, fault: Fault
) -> None:
    async with (
        proxy_to(clickhouse.http_port) as proxy,
        way_to(proxy.url, tmp_path, database, exporter={"timeout": "300ms"}) as way,
    ):
        proxy.meet(fault)
        await way.send(0)
        await until(lambda: max(proxy.attempts.values(), default=0) >= 4)
        assert way.waiting == 10
        proxy.meet(None)
        await way.settle()
        assert len(proxy.attempts) == 1, "a repeated insert has the token of the first"
        assert_stored_once(clickhouse, database, range(10))


async def test_repeats_that_overtake_the_insert_that_they_repeat(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    """Inserts of one token are at work at the same time, and large enough to meet."""
    batch = {"send_batch_size": LARGE, "send_batch_max_size": LARGE}
    async with proxy_to(clickhouse.http_port) as proxy, way_to(proxy.url, tmp_path, database, batch=batch) as way:
        proxy.fault = lambda request: leave_in_flight if proxy.attempts[request.token] <= 3 else None
        for number in range(3):
            await way.send(number * LARGE, LARGE)
        await way.settle()
        assert set(proxy.attempts.values()) == {4}
        assert_stored_once(clickhouse, database, way.taken)


@pytest.mark.timeout(60 + 2 * FAULTS)
async def test_inserts_that_are_killed_while_they_are_at_work(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    """As by a client that has waited for long enough, between the spans' table and the view's at worst."""
    chance = random.Random(SEED)
    batch = {"send_batch_size": LARGE, "send_batch_max_size": LARGE}

    async def kill(exchange: Exchange) -> None:
        asking = asyncio.create_task(exchange.ask())
        await asyncio.sleep(chance.uniform(0, 0.1))
        statement = f"KILL QUERY WHERE query_id = '{exchange.request.query_id}' SYNC"
        await asyncio.to_thread(clickhouse.execute, statement)
        await asking
        exchange.hang_up()

    async with proxy_to(clickhouse.http_port) as proxy, way_to(proxy.url, tmp_path, database, batch=batch) as way:
        proxy.fault = lambda request: kill if proxy.attempts[request.token] <= 4 else None
        for number in range(FAULTS // 12):
            await way.send(number * LARGE, LARGE)
        await way.settle()
        assert_stored_once(clickhouse, database, way.taken)
