"""A real ClickHouse in trouble of its own: what it refuses meanwhile it has once when the trouble is over.

It is made by a server's own means, so the refusals are those that a server gives.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.clocks import RunningClock
from tests.support.proxy import proxy_to, status
from tests.support.waiting import until
from tests.support.ways import assert_stored_once, go_through, way_to

SPANS, COMPANION = "otel_traces", "otel_traces_trace_id_ts"


# The setting that makes it, its name, what it is told as, and whether it may last for hours without anything being set aside.
TABLE_TROUBLE = {
    "too many parts": ("parts_to_throw_insert = 1", "parts_to_throw_insert", "too_many_parts", True),
    "read-only table": ("table_readonly = 1", "table_readonly", "table_is_permanently_read_only", False),
}


@pytest.mark.parametrize("table", [SPANS, COMPANION])
@pytest.mark.parametrize("trouble", TABLE_TROUBLE)
async def test_a_table_that_takes_nothing_for_a_while(
    tmp_path: Path, clickhouse: ClickHouse, database: str, trouble: str, table: str
) -> None:
    """Where it is the table behind the view, the spans are in their own table already when the insert is refused."""
    setting, name, reason, passes = TABLE_TROUBLE[trouble]
    time = RunningClock()
    async with way_to(clickhouse.url, tmp_path, database, clock=time.clock) as way:
        await way.send(0)
        await way.settle()
        clickhouse.execute(f"ALTER TABLE {database}.{table} MODIFY SETTING {setting}")

        def end() -> None:
            clickhouse.execute(f"ALTER TABLE {database}.{table} RESET SETTING {name}")

        await go_through(way, reason, end, time if passes else None)
        assert_stored_once(clickhouse, database, way.taken)


@pytest.mark.parametrize(
    ("settings", "reason", "passes"),
    [
        ({"readonly": "1"}, "readonly", False),
        ({"max_memory_usage": "10000"}, "memory_limit_exceeded", True),
        ({"max_execution_time": "0.0001"}, "timeout_exceeded", True),
    ],
    ids=["readonly", "memory", "time"],
)
async def test_a_profile_that_forbids_inserts_for_a_while(
    tmp_path: Path, clickhouse: ClickHouse, database: str, settings: dict[str, str], reason: str, passes: bool
) -> None:
    time = RunningClock()
    async with proxy_to(clickhouse.http_port) as proxy, way_to(proxy.url, tmp_path, database, clock=time.clock) as way:
        await way.send(0)
        await way.settle()
        proxy.insert_settings = dict(settings)
        await go_through(way, reason, proxy.insert_settings.clear, time if passes else None)
        assert_stored_once(clickhouse, database, way.taken)


@pytest.mark.parametrize(
    "loss",
    [
        "DROP TABLE {0}.otel_traces SYNC",
        "DROP TABLE {0}.otel_traces_trace_id_ts SYNC",
        "DROP DATABASE {0} SYNC",
        "ALTER TABLE {0}.otel_traces DROP COLUMN Flags",
    ],
)
async def test_a_schema_that_is_lost_in_a_long_outage_is_made_again(
    tmp_path: Path, clickhouse: ClickHouse, database: str, loss: str
) -> None:
    time = RunningClock()
    async with proxy_to(clickhouse.http_port) as proxy, way_to(proxy.url, tmp_path, database, clock=time.clock) as way:
        await way.send(0)
        await way.settle()
        proxy.meet(status(503))
        for first in range(100, 200, 10):
            await way.send(first)
        await way.until_retried("http_503", 3)
        time.passed_s += 10_000
        clickhouse.execute(f"TRUNCATE TABLE {database}.{SPANS}")
        clickhouse.execute(f"TRUNCATE TABLE {database}.{COMPANION}")
        clickhouse.execute(loss.format(database))
        proxy.meet(None)
        await way.settle()
        assert way.settled == {"stored": 110}
        assert_stored_once(clickhouse, database, range(100, 200))


async def test_what_nobody_puts_right_is_set_aside_whole_and_what_follows_waits(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    time = RunningClock()
    async with way_to(clickhouse.url, tmp_path, database, clock=time.clock) as way:
        await way.send(0)
        await way.settle()
        clickhouse.execute(f"ALTER TABLE {database}.{SPANS} MODIFY SETTING table_readonly = 1")
        await way.send(10)
        await way.until_retried("table_is_permanently_read_only", 3)
        assert way.settled == {"stored": 10}
        time.passed_s += 301
        await until(lambda: way.settled == {"stored": 10, "dead_letter": 10})
        assert way.set_aside() == dict.fromkeys(range(10, 20), "table_is_permanently_read_only")
        await way.send(20)
        await way.until_retried("table_is_permanently_read_only", 6)
        clickhouse.execute(f"ALTER TABLE {database}.{SPANS} RESET SETTING table_readonly")
        await way.settle()
        assert way.settled == {"stored": 20, "dead_letter": 10}
        assert_stored_once(clickhouse, database, [*range(10), *range(20, 30)])
