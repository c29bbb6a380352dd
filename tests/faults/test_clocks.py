"""Clocks that are set back and forth, and long sleeps: no span is lost, doubled or dropped for it, unless a rule says so."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.clocks import RunningClock
from tests.support.proxy import NETWORK_FAULTS, Fault, Request, proxy_to, status, swallow
from tests.support.waiting import until
from tests.support.ways import Way, assert_stored_once, way_to

DAY_S = 86_400.0
MAX_AGE: dict[str, Any] = {"max_age": "1h", "sync_interval": "10ms"}


def oldest_s(way: Way) -> float:
    """For how many seconds the oldest span has been waiting."""
    return way.pipeline.statistics().oldest_age_s


async def test_a_clock_that_jumps_during_ingest_and_retries(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    chance, time = random.Random(1), RunningClock()
    faults = [fault for fault in NETWORK_FAULTS if fault is not swallow] * 2
    chance.shuffle(faults)

    def some(_: Request) -> Fault | None:
        return faults.pop() if faults and chance.random() < 0.5 else None

    async with (
        proxy_to(clickhouse.http_port) as proxy,
        way_to(proxy.url, tmp_path, database, exporter={"timeout": "500ms"}, journal=MAX_AGE, clock=time.clock) as way,
    ):
        proxy.fault = some
        first = 0
        while faults:
            time.ahead_s = chance.choice([0.0, -400 * DAY_S, 400 * DAY_S, chance.uniform(-10, 10)])
            await way.send(first, 15)
            first += 15
            # Nothing has waited for a minute, whatever the clock on the wall says.
            assert 0 <= oldest_s(way) < 60
            await way.settle(waiting=60)
        await way.settle()
        assert way.settled == {"stored": len(way.taken)}
        assert_stored_once(clickhouse, database, way.taken)


async def test_what_is_tried_for_a_while_is_not_given_up_because_the_clock_was_set(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    time = RunningClock()
    async with proxy_to(clickhouse.http_port) as proxy, way_to(proxy.url, tmp_path, database, clock=time.clock) as way:
        proxy.meet(status(500))
        await way.send(0)
        for jump_s in (DAY_S, -DAY_S, 400 * DAY_S):
            time.ahead_s += jump_s
            await way.until_retried("http_500", int(way.retries("http_500")) + 3)
        proxy.meet(None)
        await way.settle()
        assert way.settled == {"stored": 10}
        assert_stored_once(clickhouse, database, range(10))


async def test_after_a_sleep_longer_than_max_age_a_span_is_dropped_or_stored_and_never_both(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    time = RunningClock()
    exporter = {"sending_queue": {"num_consumers": 2}}
    async with (
        proxy_to(clickhouse.http_port) as proxy,
        way_to(proxy.url, tmp_path, database, exporter=exporter, journal=MAX_AGE, clock=time.clock) as way,
    ):
        await way.send(0)
        await way.settle()
        proxy.meet(status(503))
        for first in range(100, 400, 10):
            await way.send(first)
        await until(lambda: len(proxy.attempts) == 3)
        time.passed_s += 2 * 3600
        # What came before the sleep goes with its file; what is on its way is not called back.
        await until(lambda: way.settled.get("journal_max_age", 0) > 0)
        await way.send(1000)
        proxy.meet(None)
        await way.settle()
        dropped = way.settled["journal_max_age"]
        assert 0 < dropped < 300
        assert way.settled == {"stored": len(way.taken) - dropped, "journal_max_age": dropped}
        kept = 400 - dropped
        assert_stored_once(clickhouse, database, [*range(10), *range(100, kept), *range(1000, 1010)])


@pytest.mark.parametrize(
    ("set_by_s", "drops"), [(-400 * DAY_S, False), (-60.0, False), (60.0, False), (400 * DAY_S, True)], ids=str
)
async def test_a_clock_that_was_set_between_two_runs(
    tmp_path: Path, clickhouse: ClickHouse, database: str, set_by_s: float, drops: bool
) -> None:
    time = RunningClock()
    async with proxy_to(clickhouse.http_port) as proxy:
        proxy.meet(status(503))
        async with way_to(proxy.url, tmp_path, database, journal=MAX_AGE, clock=time.clock, drain_s=0.05) as way:
            for first in range(0, 100, 10):
                await way.send(first)
        time.ahead_s = set_by_s
        async with way_to(proxy.url, tmp_path, database, journal=MAX_AGE, clock=time.clock) as way:
            assert oldest_s(way) >= 0
            await way.send(1000)
            if drops:
                await until(lambda: bool(way.settled.get("journal_max_age")))
            else:
                await way.until_retried("http_503", 3)
            proxy.meet(None)
            await way.settle()
            dropped = way.settled.get("journal_max_age", 0)
            assert (dropped > 0) is drops
            assert way.settled == {"stored": 110 - dropped} | ({"journal_max_age": dropped} if drops else {})
            # In order: what was on its way when the first run ended is still stored, what waited behind it was dropped.
            assert_stored_once(clickhouse, database, [*range(100 - dropped), *range(1000, 1010)])
