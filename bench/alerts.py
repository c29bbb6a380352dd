"""What it costs to evaluate many alert rules: CPU time of the collector, and of ClickHouse for the queries.

    python bench/alerts.py [--rules N] [--minutes N] [--missed N] [--workspaces N]

Services of 100 operations each have spans in every minute, as rows of rates in an embedded ClickHouse, and every operation has a
rule of its own, on its p99, its error rate, its throughput or the burn of its budget. Some minutes are then evaluated, one after
the other; in one of them a tenth of the rules fires. What is stated is per minute: CPU seconds of the collector with everything
that it does, requests included, and the share of a core that this is when minutes last a minute; CPU seconds of ClickHouse; and
how long it took. At the end some minutes are missed, and evaluated afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from bench.red import TIMEOUT_S, children_cpu_seconds
from collector.clock import Clock
from collector.control.objects import Objects
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.evaluation import Evaluator
from collector.monitor.alerts.log import AlertLog
from collector.query.store import SpanStore
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from exporters.embedded.accounts import Account
from tests.support.clickhouse import embedded_server

MINUTE_NS: Final = 60 * 10**9
OPERATIONS: Final = 100
"""Of each service."""
HISTORY: Final = 10
"""Minutes of spans before the first that is evaluated."""
CONDITIONS: Final[Sequence[dict[str, Any]]] = (
    {"measure": "latency", "of": "p99", "above": "2s"},
    {"measure": "errorRate", "above": 0.05},
    {"measure": "throughput", "below": 0.001},
    {"measure": "burnRate", "objective": 0.99},
)
_RATES: Final = """
INSERT INTO otel_red_minute
SELECT concat('w', toString(intDiv(number, {operations:UInt64}) % {workspaces:UInt64})),
    concat('service-', toString(intDiv(number, {operations:UInt64}))), toDateTime({minute:UInt32}),
    concat('GET /', toString(number % {operations:UInt64})), 'Server', status, '', 60, 60 * 1e8, 1e7, 2e8,
    mapFromArrays(arrayMap(k -> toInt16(700 + k * 4), range(30)), arrayMap(k -> 2., range(30)))
FROM numbers({groups:UInt64}) ARRAY JOIN ['Ok', 'Error'] AS status WHERE status = 'Ok' OR number % 10 < {failing:UInt64}
SETTINGS insert_deduplicate = 0
"""


def rules(count: int, workspaces: int) -> Iterator[bytes]:
    """Rows of `otel_objects`."""
    for number in range(count):
        service, operation = divmod(number, OPERATIONS)
        condition = CONDITIONS[number % len(CONDITIONS)] if number % 10 else CONDITIONS[1]
        rule = {
            "name": f"rule {number}",
            "condition": condition,
            "scope": {"service": f"service-{service}", "operation": f"GET /{operation}"},
            "channels": [str(uuid.UUID(int=1))],
        }
        yield orjson.dumps(
            {
                "Workspace": f"w{service % workspaces}",
                "Kind": "alert_rule",
                "Id": str(uuid.uuid4()),
                "Version": 1,
                "Name": rule["name"],
                "Body": orjson.dumps(rule).decode(),
                "UpdatedAt": "2026-01-01 00:00:00",
                "CreatedAt": "2026-01-01 00:00:00",
                "WriteId": str(uuid.uuid4()),
            }
        )


async def run(url: str, count: int, minutes: int, missed: int, workspaces: int) -> None:
    """Print a line for each minute."""
    schema = SchemaSettings(database="bench")
    now = 1_800_000_000 * 10**9 // MINUTE_NS * MINUTE_NS
    async with ClickHouseClient([url], database="bench") as client:
        await apply(client, schema)
        body = b"\n".join(rules(count, workspaces))
        await client.insert("INSERT INTO otel_objects FORMAT JSONEachRow", body, timeout_s=TIMEOUT_S)

        async def pass_minute(failing: int = 0) -> None:
            nonlocal now
            parameters = {"operations": OPERATIONS, "groups": count, "workspaces": workspaces}
            await client.command(_RATES, {**parameters, "minute": now // 10**9, "failing": failing}, timeout_s=TIMEOUT_S)
            now += MINUTE_NS

        for _ in range(HISTORY):
            await pass_minute()
        clock = Clock(lambda: now / 1e9, lambda: now)
        book = RuleBook(Objects(client, schema.database))
        evaluator = Evaluator(SpanStore(client), AlertLog(client, schema), book, 0, Telemetry("bench", clock), clock)
        began_s, cpu_s = time.monotonic(), time.process_time()
        await book.look()
        await evaluator.recorder.load()
        print(f"{len(book.rules):,} rules in {len(book.batches)} batches of {workspaces} workspaces")
        print(f"read once: {time.process_time() - cpu_s:.2f} s of CPU, in {time.monotonic() - began_s:.2f} s")
        print(f"{'minute':<12}{'collector':>12}{'of a core':>12}{'ClickHouse':>12}{'took':>9}{'active':>9}")
        for number in range(minutes):
            is_bad = number == minutes // 2
            await pass_minute(failing=1 if is_bad else 0)
            began_s, cpu_s, store_s = time.monotonic(), time.process_time(), children_cpu_seconds()
            await book.look()
            begun = await evaluator.due()
            end = now
            now += MINUTE_NS - 10**9
            for batch in [*begun, *await evaluator.due()]:
                await evaluator.evaluate(batch, end)
            now = end
            spent, stored = time.process_time() - cpu_s, children_cpu_seconds() - store_s
            print(
                f"{number + 1:<12}{spent:>10.2f} s{spent / 60:>12.1%}{stored:>10.2f} s{time.monotonic() - began_s:>7.2f} s"
                f"{evaluator.recorder.alerts.active:>9}"
            )
        for _ in range(missed + 1):
            await pass_minute()
        began_s, cpu_s, store_s = time.monotonic(), time.process_time(), children_cpu_seconds()
        async with asyncio.TaskGroup() as evaluations:
            await evaluator.catch_up(evaluations)
        spent, stored = time.process_time() - cpu_s, children_cpu_seconds() - store_s
        print(f"{missed} missed: {spent:.2f} s of CPU, {stored:.2f} s of ClickHouse's, in {time.monotonic() - began_s:.2f} s")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--missed", type=int, default=10)
    parser.add_argument("--workspaces", type=int, default=10)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory, embedded_server(Path(directory), [Account(reader=None)]) as port:
        asyncio.run(run(f"http://127.0.0.1:{port}", arguments.rules, arguments.minutes, arguments.missed, arguments.workspaces))


if __name__ == "__main__":
    main()
