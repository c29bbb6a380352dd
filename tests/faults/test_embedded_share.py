"""What is asked of the embedded ClickHouse leaves room for what is stored in it."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from collector.pipeline.registry import asking_client, clickhouse_client
from config.exporters import ClickHouseExporter
from tests.support.clickhouse import OWNER, ClickHouse
from tests.support.waiting import until

_SLOW = "SELECT count(sleepEachRow(3)) AS slow FROM numbers(20) SETTINGS max_block_size = 1"
_RUNNING = "SELECT count() AS running FROM system.processes WHERE query LIKE '%AS slow%' AND query NOT LIKE '%system.processes%'"


async def test_more_questions_than_the_daemon_may_ask_at_a_time_turn_away_nothing_that_is_stored(
    reader_clickhouse: ClickHouse,
) -> None:
    where = {"endpoint": "embedded", "embedded": {"listen": f"127.0.0.1:{reader_clickhouse.http_port}"}}
    account = {"username": OWNER, "password": SecretStr(OWNER), "database": "default"}
    settings = ClickHouseExporter.model_validate(where).model_copy(update=account)
    async with asking_client("clickhouse", settings) as asking, clickhouse_client("clickhouse", settings) as storing:
        await storing.command("CREATE TABLE stored (x UInt8) ENGINE = MergeTree ORDER BY x")

        async def running() -> bool:
            (count,) = (await storing.query(_RUNNING)).columns["running"]
            return int(count) == 48

        questions = [asyncio.create_task(asking.query(_SLOW)) for _ in range(100)]
        await until(running)
        for _ in range(10):
            await storing.insert("INSERT INTO stored FORMAT TSV", b"1\n")
        assert (await storing.query("SELECT count() AS rows FROM stored")).columns["rows"] == [10]
        assert not any(question.done() for question in questions)
        for question in questions:
            question.cancel()
        await asyncio.wait(questions)
        await storing.command("DROP TABLE stored")
