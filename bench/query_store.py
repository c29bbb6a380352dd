"""The store that queries are measured on: many spans in the tables of spanhouse, and the same ones in the standard table.

Both are in one embedded ClickHouse with the limits that the daemon gives it, each in a database of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final

from bench.many_spans import large_trace, rounds
from collector.processors.red_metrics import RedMetrics
from collector.processors.topology.processor import Topology
from config.red_metrics import RedMetricsProcessor
from config.topology import TopologyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, RowInsert, WriterSettings
from proto.spans import SpanBatch
from tests.support.standard_tables import standard_tables

DAY_NS: Final = 86_400 * 10**9
START_NS: Final = 1_790_121_600 * 10**9
"""Midnight in UTC."""
DAYS: Final = 3
END_NS: Final = START_NS + DAYS * DAY_NS
LARGE_SPANS: Final = 100_000
LARGE_AT_NS: Final = START_NS + 2 * DAY_NS + DAY_NS // 2

DATABASE: Final = "otel"
STANDARD: Final = "standard"
TIMEOUT_S: Final = 300.0
_BOTH: Final = 2


async def fill(url: str, spans: int) -> float:
    """Write about so many spans, and one large trace; seconds until the last was stored. Merges go on."""
    topology, red = Topology(TopologyProcessor()), RedMetrics(RedMetricsProcessor())
    started = time.monotonic()
    async with ClickHouseClient([url], database=DATABASE) as ours, ClickHouseClient([url], database=STANDARD) as standard:
        await make_standard(standard)
        with ThreadPoolExecutor(_BOTH) as executor:
            writer = ClickHouseWriter(ours, WriterSettings(SchemaSettings(database=DATABASE)), executor)
            plain = ClickHouseWriter(standard, WriterSettings(SchemaSettings(database=STANDARD), create_schema=False), executor)

            async def derived(batch: SpanBatch, name: str) -> list[RowInsert]:
                rows = [*red.process(batch).derived, *topology.process(batch).derived]
                # Sides of calls live for an hour after they came, and would all have come in this one.
                kept = [each for each in rows if each.table != "otel_topology_halves"]
                return [insert for each in kept for insert in await writer.prepare_rows(each, name)]

            for number, batch in enumerate(_batches(spans)):
                name = str(number)
                inserts: list[RowInsert] = [*await writer.prepare(batch, name), *await plain.prepare(batch, name)]
                inserts += await derived(batch, name)
                async with asyncio.TaskGroup() as group:
                    for insert in inserts:
                        group.create_task(insert.send(TIMEOUT_S))
    return time.monotonic() - started


def _batches(spans: int) -> Iterator[SpanBatch]:
    return chain([large_trace(LARGE_AT_NS, LARGE_SPANS)], rounds(START_NS, END_NS, spans))


async def make_standard(client: ClickHouseClient) -> None:
    """Create the standard tables in the client's database, which is created as well."""
    await client.command(f"CREATE DATABASE IF NOT EXISTS {client.database}", database="default")
    for statement in standard_tables():
        await client.command(statement)


async def merged(url: str, quiet_s: float = 5.0) -> None:
    """Wait until no parts are being merged, and none have been for a while."""
    async with ClickHouseClient([url]) as client:
        since = time.monotonic()
        while time.monotonic() - since < quiet_s:
            if int(await client.command("SELECT count() FROM system.merges")):
                since = time.monotonic()
            await asyncio.sleep(0.5)
