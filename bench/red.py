"""What it costs to keep rate, errors and durations of all spans: rows that a processor makes of them, or a view over their table.

    python bench/red.py [--batches N]

The same batches are written in three ways into databases of one embedded ClickHouse. What is stated is the CPU time that this
takes there, in microseconds per span; parts of the spans' own tables are not merged meanwhile, those of what is derived are.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.loads import LOADS
from collector.processors.red_metrics import RedMetrics
from collector.sketch import BUCKETS_PER_DOUBLING, TYPE
from config.red_metrics import RedMetricsProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, RowInsert, WriterSettings
from exporters.embedded.accounts import Account
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.clickhouse import embedded_server

VIEW: Final = f"""
    CREATE MATERIALIZED VIEW otel_red_minute_mv TO otel_red_minute AS SELECT
        Workspace, ServiceName, toStartOfMinute(Timestamp) AS Minute, SpanName, SpanKind, StatusCode, '' AS Dimensions,
        sum(AdjustedCount) AS Spans, sum(AdjustedCount * Duration) AS DurationSum,
        min(Duration) AS DurationMin, max(Duration) AS DurationMax,
        sumMap(CAST(map(if(Duration = 0, -1, ceil(log2(Duration) * {BUCKETS_PER_DOUBLING})), AdjustedCount), '{TYPE}'))
            AS DurationSketch
    FROM otel_traces GROUP BY Workspace, ServiceName, Minute, SpanName, SpanKind, StatusCode
"""
TIMEOUT_S: Final = 60.0
MINUTE_NS: Final = 60_000_000_000


def moved(batch: SpanBatch, by_ns: int) -> SpanBatch:
    """The batch, so much later."""
    spans = batch.spans.copy()
    spans["start_time_unix_nano"] += by_ns
    spans["end_time_unix_nano"] += by_ns
    return replace(batch, spans=spans)


async def cost(url: str, way: str, batches: list[SpanBatch], executor: Executor) -> float:
    """CPU seconds of ClickHouse for writing all batches, one after the other, into a database named after the way."""
    processor = RedMetrics(RedMetricsProcessor())
    async with ClickHouseClient([url], database=way) as client:
        writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=way)), executor)
        await writer.open()
        if way == "view":
            await client.command(VIEW)
        for table in ("otel_traces", "otel_traces_trace_id_ts"):
            await client.command(f"SYSTEM STOP MERGES {table}")
        before = children_cpu_seconds()
        for number, batch in enumerate(batches):
            rows = processor.process(batch).derived if way == "processor" else ()
            inserts: list[RowInsert] = [*await writer.prepare(batch, str(number))]
            for insert in [*inserts, *[insert for each in rows for insert in await writer.prepare_rows(each, str(number))]]:
                await insert.send(TIMEOUT_S)
        return children_cpu_seconds() - before


def children_cpu_seconds() -> float:
    """CPU time of the processes below this one: of the server, and of what starts and watches it."""
    nanoseconds, waiting = 0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
        waiting += children
        for child in children:
            # The kernel's per-process CPU clock; its id is made from the process id (man 2 clock_getres).
            nanoseconds += time.clock_gettime_ns((~child << 3) | 2)
    return nanoseconds / 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=60)
    arguments = parser.parse_args()
    batch = concatenate([decode(body).batch for body in LOADS["spans-512"].bodies()])
    batches = [moved(batch, number * MINUTE_NS // 4) for number in range(arguments.batches)]
    spans = sum(map(len, batches))
    print(f"spans-512: {spans:,} spans in {len(batches)} batches, four a minute; µs/span in ClickHouse")
    with (
        TemporaryDirectory() as directory,
        ThreadPoolExecutor(1) as executor,
        embedded_server(Path(directory), [Account(reader=None)]) as port,
    ):
        url = f"http://127.0.0.1:{port}"
        asyncio.run(cost(url, "before", batches[:8], executor))
        for way in ("spans", "processor", "view"):
            print(f"{way:<10} {1e6 * asyncio.run(cost(url, way, batches, executor)) / spans:>7.3f}")


if __name__ == "__main__":
    main()
