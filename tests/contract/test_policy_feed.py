"""Following tracing configs in a real ClickHouse that changes, goes away, and comes back."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.control.config_store import ConfigStore
from collector.control.feed import PolicyFeed
from collector.control.tracing_configs import TracingSettings
from exporters.clickhouse.client import ClickHouseClient, ClickHouseUnavailable
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.waiting import until


@dataclass
class Followed:
    """A feed, and a store through which somebody else changes what it follows."""

    client: ClickHouseClient
    database: str
    now_s: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.editor = ConfigStore(self.client, self.database)
        self.feed = PolicyFeed(self.editor, 2.0, lambda: self.now_s, self._failed)

    def _failed(self, reason: str) -> None:
        self.failures[reason] += 1

    def rate(self, service: str = "cart") -> float | None:
        policy = self.feed.current().policy("shop", service)
        return None if policy is None else policy.sampling_rate


@pytest.fixture
async def followed(clickhouse: Any) -> AsyncIterator[Followed]:
    database = f"feed_{uuid.uuid4().hex}"
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        await apply(client, SchemaSettings(database=database))
        yield Followed(client, database)
        await client.command(f"DROP DATABASE IF EXISTS {database}", database="default")


def settings(rate: float, service: str = "cart") -> TracingSettings:
    return TracingSettings(service=service, sampling_rate=rate)


async def test_changes_are_seen_at_the_next_look(followed: Followed) -> None:
    feed = followed.feed
    assert not feed.known.is_set()
    await feed.look()
    assert (feed.known.is_set(), feed.configs, followed.rate()) == (True, 0, None)
    config = await followed.editor.create("shop", settings(0.5), "ann")
    await feed.look()
    assert (feed.configs, followed.rate()) == (1, 0.5)
    config = await followed.editor.change(config, settings(0.25), "ann")
    await feed.look()
    assert followed.rate() == 0.25
    before = feed.current()
    await feed.look()
    assert feed.current() is before
    await followed.editor.delete(config, "ann")
    await feed.look()
    assert (feed.configs, followed.rate()) == (0, None)


async def test_while_the_store_is_away_the_last_configs_stay_and_grow_old(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await followed.editor.create("shop", settings(0.5), "ann")
    await followed.feed.look()

    async def away(*_: Any, **__: Any) -> None:
        raise ClickHouseUnavailable("nobody there", sent=False)

    with monkeypatch.context() as outage, capture_logs() as lines:
        outage.setattr(ClickHouseClient, "query", away)
        for _ in range(3):
            followed.now_s += 10
            await followed.feed.look()
        assert (followed.rate(), followed.feed.age_s) == (0.5, 30)
        assert followed.failures == {"unreachable": 3}
    assert [line["event"] for line in lines] == ["tracing_configs_not_read"]
    with capture_logs() as lines:
        await followed.feed.look()
    assert followed.feed.age_s == 0
    assert [line["event"] for line in lines] == ["tracing_configs_read_again"]


async def test_nothing_is_known_until_the_store_has_answered(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise ClickHouseUnavailable("nobody there", sent=False)

    with monkeypatch.context() as outage:
        outage.setattr(ClickHouseClient, "query", away)
        assert await followed.feed.fresh() is None
        assert not followed.feed.known.is_set()
    # Not asked again within the interval.
    assert await followed.feed.fresh() is None
    followed.now_s += 2
    assert await followed.feed.fresh() is followed.feed.current()
    assert followed.feed.known.is_set()


async def test_who_asks_often_makes_no_more_queries_than_the_interval_allows(followed: Followed) -> None:
    assert await followed.feed.fresh() is not None
    await followed.editor.create("shop", settings(0.5), "ann")
    for _ in range(5):
        await followed.feed.fresh()
    assert followed.rate() is None
    followed.now_s += 2
    await asyncio.gather(*(followed.feed.fresh() for _ in range(5)))
    assert followed.rate() == 0.5


async def test_without_a_table_nothing_is_said_and_what_was_said_stays(followed: Followed) -> None:
    await followed.client.command(f"DROP DATABASE {followed.database}", database="default")
    await followed.feed.look()
    assert (followed.feed.known.is_set(), followed.feed.configs, followed.failures) == (True, 0, {})
    await apply(followed.client, SchemaSettings(database=followed.database))
    await followed.editor.create("shop", settings(0.5), "ann")
    await followed.feed.look()
    await followed.client.command(f"DROP TABLE {followed.database}.otel_tracing_configs SYNC")
    await followed.feed.look()
    assert (followed.rate(), followed.failures) == (0.5, {"unknown_table": 1})


async def test_it_follows_until_it_is_stopped_whatever_happens(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = PolicyFeed(followed.editor, 0.01, failed=followed._failed)
    task = asyncio.create_task(feed.run())
    await feed.known.wait()
    await followed.editor.create("shop", settings(0.5), "ann")
    await until(lambda: feed.configs == 1)

    async def broken(_: ConfigStore) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as fault, capture_logs() as lines:
        fault.setattr(ConfigStore, "state", broken)
        await until(lambda: followed.failures["internal_error"] > 2)
    assert len([line for line in lines if line["event"] == "tracing_configs_not_read"]) == 1
    await followed.editor.create("shop", settings(0.25, "pay*"), "ann")
    await until(lambda: feed.configs == 2)
    task.cancel()
    await asyncio.wait([task])
