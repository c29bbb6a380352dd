"""Alert rules in a real ClickHouse: what is measured, what comes of it, and that it comes once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.alerts import MINUTE, SECOND, START, Shop, SpanOf, opened_shop
from tests.support.clickhouse import ClickHouse


@pytest.fixture
async def shop(clickhouse: ClickHouse) -> AsyncIterator[Shop]:
    async with opened_shop(clickhouse) as opened:
        yield opened


def slow(minutes: range, duration: int = 3 * SECOND, **fields: object) -> list[SpanOf]:
    """Four spans in each minute."""
    return [
        SpanOf(START + minute * MINUTE + number * SECOND, duration, **fields)  # type: ignore[arg-type]  # as SpanOf
        for minute in minutes
        for number in range(4)
    ]


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
