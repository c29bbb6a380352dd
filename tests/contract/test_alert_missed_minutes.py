"""Minutes for which nobody has evaluated alert rules: what is in the history, and what people are told."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from collector import metrics
from collector.monitor.alerts.alerting import Alerting
from collector.monitor.alerts.lease import RENEW_S, VALID_S
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.measured import HOUR, Measured
from collector.monitor.alerts.measuring import Question, measure
from collector.monitor.alerts.missed import LATE
from collector.monitor.alerts.states import AlertState, Policy, step
from collector.query.store import SpanStore
from collector.telemetry import Telemetry
from tests.support.alerts import (
    MINUTE,
    SECOND,
    START,
    WORKSPACE,
    Collector,
    Crash,
    Inbox,
    Shop,
    crashing_client,
    slow,
)
from tests.support.waiting import until

CRASHES = int(os.environ.get("SPANHOUSE_ALERT_CRASHES", "3"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))
SLOW = {"measure": "latency", "above": "2s"}


Story = list[tuple[str, int, str]]


def told_of(is_slow: list[bool], evaluated_at: dict[int, int], policy: Policy) -> Story:
    """What there should be in the history: status, since which minute, and what people are told."""
    state, story = AlertState(), []
    for minute, is_bad in enumerate(is_slow, 1):
        end = START + minute * MINUTE
        after = step(state, policy, "breach" if is_bad else "clear", end, muted=evaluated_at[minute] - end > LATE)
        if after.state != state or after.told:
            story.append((after.state.status, (after.state.since - START) // MINUTE, after.told or ""))
        state = after.state
    return story


@pytest.mark.parametrize("ahead", [3 * HOUR, 400 * 24 * HOUR])
async def test_when_the_clock_is_set_back_rules_are_evaluated_at_once(shop: Shop, ahead: int) -> None:
    """Were they not before the clock is where it was, nobody would hear of anything meanwhile."""
    await shop.rule(SLOW, window="1m", **{"for": "1m"})
    await shop.spans(slow(range(2, 9)) + slow([(ahead + 2 * MINUTE) // MINUTE]))
    collector = await shop.collector().open()
    shop.now += ahead
    async with asyncio.TaskGroup() as evaluations:
        await collector.evaluator.catch_up(evaluations)
    await collector.minute(3)
    assert shop.inbox.whats == []
    shop.now = START
    await collector.minute(6)
    assert shop.inbox.whats == ["fired"]


@pytest.mark.parametrize("seed", range(2))
async def test_whoever_comes_back_goes_through_what_was_missed_as_if_it_had_been_there(shop: Shop, seed: int) -> None:
    """Against a model: alert states that see each minute once, in order, and tell nobody of what is too long ago."""
    chance = random.Random(seed)
    minutes = 40
    is_slow: list[bool] = []
    while len(is_slow) < minutes:
        is_slow += [bool(len(is_slow) % 2) ^ (chance.random() < 0.5)] * chance.randint(1, 6)
    is_slow = is_slow[:minutes]
    bad = [span for minute in range(minutes) for span in slow(range(minute, minute + 1), (3 if is_slow[minute] else 1) * SECOND)]
    await shop.spans(bad)
    await shop.rule(SLOW, window="1m", repeat="8m", recoverFor="1m", **{"for": "1m"})
    evaluated_at: dict[int, int] = {}
    evaluated = minute = 0
    while minute < minutes:
        shop.now = START + (minute + 1) * MINUTE
        collector = await shop.collector(evaluated=evaluated).open()
        await collector.catch_up()
        for missed in range(minute + 1):
            evaluated_at.setdefault(missed + 1, shop.now)
        await collector.evaluate()
        minute += 1
        for _ in range(min(chance.randint(0, 6), minutes - minute)):
            await collector.minute()
            minute += 1
            evaluated_at[minute] = START + minute * MINUTE
        await collector.send()
        # It dies, and did not always come to say how far it had come.
        evaluated = collector.evaluator.evaluated - chance.choice([0, MINUTE])
        minute = min(minute + chance.choice([0, 1, 4, 11]), max(minutes - 1, minute))
    found = await collector.log.after(0)
    policy = Policy(MINUTE, MINUTE, 8 * MINUTE, "keep", 6, HOUR)
    assert [
        (each.state.status, (each.state.since - START) // MINUTE, each.event.what if each.event else "") for each in found
    ] == told_of(is_slow, evaluated_at, policy)
    assert shop.inbox.whats == [each.event.what for each in found if each.event is not None]


async def test_what_began_and_ended_while_nobody_watched_is_recorded_and_what_lasts_is_told(shop: Shop) -> None:
    gone = [*slow(range(2)), *slow(range(30, 60))]
    stays = [*slow(range(20, 60), service="stock"), *slow(range(20), SECOND, service="stock")]
    ends = [*slow(range(5, 10), service="payment"), *slow([*range(5), *range(10, 60)], SECOND, service="payment")]  # type: ignore[arg-type]  # any minutes
    await shop.spans([*gone, *stays, *ends])
    await shop.rule(SLOW, name="slow", by=["service"], window="1m")
    await shop.rule({"measure": "absence"}, name="gone", by=["service"], window="1m")

    def collector() -> Alerting:
        return Alerting(shop.store, shop.schema, 0, shop.inbox, Telemetry("1", shop.clock), shop.clock)

    def has_evaluated(alerting: Alerting, minute: int) -> bool:
        holds_it = alerting._lease._claimed_s == shop.now / 1e9 and alerting._evaluator is not None
        return holds_it and alerting._evaluator.evaluated == START + minute * MINUTE

    async def others_know(minute: int) -> bool:
        claims = await shop.client.query("SELECT max(Progress) AS progress FROM otel_alert_claims WHERE Subject = 'alerting'")
        return bool(next(iter(claims.rows()))["progress"] == START + minute * MINUTE)

    log = AlertLog(shop.client, shop.schema)
    shop.now = START + 45 * SECOND
    async with collector() as first:
        for minute, whats in enumerate(([], ["fired"])):
            shop.now = START + minute * MINUTE + 45 * SECOND
            await until(lambda minute=minute: has_evaluated(first, minute))  # type: ignore[misc]  # a default binds now
            await until(lambda whats=whats: shop.inbox.whats == whats)  # type: ignore[misc]  # as above
            shop.now += int(RENEW_S * SECOND)
            await until(lambda minute=minute: others_know(minute))  # type: ignore[misc]  # as above
            # No claim is under way.
            await until(lambda minute=minute: has_evaluated(first, minute))  # type: ignore[misc]  # as above
        # It is gone, and lets nobody know.
        assert first._task is not None
        first._lease._claimed_s = None
        first._task.cancel()
        await asyncio.wait([first._task])
    shop.now = START + 30 * MINUTE + 40 * SECOND
    async with collector() as second:
        await until(lambda: second.looks > 1)
        shop.now += int(VALID_S * SECOND)
        await until(lambda: has_evaluated(second, 30))
        await until(lambda: len(shop.inbox.events) == 2)
        told = {(event.what, event.group["service"], (event.started_at - START) // MINUTE) for event in shop.inbox.events}
        # Spans of the cart are missing for half an hour, as they would be if the collector had been away.
        assert told == {("fired", "cart", 1), ("fired", "stock", 21)}
        recorded = [each for each in await log.after(0) if each.group.get("service") == "payment"]
        assert [(each.state.status, (each.state.since - START) // MINUTE, each.event) for each in recorded] == [
            ("active", 6, None),
            ("resolved", 11, None),
        ]
        assert all(each.at - each.state.since > LATE for each in recorded)


async def test_where_spans_are_missing_a_whole_window_must_have_been_seen(shop: Shop) -> None:
    await shop.spans(slow(range(2)))
    await shop.rule({"measure": "absence"}, name="gone", by=["service"], window="1m")
    shop.now = START + 10 * MINUTE + 5 * SECOND
    collector = await shop.collector(evaluated=START + 2 * MINUTE).open()
    await collector.catch_up()
    whats = []
    for _ in range(3):
        await collector.evaluate()
        await collector.send()
        whats.append(list(shop.inbox.whats))
        shop.now = (shop.now // MINUTE + 1) * MINUTE + 5 * SECOND
    assert whats == [[], [], ["fired"]]


async def test_no_more_than_an_hour_is_gone_through_and_no_rule_before_it_was_made(shop: Shop) -> None:
    await shop.spans(slow(range(130)))
    rule = await shop.rule(SLOW, name="slow", window="1m")
    shop.now = START + 125 * MINUTE
    collector = await shop.collector(evaluated=START + MINUTE).open()
    await collector.catch_up()
    happenings = await collector.log.after(0)
    assert [(each.state.status, each.event and each.event.what) for each in happenings] == [("active", None), ("active", "fired")]
    assert happenings[0].state.started_at == START + 65 * MINUTE
    assert collector.telemetry.value(metrics.ALERT_EVALUATIONS_MISSED) == 63
    assert collector.telemetry.value(metrics.ALERT_EVALUATIONS) == 60
    (planned,) = [each for batch in collector.book.batches for each in batch.rules if each.id == rule]
    (batch,) = collector.book.batches
    assert batch.due_late(planned.since) == [planned]
    assert batch.due_late(planned.since - 1) == []


async def test_a_slow_batch_does_not_hold_up_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.spans([*slow(range(12), SECOND), *slow(range(12, 20))])
    await shop.rule(SLOW, name="of rates", window="1m")
    await shop.rule(SLOW, name="of spans", scope={"where": 'name = "GET /"'}, window="1m")
    may_answer = asyncio.Event()

    async def measured_late(store: SpanStore, question: Question) -> dict[tuple[str, ...], Measured]:
        if question.where is not None:
            await may_answer.wait()
        return await measure(store, question)

    monkeypatch.setattr("collector.monitor.alerts.evaluation.measure", measured_late)
    monkeypatch.setattr("collector.monitor.alerts.evaluation._PATIENCE_S", 2.0)
    shop.now = START + 20 * MINUTE + 5 * SECOND
    collector = await shop.collector(evaluated=START + 10 * MINUTE).open()
    async with asyncio.TaskGroup() as evaluations:
        await collector.evaluator.catch_up(evaluations)
        written = {(each.rule_name, each.state.status) for each in await collector.log.after(0)}
        assert written == {("of rates", "active")}
        # Only the first of nine minutes was begun, and is not yet done.
        assert collector.telemetry.value(metrics.ALERT_EVALUATIONS_MISSED) == 8
        assert collector.evaluator.evaluated == START + 10 * MINUTE
        may_answer.set()
    await collector.evaluate()
    assert sorted(event.rule_name for event in shop.inbox.events) == []
    await collector.send()
    assert sorted(event.rule_name for event in shop.inbox.events) == ["of rates", "of spans"]


async def test_a_machine_that_has_slept_does_the_same(shop: Shop) -> None:
    await shop.spans([*slow(range(2), SECOND), *slow(range(2, 4)), *slow(range(4, 20), SECOND)])
    await shop.rule(SLOW, window="1m")
    collector = await shop.collector().open()
    await collector.minute(2)
    shop.now = START + 12 * MINUTE
    await collector.catch_up()
    await collector.evaluate()
    await collector.send()
    assert [each.state.status for each in await collector.log.after(0)] == ["active", "resolved"]
    assert shop.inbox.whats == []


async def test_a_crash_while_catching_up_loses_no_event_and_tells_of_none_twice(shop: Shop) -> None:
    await shop.spans([*slow(range(1), SECOND), *slow(range(1, 3)), *slow(range(3, 8), SECOND)])
    crashes = 0
    async with crashing_client(shop) as client:
        for place in sorted(random.Random(SEED).sample(range(80), CRASHES)):
            shop.now, shop.inbox = START, Inbox()
            rule_id = await shop.rule(SLOW, scope={"service": "cart"}, window="1m")
            first = await shop.collector().open()
            await first.minute()
            # Nobody is there for four minutes: few enough to be told of.
            shop.now = START + 5 * MINUTE + 10 * SECOND
            client.left, client.after = place // 2 + 1, bool(place % 2)
            try:
                await caught_up(shop.collector(client, first.evaluator.evaluated))
            except Crash:
                crashes += 1
            except BaseExceptionGroup as group:
                group.split(Crash)
                crashes += 1
            client.left = 1 << 30
            await caught_up(shop.collector(evaluated=first.evaluator.evaluated))
            assert shop.inbox.whats == ["fired", "resolved"], place
            assert len({event.incident for event in shop.inbox.events}) == 1
            stored = await shop.rules.get(WORKSPACE, rule_id)
            assert stored is not None
            await shop.rules.delete(stored, "ann")
    assert crashes > CRASHES // 4


async def caught_up(collector: Collector) -> None:
    """Let a collector go through what was missed, and send what comes of it."""
    await collector.open()
    await collector.catch_up()
    await collector.send()
