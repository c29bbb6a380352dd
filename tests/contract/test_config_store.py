"""Tracing configs in a real ClickHouse: what is written is read, and of those who write at once one wins and the others know."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from collector.control.config_store import ConfigStore
from collector.control.tracing_configs import TracingSettings, id_of
from collector.control.versions import Conflict, Stored
from exporters.clickhouse.client import ClickHouseClient, ClickHouseUnavailable
from tests.support.clickhouse import ClickHouse
from tests.support.requests import EPOCH

Collectors = Callable[[int], list[ConfigStore]]


def settings(service: str = "shop", **others: Any) -> TracingSettings:
    return TracingSettings(service=service, **others)


@pytest.fixture
async def collectors(clickhouse: ClickHouse, module_client: ClickHouseClient) -> AsyncIterator[Collectors]:
    """Makes stores, each with connections and a clock of its own, on one database."""
    database = module_client.database
    async with AsyncExitStack() as clients:

        def store() -> ConfigStore:
            client = ClickHouseClient([clickhouse.url], database=database)
            clients.push_async_callback(client.close)
            return ConfigStore(client, database, now=itertools.count(EPOCH).__next__)

        yield lambda count: [store() for _ in range(count)]


async def test_every_field_comes_back_as_it_was_written(collectors: Collectors) -> None:
    [store] = collectors(1)
    wanted = settings(
        "grüße * '\\\"",
        enabled=False,
        sampling_rate=0.1,
        excluded_paths=("/a'b\\", "/ü*"),
        propagate_context=False,
        comment="line\nnext\t'",
    )
    written = await store.create("shop", wanted, "ann")
    assert (written.version, written.settings, written.created_by, written.updated_by) == (1, wanted, "ann", "ann")
    assert written.created_at == written.updated_at >= EPOCH
    assert await store.get("shop", written.id) == written
    assert await store.all() == await store.all("shop") == [written]


async def test_a_change_is_a_new_version_and_keeps_who_made_the_config(collectors: Collectors) -> None:
    [store] = collectors(1)
    first = await store.create("shop", settings(), "ann")
    second = await store.change(first, settings(sampling_rate=0.5), "ben")
    assert (second.id, second.version, second.created_by, second.updated_by) == (first.id, 2, "ann", "ben")
    assert (second.created_at, second.updated_at > first.updated_at) == (first.created_at, True)
    assert await store.all() == [second]


async def test_what_is_deleted_is_gone_and_begins_anew_with_the_versions_going_on(collectors: Collectors) -> None:
    [store] = collectors(1)
    first = await store.create("shop", settings(), "ann")
    await store.delete(first, "ben")
    assert await store.get("shop", first.id) is None
    assert await store.all() == await store.page("shop", 10) == []
    again = await store.create("shop", settings(comment="again"), "cid")
    assert (again.id, again.version, again.created_by) == (first.id, 3, "cid")
    assert again.created_at == again.updated_at > first.created_at


async def test_there_is_one_config_for_a_text_in_each_workspace(collectors: Collectors) -> None:
    [store] = collectors(1)
    mine, theirs = await store.create("mine", settings(), "ann"), await store.create("theirs", settings(), "ann")
    assert mine.id == id_of("mine", "shop") != theirs.id
    with pytest.raises(Conflict) as conflict:
        await store.create("mine", settings(enabled=False), "ben")
    assert conflict.value.current == mine
    assert await store.get("mine", theirs.id) is None
    assert await store.all("theirs") == [theirs]


async def test_who_has_seen_an_old_version_is_told_which_one_there_is(collectors: Collectors) -> None:
    one, other = collectors(2)
    seen = await one.create("shop", settings(), "ann")
    newer = await other.change(seen, settings(sampling_rate=0.5), "ben")
    for late in (one.change(seen, settings(enabled=False), "ann"), one.delete(seen, "ann")):
        with pytest.raises(Conflict) as conflict:
            await late
        assert conflict.value.current == newer
    assert await one.get("shop", seen.id) == newer


async def test_of_many_collectors_that_change_a_config_at_once_one_wins_and_all_agree(collectors: Collectors) -> None:
    stores = collectors(8)
    current = await stores[0].create("shop", settings(), "ann")
    for _ in range(8):
        rates = [number / 10 for number in range(len(stores))]
        attempts = [
            store.change(current, settings(sampling_rate=rate), str(rate)) for store, rate in zip(stores, rates, strict=True)
        ]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        [winner] = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
        losers = [outcome.current for outcome in outcomes if isinstance(outcome, Conflict)]
        assert losers == [winner] * (len(stores) - 1)
        assert [await store.get("shop", current.id) for store in stores] == [winner] * len(stores)
        current = winner
    assert current.version == 9


async def test_of_many_who_create_the_same_config_at_once_one_does(collectors: Collectors) -> None:
    stores = collectors(8)
    made = await asyncio.gather(*(store.create("shop", settings(), str(store)) for store in stores), return_exceptions=True)
    [winner] = [outcome for outcome in made if isinstance(outcome, Stored)]
    assert sum(isinstance(outcome, Conflict) for outcome in made) == 7
    assert await stores[0].all() == [winner]


async def test_pages_are_in_the_order_of_texts_and_can_be_narrowed(collectors: Collectors) -> None:
    [store] = collectors(1)
    for number, name in enumerate(("cart", "Basket", "cart-*", "überweisung")):
        await store.create("shop", settings(name, enabled=number % 2 == 0), "ann")
    await store.create("theirs", settings("cart"), "ann")

    async def names(limit: int = 10, **narrower: Any) -> list[str]:
        return [config.settings.service for config in await store.page("shop", limit, **narrower)]

    assert await names() == ["Basket", "cart", "cart-*", "überweisung"]
    assert await names(2, after="Basket") == ["cart", "cart-*"]
    assert await names(enabled=True) == ["cart", "cart-*"]
    assert await names(enabled=False) == ["Basket", "überweisung"]
    assert await names(contains="cart") == ["cart", "cart-*"]
    assert await names(contains="'") == []


async def test_the_state_changes_with_every_version(collectors: Collectors) -> None:
    [store] = collectors(1)
    states = [await store.state()]
    config = await store.create("shop", settings(), "ann")
    states.append(await store.state())
    config = await store.change(config, settings(enabled=False), "ann")
    states.append(await store.state())
    await store.delete(config, "ann")
    states.append(await store.state())
    assert len(set(states)) == 4
    assert await store.state() == states[-1]


async def test_two_rows_of_one_version_are_read_as_the_same_one_by_everybody(collectors: Collectors, clickhouse: Any) -> None:
    [store] = collectors(1)
    first = await store.create("shop", settings(), "ann")
    table = store._table
    for rate, seconds, writer in ((0.1, 20, 1), (0.2, 10, 3), (0.3, 10, 2)):
        clickhouse.execute(
            f"INSERT INTO {table} SELECT * REPLACE (2 AS Version, {rate} AS SamplingRate, "
            f"toDateTime64({seconds}, 9, 'UTC') AS UpdatedAt, toUUID('{uuid.UUID(int=writer)}') AS WriteId) "
            f"FROM (SELECT * FROM {table} WHERE Version = 1)"
        )
    found = await store.get("shop", first.id)
    assert found is not None
    assert found.settings.sampling_rate == 0.3
    assert await store.all() == await store.page("shop", 10) == [found]


async def test_an_insert_that_was_stored_although_its_answer_was_lost_counts(
    collectors: Collectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    [store] = collectors(1)
    first = await store.create("shop", settings(), "ann")
    insert = ClickHouseClient.insert

    async def stored_but_lost(self: ClickHouseClient, *arguments: Any, **options: Any) -> dict[str, int]:
        await insert(self, *arguments, **options)
        raise ClickHouseUnavailable("the connection broke", sent=True)

    monkeypatch.setattr(ClickHouseClient, "insert", stored_but_lost)
    second = await store.change(first, settings(enabled=False), "ann")
    assert await store.get("shop", first.id) == second

    async def lost(*_: Any, **__: Any) -> dict[str, int]:
        raise ClickHouseUnavailable("the connection broke", sent=True)

    monkeypatch.setattr(ClickHouseClient, "insert", lost)
    with pytest.raises(ClickHouseUnavailable):
        await store.change(second, settings(), "ann")
    assert await store.get("shop", first.id) == second


async def test_who_has_won_is_told_so_although_the_next_version_is_there_before_it_looks(
    collectors: Collectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = collectors(2)
    first = await one.create("shop", settings(), "ann")
    insert = ClickHouseClient.insert

    async def overtaken(self: ClickHouseClient, *arguments: Any, **options: Any) -> dict[str, int]:
        monkeypatch.setattr(ClickHouseClient, "insert", insert)
        summary = await insert(self, *arguments, **options)
        seen = await other.get("shop", first.id)
        assert seen is not None
        await other.change(seen, settings(comment="third"), "ben")
        return summary

    monkeypatch.setattr(ClickHouseClient, "insert", overtaken)
    second = await one.change(first, settings(comment="second"), "ann")
    assert (second.version, second.settings.comment) == (2, "second")
    latest = await one.get("shop", first.id)
    assert latest is not None
    assert (latest.version, latest.settings.comment) == (3, "third")
