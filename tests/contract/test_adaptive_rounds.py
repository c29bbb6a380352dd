"""Adaptive sampling in a real ClickHouse: collectors that share it decide the same, round by round."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from collector.control.adaptive_rounds import AdaptiveRounds
from config.remote_sampling import AdaptiveSampling
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.waiting import until

MINUTE = 60
NOW = int(time.time()) // MINUTE * MINUTE
"""A whole minute, seconds since 1970, not long ago: rows that are older than a day are forgotten."""


@dataclass
class Shared:
    """A store, and the time of all collectors that share it."""

    clickhouse: Any
    client: ClickHouseClient
    schema: SchemaSettings
    now_s: int = NOW

    def collector(self, **settings: Any) -> AdaptiveRounds:
        wanted = AdaptiveSampling.model_validate({"calculation_delay": "0", **settings})
        return AdaptiveRounds(self.client, self.schema, wanted, lambda: self.now_s * 10**9)

    def came(self, operation: str, traces: float, told: str, *, ago_s: int = 30, service: str = "cart") -> None:
        """So many traces came, so long ago."""
        self.clickhouse.execute(
            f"INSERT INTO {self.schema.table_of('otel_sampling_throughput')} VALUES "
            f"('shop', '{service}', '{operation}', {self.now_s - ago_s}, '{told}', {traces})"
        )


@pytest.fixture
async def shared(clickhouse: Any) -> AsyncIterator[Shared]:
    database = f"adaptive_{uuid.uuid4().hex}"
    schema = SchemaSettings(database=database)
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        await apply(client, schema)
        yield Shared(clickhouse, client, schema)
        await client.command(f"DROP DATABASE {database}", database="default")


def rates(rounds: AdaptiveRounds, service: str = "cart") -> dict[str, float]:
    operations = rounds.strategy("shop", service)["operationSampling"]["perOperationStrategies"]
    return {each["operation"]: each["probabilisticSampling"]["samplingRate"] for each in operations}


async def test_a_service_that_is_not_known_begins_at_the_initial_probability(shared: Shared) -> None:
    rounds = shared.collector(initial_sampling_probability=0.25)
    await rounds.look()
    assert rounds.strategy("shop", "cart") == {
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": {"samplingRate": 0.25},
        "operationSampling": {
            "defaultSamplingProbability": 0.25,
            "defaultLowerBoundTracesPerSecond": pytest.approx(1 / 60),
            "defaultUpperBoundTracesPerSecond": 0,
            "perOperationStrategies": [],
        },
    }


async def test_rates_follow_what_comes_round_by_round(shared: Shared) -> None:
    rounds = shared.collector(initial_sampling_probability=0.5)
    shared.came("GET", 240, "0.5")
    shared.came("PUT", 60, "0.5")
    shared.came("HEAD", 0, "0.5")
    shared.came("GET", 6, "0.5", service="payment")
    await rounds.look()
    assert rates(rounds) == {"GET": 0.125, "HEAD": 1.0, "PUT": 0.5}
    assert rates(rounds, "payment") == {"GET": 0.75}
    # The same round is reckoned once, whatever comes late.
    shared.came("PUT", 6000, "0.5")
    await rounds.look()
    assert rates(rounds)["PUT"] == 0.5
    shared.now_s += MINUTE
    shared.came("GET", 240, "0.125")
    await rounds.look()
    assert rates(rounds)["GET"] == pytest.approx(0.125 / 4)
    shared.now_s += MINUTE
    shared.came("GET", 6000, "0.9")
    await rounds.look()
    assert rates(rounds)["GET"] == pytest.approx(0.125 / 4)
    # What sends nothing for ten intervals is forgotten.
    shared.now_s += 9 * MINUTE
    await rounds.look()
    assert set(rates(rounds)) == {"GET"}
    shared.now_s += MINUTE
    await rounds.look()
    assert rates(rounds) == {}


async def test_an_interval_is_reckoned_with_when_it_is_old_enough(shared: Shared) -> None:
    rounds = shared.collector(calculation_delay="2m", initial_sampling_probability=0.5)
    shared.came("GET", 240, "0.5")
    await rounds.look()
    shared.now_s += MINUTE
    await rounds.look()
    assert rates(rounds) == {}
    shared.now_s += MINUTE
    await rounds.look()
    assert rates(rounds) == {"GET": 0.125}


async def test_collectors_that_reckon_at_once_hand_out_the_same(shared: Shared) -> None:
    # They differ in what they want, so that they would decide otherwise if each had its way.
    collectors = [
        shared.collector(target_samples_per_second=target, initial_sampling_probability=0.5) for target in (0.25, 0.5, 1, 2)
    ]
    for _ in range(4):
        shared.now_s += MINUTE
        shared.came("GET", 60_000, "0.5")
        await asyncio.gather(*(each.look() for each in collectors))
        found = [rates(each) for each in collectors]
        assert found == [found[0]] * 4
        assert found[0]
    late = shared.collector()
    await late.look()
    assert rates(late) == rates(collectors[0])


async def test_it_follows_until_it_is_stopped_and_tells_of_tables_that_nobody_has_made_by_its_second_look(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.control.adaptive_rounds._LOOK_S", 0.01)
    looks = 0
    told: list[tuple[int, str]] = []

    def now() -> int:
        nonlocal looks
        looks += 1
        return shared.now_s * 10**9

    nowhere = SchemaSettings(database="nowhere")
    rounds = AdaptiveRounds(shared.client, nowhere, AdaptiveSampling(), now, lambda reason: told.append((looks, reason)))
    task = asyncio.create_task(rounds.run())
    await until(lambda: len(told) > 1)
    # At the first look the tables may be about to be made.
    assert [look for look, _ in told[:2]] == [2, 3]
    assert {reason for _, reason in told} <= {"unknown_database", "unknown_table"}
    assert rates(rounds) == {}
    task.cancel()
    await asyncio.wait([task])
