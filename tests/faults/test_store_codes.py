"""Every code of the table of ClickHouse's errors does what the table says, in front of a real ClickHouse.

What passes is tried for hours; what somebody may put right is tried for a while, then set aside; where the content is at fault,
the spans that are at fault are set aside alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporters.base import Outlook
from exporters.clickhouse.errors import OF_CONTENT, OUTLOOKS, STATUS_OUTLOOKS, TOO_LARGE
from tests.support.clickhouse import ClickHouse
from tests.support.clocks import RunningClock
from tests.support.proxy import Fault, Proxy, Request, exception, proxy_to, status
from tests.support.ways import Way, assert_stored_once, way_to

pytestmark = pytest.mark.soak

UNKNOWN = 12_345
"""A code that the table does not have."""
UNSURE_S = 301.0


def refusals(outlook: Outlook, *, of_content: bool = False) -> list[tuple[str, Fault]]:
    """Every answer with this outlook, by the reason under which it is counted."""
    codes = {code for code, its in OUTLOOKS.items() if its is outlook and (code in OF_CONTENT) is of_content}
    statuses = {code for code, its in STATUS_OUTLOOKS.items() if its is outlook and (code == TOO_LARGE) is of_content}
    if outlook is Outlook.UNSURE:
        codes |= {UNKNOWN}
        statuses |= {500}
    return [(f"name_{code}", exception(code, f"NAME_{code}")) for code in sorted(codes)] + [
        (f"http_{code}", status(code)) for code in sorted(statuses)
    ]


@asynccontextmanager
async def line(clickhouse: ClickHouse, directory: Path, database: str, time: RunningClock) -> AsyncIterator[tuple[Proxy, Way]]:
    async with (
        proxy_to(clickhouse.http_port) as proxy,
        way_to(
            proxy.url, directory, database, clock=time.clock, exporter={"retry_on_failure": {"initial_interval": "1ms"}}
        ) as way,
    ):
        # What is sent first makes the tables.
        await way.send(0)
        await way.settle()
        yield proxy, way


async def test_what_passes_is_tried_again_for_hours_and_stored(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    time = RunningClock()
    async with line(clickhouse, tmp_path, database, time) as (proxy, way):
        for number, (reason, fault) in enumerate(refusals(Outlook.LATER), 1):
            proxy.meet(fault)
            await way.send(10 * number)
            await way.until_retried(reason, 1)
            time.passed_s += 10_000
            await way.until_retried(reason, 3)
            assert way.waiting == 10
            proxy.meet(None)
            await way.settle()
        assert not way.set_aside()
        assert_stored_once(clickhouse, database, way.taken)


async def test_what_may_be_put_right_is_tried_for_a_while_then_set_aside(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    time = RunningClock()
    expected: dict[int, str] = {}
    async with line(clickhouse, tmp_path, database, time) as (proxy, way):
        for number, (reason, fault) in enumerate(refusals(Outlook.UNSURE), 1):
            proxy.meet(fault)
            await way.send(10 * number)
            await way.until_retried(reason, 3)
            assert way.waiting == 10
            time.passed_s += UNSURE_S
            await way.settle()
            expected |= dict.fromkeys(range(10 * number, 10 * number + 10), reason)
        assert way.set_aside() == expected
        assert_stored_once(clickhouse, database, range(10))


async def test_what_fails_whatever_the_content_is_set_aside_whole_at_once(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    expected: dict[int, str] = {}
    async with line(clickhouse, tmp_path, database, RunningClock()) as (proxy, way):
        attempts = proxy.attempts.total()
        found = refusals(Outlook.NEVER)
        for number, (reason, fault) in enumerate(found, 1):
            proxy.meet(fault)
            await way.send(10 * number)
            await way.settle()
            expected |= dict.fromkeys(range(10 * number, 10 * number + 10), reason)
        assert proxy.attempts.total() == attempts + len(found), "nothing was tried twice"
        assert way.set_aside() == expected
        assert_stored_once(clickhouse, database, range(10))


async def test_where_the_content_is_at_fault_the_spans_at_fault_are_set_aside_alone(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    expected: dict[int, str] = {}
    async with line(clickhouse, tmp_path, database, RunningClock()) as (proxy, way):
        for number, (reason, fault) in enumerate(refusals(Outlook.NEVER, of_content=True), 1):
            bad = 10 * number + number % 10

            def only_bad(request: Request, bad: int = bad, fault: Fault = fault) -> Fault | None:
                return fault if bad in request.numbers else None

            proxy.fault = only_bad
            await way.send(10 * number)
            await way.settle()
            expected[bad] = reason
        assert way.set_aside() == expected
        assert Counter(way.settled) == {"stored": len(way.taken) - len(expected), "dead_letter": len(expected)}
        assert_stored_once(clickhouse, database, set(way.taken) - set(expected))
