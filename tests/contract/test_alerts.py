"""Alert rules in a real ClickHouse: what is measured, what comes of it, and that it comes once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from collector import metrics
from collector.monitor.alerts.actions import NotPossible, act
from collector.monitor.alerts.forgetting import Forgetting
from collector.monitor.alerts.lease import RENEW_S, STOP_S, VALID_S, Lease
from collector.monitor.alerts.log import AlertLog, Happening
from collector.monitor.alerts.states import AlertState, Step, acknowledge, resolve
from collector.telemetry import Telemetry
from exporters.clickhouse.schema import SchemaSettings
from tests.support.alerts import (
    MINUTE,
    SECOND,
    START,
    WORKSPACE,
    Shop,
    SpanOf,
    opened_shop,
    slow,
)
from tests.support.clickhouse import ClickHouse
from tests.support.waiting import until

CRASHES = int(os.environ.get("SPANHOUSE_ALERT_CRASHES", "3"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


@pytest.fixture
async def shop(clickhouse: ClickHouse, module_database: str) -> AsyncIterator[Shop]:
    async with opened_shop(clickhouse, module_database) as opened:
        yield opened


async def test_a_slow_service_is_told_of_with_its_slowest_traces_and_again_when_it_has_recovered(shop: Shop) -> None:
    rule = await shop.rule(
        {"measure": "latency", "of": "p99", "above": "2s", "recover": "1500ms"},
        scope={"service": "cart"},
        by=["operation"],
        window="2m",
        severity="critical",
        labels={"team": "shop"},
        **{"for": "1m"},
    )
    spans = [*slow(range(3)), *slow(range(3, 8), SECOND), *slow(range(8), SECOND, service="payment")]
    slowest = SpanOf(START + 90 * SECOND, 5 * SECOND)
    await shop.spans([*spans, slowest])
    first = await shop.collector().open()
    await first.minute()
    assert shop.inbox.events == []
    await first.minute()
    (fired,) = shop.inbox.events
    assert (fired.what, fired.rule_id, fired.severity, fired.group) == ("fired", rule, "critical", {"operation": "GET /"})
    assert (fired.measure, fired.condition, fired.unit, fired.threshold) == ("p99 of durations", "above 2s", "s", 2.0)
    assert fired.started_at == START + MINUTE
    assert (fired.window_start, fired.window_end) == (START, START + 2 * MINUTE)
    assert fired.labels == {"team": "shop"}
    (evidence,) = fired.evidence
    assert evidence.labels == {"operation": "GET /"}
    assert evidence.value == pytest.approx(5, rel=0.011)
    assert evidence.spans == 9
    assert evidence.trace_ids[0] == slowest.trace_id
    assert len(set(evidence.trace_ids)) == 3
    # Another collector knows all that the first one knew.
    second = await shop.collector().open()
    await second.minute(2)
    assert shop.inbox.whats == ["fired"]
    await second.minute(2)
    assert shop.inbox.whats == ["fired", "resolved"]
    resolved = shop.inbox.events[-1]
    assert (resolved.incident, resolved.alert_id) == (fired.incident, fired.alert_id)
    assert resolved.key != fired.key
    # What the first one would do now, had it slept all the while, is nothing.
    await first.minute(2)
    assert shop.inbox.whats == ["fired", "resolved"]


async def test_who_acknowledges_and_resolves_is_told_to_others_and_wins_over_nobody(shop: Shop) -> None:
    await shop.spans(slow(range(20)))
    await shop.rule({"measure": "latency", "above": "2s"}, scope={"service": "cart"}, window="1m", repeat="1m")
    collector = await shop.collector().open()
    await collector.minute(2)
    (alert,) = await collector.log.page(WORKSPACE, 10, statuses=["active"], before=(1 << 62, ""))

    async def does(action: Callable[[AlertState, int], Step | None], who: str) -> Happening | NotPossible | None:
        try:
            return await act(collector.log, WORKSPACE, alert.alert_id, action, who, "mine", shop.clock.now)
        except NotPossible as error:
            return error

    # Of those who acknowledge at once, one does.
    outcomes = await asyncio.gather(*(does(acknowledge, f"person {number}") for number in range(4)))
    (done,) = [each for each in outcomes if isinstance(each, Happening)]
    assert sum(isinstance(each, NotPossible) for each in outcomes) == 3
    await collector.minute(3)
    assert shop.inbox.whats == ["fired", "repeated", "acknowledged"]
    told = shop.inbox.events[-1]
    assert (told.by, told.note) == (done.by, "mine")
    assert told.evidence == shop.inbox.events[1].evidence
    assert await act(collector.log, "elsewhere", alert.alert_id, resolve, "ann", "", shop.clock.now) is None
    await does(resolve, "ann")
    await collector.send()
    # It is still slow, and fires anew, as another incident.
    await collector.minute(2)
    assert shop.inbox.whats[3:] == ["resolved", "fired", "repeated"]
    assert len({event.incident for event in shop.inbox.events}) == 2
    # Without its rule it ends.
    (stored,) = await shop.rules.all(WORKSPACE)
    await shop.rules.delete(stored, "ann")
    await collector.minute()
    assert shop.inbox.whats[6:] == ["resolved"]
    assert collector.evaluator.recorder.alerts.all_open() == []


async def test_a_collector_takes_over_when_the_holder_stops_and_not_before(shop: Shop) -> None:
    first, second, *others = [
        Lease(shop.client, shop.schema, "alerting", lambda: shop.now / 1e9, lambda: shop.now) for _ in range(6)
    ]
    assert sum(await asyncio.gather(*(lease.claim() for lease in (first, *others)))) == 1
    (holder,) = [lease for lease in (first, *others) if lease.is_held]
    holder.progress = START
    for _ in range(10):
        shop.now += int(RENEW_S * SECOND)
        assert await holder.claim()
        assert not await second.claim()
    shop.now += int(STOP_S * SECOND)
    assert not holder.is_held
    assert not await second.claim()
    shop.now += int((VALID_S - STOP_S) * SECOND)
    assert await second.claim()
    assert second.progress == START
    assert not await holder.claim()
    await second.release()
    assert await holder.claim()


async def test_what_happened_long_ago_is_forgotten_but_for_what_is_still_open(shop: Shop) -> None:
    await shop.spans([*slow(range(2)), *slow(range(2, 400), SECOND), *slow(range(400), service="stock")])
    await shop.rule({"measure": "latency", "above": "2s"}, by=["service"], window="1m", repeat="0")
    collector = await shop.collector().open()
    await collector.minute(5)
    assert shop.inbox.whats == ["fired", "fired", "resolved"]
    forgetting = Forgetting(collector.log, 3600, collector.telemetry, shop.clock)
    await forgetting.look()
    assert len(await collector.log.after(0)) == 3
    shop.now += 2 * 60 * MINUTE
    await forgetting.look()

    async def left() -> list[tuple[str, str]]:
        return [(each.group["service"], each.state.status) for each in await collector.log.after(0)]

    # The last entry stays too: places in the order are never given anew.
    await until(lambda: is_so(left(), [("stock", "active"), ("cart", "resolved")]))
    await collector.minute()
    assert (await collector.log.latest(shop.now))[0] == collector.evaluator.recorder.alerts.head
    await collector.evaluator.recorder.load()
    assert [each.group for each in collector.evaluator.recorder.alerts.all_open()] == [{"service": "stock"}]


async def test_what_cannot_be_forgotten_is_told_of_and_tried_again_later(shop: Shop) -> None:
    telemetry = Telemetry("1", shop.clock)
    log = AlertLog(shop.client, SchemaSettings(database="nowhere"))
    running = asyncio.create_task(Forgetting(log, 3600, telemetry, shop.clock).run())
    await until(lambda: telemetry.value(metrics.ALERT_FAILURES, "unknown_database") == 1)
    assert not running.done()
    running.cancel()
    # Who keeps everything looks at nothing.
    await Forgetting(log, 0, telemetry, shop.clock).run()


async def is_so(found: Awaitable[object], expected: object) -> bool:
    return await found == expected
