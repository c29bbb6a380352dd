"""What it costs to keep the names and values of attributes for completion: a view over the table of the spans.

    python bench/completion.py [--batches N]

The same batches are written by turns into databases of one embedded ClickHouse, without that view and with it.
What is stated is the CPU time that this takes there, in microseconds per span; parts of the spans' own tables are not merged
meanwhile, those of what is derived are.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.loads import LOADS
from bench.red import MINUTE_NS, TIMEOUT_S, children_cpu_seconds, moved
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from exporters.embedded.accounts import Account
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.clickhouse import embedded_server

WAYS: Final = ("without", "with")
WARM_UP: Final = 8
"""So many batches are written before those that are counted."""


async def costs(url: str, batches: list[SpanBatch], executor: Executor) -> dict[str, float]:
    """CPU seconds of ClickHouse for writing all batches, by way, each into a database named after it."""
    spent = dict.fromkeys(WAYS, 0.0)
    async with AsyncExitStack() as stack:
        writers = {}
        for way in WAYS:
            client = await stack.enter_async_context(ClickHouseClient([url], database=way))
            writers[way] = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=way)), executor)
            await writers[way].open()
            if way == "without":
                await client.command("DROP VIEW otel_traces_tags_mv")
            for table in ("otel_traces", "otel_traces_trace_id_ts"):
                await client.command(f"SYSTEM STOP MERGES {table}")
        for number, batch in enumerate(batches):
            # By turns, and none always after the same one, so that what else the machine does falls on all alike.
            for way in sorted(writers, key=lambda way: hash((number, way))):
                inserts = await writers[way].prepare(batch, str(number))
                before = children_cpu_seconds()
                for insert in inserts:
                    await insert.send(TIMEOUT_S)
                if number >= WARM_UP:
                    spent[way] += children_cpu_seconds() - before
    return spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=60)
    arguments = parser.parse_args()
    batch = concatenate([decode(body).batch for body in LOADS["spans-512"].bodies()])
    batches = [moved(batch, number * MINUTE_NS // 4) for number in range(arguments.batches + WARM_UP)]
    spans = len(batch) * arguments.batches
    print(f"spans-512: {spans:,} spans in {arguments.batches} batches, four a minute; µs/span in ClickHouse")
    with (
        TemporaryDirectory() as directory,
        ThreadPoolExecutor(1) as executor,
        embedded_server(Path(directory), [Account(reader=None)]) as port,
    ):
        for way, seconds in asyncio.run(costs(f"http://127.0.0.1:{port}", batches, executor)).items():
            print(f"{way:<10} {1e6 * seconds / spans:>7.3f}")


if __name__ == "__main__":
    main()
