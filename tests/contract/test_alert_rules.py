"""Alert rules in the embedded ClickHouse: what is measured and what comes of it, and that crashes change nothing."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from collector import metrics
from collector.monitor.alerts.alerting import Alerting
from collector.monitor.alerts.dry_run import dry_run, evaluation_times
from collector.monitor.alerts.measuring import Question, measure
from collector.monitor.alerts.muting import MAINTENANCE_WINDOWS, SILENCES, MaintenanceWindow, Silence
from collector.monitor.alerts.planning import PlannedRule
from collector.query.language import read_query
from collector.query.predicates import EVERY_SPAN
from collector.sketch import RELATIVE_ERROR
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
    SpanOf,
    crashing_client,
    slow,
)
from tests.support.waiting import until

CRASHES = int(os.environ.get("SPANHOUSE_ALERT_CRASHES", "3"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


def drawn_spans(seed: int) -> list[SpanOf]:
    """Spans of three hours and a half, some of which stand for several."""
    chance = random.Random(seed)
    return [
        SpanOf(
            START + chance.randrange(210 * MINUTE),
            chance.choice([0, 1, 10**6, chance.randrange(10**10)]),
            chance.choice(["cart", "payment", "stock"]),
            chance.choice(["GET /", "PUT /"]),
            chance.choice(["Server", "Client"]),
            chance.random() < 0.2,
            chance.choice([1.0, 1.0, 4.0, 12.5]),
            {"tenant": chance.choice(["a", "b"])},
        )
        for _ in range(800)
    ]


def value_of(span: SpanOf, column: str) -> str:
    return {"service": span.service, "operation": span.operation, "kind": span.kind}.get(column) or span.attributes[column]


async def test_what_is_measured_is_what_the_spans_say(shop: Shop) -> None:
    spans = drawn_spans(3)
    await shop.spans(spans)
    of_tenant_a = read_query("tenant = a").where
    windows = [(7, 52), (0, 210), (4, 209)]
    for first, last in windows:
        for columns in [(), ("service", "operation", "kind"), ("service", "tenant")]:
            for where in (None, EVERY_SPAN, of_tenant_a):
                if where is None and "tenant" in columns:
                    continue
                start, end = START + first * MINUTE, START + last * MINUTE
                question = Question(WORKSPACE, start, end, columns, (0.5, 0.99), (10**6, 5 * 10**9), where=where)
                found = await measure(shop.store, question)
                expected: dict[tuple[str, ...], list[SpanOf]] = {}
                for span in spans:
                    if start <= span.at < end and (where is not of_tenant_a or span.attributes["tenant"] == "a"):
                        expected.setdefault(tuple(value_of(span, column) for column in columns), []).append(span)
                assert found.keys() == expected.keys()
                for group, measured in found.items():
                    those = expected[group]
                    assert measured.spans == pytest.approx(sum(span.count for span in those))
                    assert measured.errors == pytest.approx(sum(span.count for span in those if span.failed))
                    assert measured.duration == pytest.approx(sum(span.count * span.duration for span in those))
                    for quantile, value in measured.quantiles.items():
                        assert value == pytest.approx(weighted_quantile(those, quantile), rel=RELATIVE_ERROR * 1.001)
                    for limit, count in measured.slower.items():
                        # Those that are as long as the limit, but for the sketch's error, may count or not.
                        least, most = (
                            sum(span.count for span in those if span.duration > limit * factor)
                            for factor in (1 + 2.5 * RELATIVE_ERROR, 1 - 2.5 * RELATIVE_ERROR)
                        )
                        assert least - 1e-6 <= count <= most + 1e-6


def weighted_quantile(spans: list[SpanOf], quantile: float) -> int:
    """The duration at or below which such a share of the spans lies."""
    wanted, sum_so_far = quantile * sum(span.count for span in spans), 0.0
    for span in sorted(spans, key=lambda span: span.duration):
        sum_so_far += span.count
        if sum_so_far >= wanted:
            return span.duration
    raise AssertionError("there are no spans")


async def test_every_measure_fires_and_recovers_as_it_says(shop: Shop) -> None:
    """Thirteen minutes of one service: quiet, but for minutes 4 and 5, which are bad, and 8 and 9, in which it is absent."""
    week = 7 * 24 * 60 * MINUTE
    spans = []
    for minute in range(13):
        is_bad, is_absent = minute in (4, 5), minute in (8, 9)
        at = START + week + minute * MINUTE
        spans += [SpanOf(at - week + number * SECOND) for number in range(10)]
        spans += [
            SpanOf(at + number * SECOND, (5 if is_bad else 1) * SECOND, failed=is_bad, attributes={"tenant": "a"})
            for number in range(0 if is_absent else 30 if is_bad else 10)
        ]
    await shop.spans(spans)
    conditions: dict[str, dict[str, Any]] = {
        "slow": {"measure": "latency", "of": "mean", "above": "2s"},
        "failing": {"measure": "errorRate", "above": 0.5},
        "busy": {"measure": "throughput", "above": 0.4},
        "idle": {"measure": "throughput", "below": 0.1},
        "gone": {"measure": "absence"},
        "slower": {"measure": "change", "of": "p50", "above": 2},
        "less": {"measure": "change", "of": "throughput", "below": 0.5},
        "burning": {"measure": "burnRate", "objective": 0.9, "windows": [{"long": "5m", "short": "2m", "rate": 4}]},
        "crawling": {
            "measure": "burnRate",
            "objective": 0.9,
            "slowerThan": "2s",
            "windows": [{"long": "5m", "short": "2m", "rate": 4}],
        },
    }
    for name, condition in conditions.items():
        await shop.rule(condition, name=name, by=["service"], window="1m", channels=[])
    await shop.rule(conditions["failing"], name="tenant", scope={"where": "tenant = a"}, by=["tenant"], window="1m", channels=[])
    expected = {
        # Minutes at whose end it fires, and recovers.
        "slow": (5, 7),
        "failing": (5, 7),
        "busy": (5, 7),
        "idle": (9, 11),
        "gone": (9, 11),
        "slower": (5, 7),
        "less": (9, 11),
        "tenant": (5, 7),
        # Bad are 30 of the 70 spans of five minutes at once; of two minutes, none from the second good one on.
        "burning": (5, 8),
        "crawling": (5, 8),
    }
    shop.now = START + week
    collector = await shop.collector().open()
    await collector.minute(13)
    found: dict[str, list[tuple[str, int]]] = {}
    for each in await collector.log.after(0):
        if each.event is not None:
            minute = (each.event.window_end - START - week) // MINUTE
            found.setdefault(each.rule_name, []).append((each.event.what, minute))
            assert each.group in ({"service": "cart"}, {"tenant": "a"})
    assert found == {name: [("fired", first), ("resolved", last)] for name, (first, last) in expected.items()}
    # A rule tells of the past what it told when that was the present.
    for stored in await shop.rules.all(WORKSPACE):
        rule = PlannedRule.of(stored)
        if rule.settings.name not in ("burning", "less", "tenant"):
            continue
        times = evaluation_times(rule, START + week + MINUTE, START + week + 13 * MINUTE)
        moments = (await dry_run(shop.store, rule, times)).moments
        told = [(moment.told, (moment.at - START - week) // MINUTE) for moment in moments if moment.told]
        assert told == found[rule.settings.name]


async def test_alerts_are_told_apart_by_what_the_rule_says_and_series_are_their_evidence(shop: Shop) -> None:
    spans = [
        SpanOf(START + number * SECOND, (2 + number % 3) * SECOND, service, f"GET /{number % 3}")
        for service in ("shop-cart", "shop-stock", "other")
        for number in range(30)
    ]
    await shop.spans(spans)
    await shop.rule(
        {"measure": "latency", "of": "mean", "above": "2500ms"},
        scope={"service": "shop-*"},
        by=["operation"],
        alertBy=["service"],
        window="1m",
    )
    collector = await shop.collector().open()
    await collector.minute()
    fired = {event.group["service"]: event for event in shop.inbox.events}
    assert fired.keys() == {"shop-cart", "shop-stock"}
    for service, event in fired.items():
        assert event.what == "fired"
        assert [each.labels["operation"] for each in event.evidence] == ["GET /2", "GET /1", "GET /0"]
        assert [each.value for each in event.evidence] == pytest.approx([4, 3, 2])
        assert all(each.labels["service"] == service for each in event.evidence)
        # The last of them is not to blame.
        assert [len(each.trace_ids) for each in event.evidence] == [3, 3, 0]


async def test_people_are_left_alone_in_silences_and_maintenance_and_told_afterwards(shop: Shop) -> None:
    await shop.spans(slow(range(20)))
    rule = await shop.rule({"measure": "latency", "above": "2s"}, scope={"service": "cart"}, window="1m", repeat="3m")
    other = await shop.rule({"measure": "latency", "above": "2s"}, scope={"service": "cart"}, window="1m", name="other")

    def time_of(minute: int) -> str:
        return datetime.fromtimestamp(START // SECOND + minute * 60, UTC).isoformat()

    silence = {"startsAt": time_of(0), "endsAt": time_of(3), "comment": "known", "rules": [str(rule)]}
    await shop.objects.of(SILENCES).create(WORKSPACE, Silence.model_validate_json(orjson.dumps(silence)), "ann")
    begins = datetime.fromtimestamp(START // SECOND + 8 * 60, UTC)
    window = {
        "name": "work",
        "cron": f"{begins.minute} {begins.hour} * * *",
        "duration": "3m",
        "labels": {"service": "c*", "rule": "rule"},
    }
    windows = shop.objects.of(MAINTENANCE_WINDOWS)
    await windows.create(WORKSPACE, MaintenanceWindow.model_validate_json(orjson.dumps(window)), "ann")
    # What another workspace wants is nobody else's business.
    everything = {**silence, "endsAt": time_of(30), "rules": [], "labels": {"rule": "*"}}
    await shop.objects.of(SILENCES).create("elsewhere", Silence.model_validate_json(orjson.dumps(everything)), "ann")
    collector = await shop.collector().open()
    await collector.minute(13)

    def heard(rule_id: uuid.UUID) -> list[tuple[str, int]]:
        events = [event for event in shop.inbox.events if event.rule_id == rule_id]
        return [(event.what, (event.window_end - START) // MINUTE) for event in events]

    # In maintenance from the end of minute 8 until that of minute 11: what would have been told at 9 is told at 11.
    assert heard(rule) == [("fired", 3), ("repeated", 6), ("repeated", 11)]
    assert heard(other) == [("fired", 1)]


async def crashed(collector: Collector) -> bool:
    """Whether a collector does not get through four minutes."""
    try:
        await collector.open()
        await collector.minute(4)
    except Crash:
        return True
    except BaseExceptionGroup as group:
        group.split(Crash)
        return True
    return False


async def test_a_crash_at_any_request_loses_no_event_and_tells_of_none_twice(shop: Shop) -> None:
    await shop.spans([*slow(range(2)), *slow(range(2, 5), SECOND)])
    crashes = 0
    async with crashing_client(shop) as client:
        for place in sorted(random.Random(SEED).sample(range(100), CRASHES)):
            shop.now, shop.inbox = START, Inbox()
            rule_id = await shop.rule({"measure": "latency", "above": "2s"}, scope={"service": "cart"}, window="1m")
            client.left, client.after = place // 2 + 1, bool(place % 2)
            collector = shop.collector(client)
            if await crashed(collector):
                crashes += 1
                # Another one goes on with the minute that it finds.
                client.left = 1 << 30
                shop.now = max(shop.now // MINUTE * MINUTE, START + MINUTE)
                collector = await shop.collector().open()
                await collector.evaluate()
                await collector.send()
                while shop.now < START + 4 * MINUTE:
                    await collector.minute()
            assert shop.inbox.whats == ["fired", "resolved"], place
            assert len({event.incident for event in shop.inbox.events}) == 1
            stored = await shop.rules.get(WORKSPACE, rule_id)
            assert stored is not None
            await shop.rules.delete(stored, "ann")
    assert crashes > CRASHES // 3


async def test_one_collector_watches_and_the_other_goes_on_when_it_is_gone(shop: Shop) -> None:
    await shop.spans([*slow(range(3)), *slow(range(3, 60), SECOND)])

    def collector() -> Alerting:
        return Alerting(shop.store, shop.schema, 0, shop.inbox, Telemetry("1", shop.clock), shop.clock)

    async def claims() -> int:
        return len(list((await shop.client.query("SELECT * FROM otel_alert_claims WHERE Subject = 'alerting'")).rows()))

    async with collector() as first, collector() as second:
        # Without rules nobody has anything to do.
        await until(lambda: first.is_quiet and second.is_quiet)
        assert await claims() == 0
        await shop.rule({"measure": "latency", "above": "2s"}, scope={"service": "cart"}, window="1m")
        shop.now += 5 * SECOND
        await until(lambda: first.is_watching or second.is_watching)
        watching, waiting = (first, second) if first.is_watching else (second, first)
        shop.now = START + MINUTE + 45 * SECOND
        await until(lambda: shop.inbox.whats == ["fired"])
        assert not waiting.is_watching
        # It is gone, and lets nobody know.
        assert watching._task is not None
        watching._lease._claimed_s = None
        watching._task.cancel()
        await asyncio.wait([watching._task])
        for _ in range(3):
            shop.now += 31 * SECOND
            await asyncio.sleep(0)
            seen = waiting.looks
            await until(lambda seen=seen: waiting.looks > seen or waiting.is_watching)  # type: ignore[misc]  # a default binds now
        await until(lambda: waiting.is_watching)
        shop.now = START + 5 * MINUTE + 45 * SECOND
        await until(lambda: shop.inbox.whats == ["fired", "resolved"])
    # Who stops in order lets go.
    last = (
        await shop.client.query("SELECT Done FROM otel_alert_claims WHERE Subject = 'alerting' ORDER BY Number DESC LIMIT 1")
    ).rows()
    assert [row["Done"] for row in last] == [True]


async def test_a_rule_that_reads_too_much_fails_alone_and_changes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.spans(slow(range(4)))
    slow_ones = {"measure": "latency", "above": "2s"}
    await shop.rule(slow_ones, name="of spans", scope={"where": 'name = "GET /"'}, window="1m")
    await shop.rule(slow_ones, name="of rates", window="1m")
    collector = await shop.collector().open()
    await collector.minute()
    assert sorted(event.rule_name for event in shop.inbox.events) == ["of rates", "of spans"]
    monkeypatch.setattr("collector.monitor.alerts.measuring.MOST_SPANS", 1)
    shop.now = (shop.now // MINUTE + 1) * MINUTE
    end = shop.now
    begun = await collector.evaluator.due()
    shop.now += 45 * SECOND
    for batch in [*begun, *await collector.evaluator.due()]:
        await collector.evaluator.evaluate_safely(batch, end)
    assert [collector.telemetry.value(metrics.ALERT_FAILURES, reason) for reason in ("too_many_rows", "internal_error")] == [1, 0]
    assert collector.telemetry.value(metrics.ALERT_EVALUATIONS) == 3
    assert collector.evaluator.recorder.alerts.active == 2
    monkeypatch.setattr("collector.monitor.alerts.measuring.MOST_GROUPS", 0)
    (of_rates,) = [batch for batch in collector.book.batches if batch.where is None]
    await collector.evaluator.evaluate_safely(of_rates, end)
    assert collector.telemetry.value(metrics.ALERT_FAILURES, "too_many_groups") == 1


async def test_people_are_told_even_where_traces_that_show_it_cannot_be_had(shop: Shop) -> None:
    await shop.spans(slow(range(1)))
    await shop.rule({"measure": "latency", "above": "2s"}, window="1m")
    await shop.client.command("RENAME TABLE otel_traces TO elsewhere")
    collector = await shop.collector().open()
    await collector.minute()
    await shop.client.command("RENAME TABLE elsewhere TO otel_traces")
    (event,) = shop.inbox.events
    assert (event.what, event.evidence[0].trace_ids) == ("fired", ())
    assert collector.telemetry.value(metrics.ALERT_FAILURES, "unknown_table") == 1
