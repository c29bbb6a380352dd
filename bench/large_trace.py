"""What it takes to see one large trace: its waterfall and its critical path, from the request to the last byte of the answer.

    python bench/large_trace.py [--spans N] [--repetitions N]

The traces have the shapes of `tests/support/shapes.py`, with ten attributes a span, in an embedded ClickHouse; the query API runs
in a process of its own, as in the daemon. Stated are the shortest times on the clock and of the API's own CPU, with reading, and
how much that process grew while it answered. The daemon's memory limit and its other work are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from bench.processes import Process, answers_ok, free_port, python_module
from bench.trace_analysis import SHAPES, SPANS
from collector.api.app import build_application, build_runner
from collector.memory import keep_little, spare_the_collector
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from exporters.embedded.accounts import Account
from proto.otlp_decode import decode
from tests.support.clickhouse import embedded_server
from tests.support.requests import EPOCH, key_values
from tests.support.stored import KIND_NUMBERS, Drawn, span_id

PATHS: Final = ("waterfall", "critical-path")
REPETITIONS: Final = 3
TIMEOUT_S: Final = 120.0
_SLICE: Final = 10_000


async def store(url: str, traces: list[list[Drawn]]) -> None:
    """Write traces, whose ids count from 1, into the database `default`."""
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([url]) as client:
            writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database="default")), executor)
            await writer.open()
            for number, spans in enumerate(traces, 1):
                for first in range(0, len(spans), _SLICE):
                    message = message_of(number, spans[first : first + _SLICE])
                    for insert in await writer.prepare(decode(message.SerializeToString()).batch, f"{number}-{first}"):
                        await insert.send(TIMEOUT_S)


def message_of(trace: int, spans: list[Drawn]) -> TracesData:
    """Spans of a trace as they are sent."""
    message = TracesData()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop", **{f"host.{n}": f"h-{n}" for n in range(8)}}))
    attributes = key_values({f"attribute.{n}": f"value {n}" for n in range(10)})
    resource_spans.scope_spans.add().spans.extend(
        Span(
            trace_id=trace.to_bytes(16),
            span_id=bytes.fromhex(span_id(span.name)),
            parent_span_id=bytes.fromhex(span_id(span.parent)) if span.parent else b"",
            name=f"operation {index % 50}",
            kind=cast("Span.SpanKind.ValueType", KIND_NUMBERS[span.kind]),
            start_time_unix_nano=EPOCH + span.start,
            end_time_unix_nano=EPOCH + span.end,
            attributes=attributes,
        )
        for index, span in enumerate(spans)
    )
    return message


async def serve(store_url: str, port: int) -> None:
    """The query API, until the process ends."""
    async with ClickHouseClient([store_url]) as client:
        runner = build_runner(build_application(client))
        await runner.setup()
        keep_little()
        spare_the_collector()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


def measure(api: Process, url: str, repetitions: int) -> tuple[float, float, float]:
    """The shortest seconds on the clock and of the API's CPU for one request, and by how many bytes its memory has grown."""
    clock, cpu = [], []
    before = api.resident_bytes()
    for _ in range(repetitions):
        started, spent = time.perf_counter(), api.cpu_seconds()
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            response.read()
        clock.append(time.perf_counter() - started)
        cpu.append(api.cpu_seconds() - spent)
    return min(clock), min(cpu), peak_bytes(api) - before


def peak_bytes(api: Process) -> int:
    """The largest resident set size so far."""
    status = Path(f"/proc/{api.pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--serve", nargs=2, metavar=("STORE", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve[0], int(arguments.serve[1])))
    print(f"{arguments.spans:,} spans; s on the clock, s of CPU, MB\n{'':6}" + "".join(f"{path:>24}" for path in PATHS))
    with TemporaryDirectory() as directory, embedded_server(Path(directory) / "store", [Account(reader=None)]) as store_port:
        store_url = f"http://127.0.0.1:{store_port}"
        asyncio.run(store(store_url, [shape(arguments.spans) for shape in SHAPES.values()]))
        for number, name in enumerate(SHAPES, 1):
            cells = []
            for path in PATHS:
                port = free_port()
                url = f"http://127.0.0.1:{port}"
                command = python_module("bench.large_trace", "--serve", store_url, port)
                log = Path(directory) / "api.log"
                with Process("the query API", command, partial(answers_ok, f"{url}/openapi.json"), log) as api:
                    found = measure(api, f"{url}/api/v1/traces/{number:032x}/{path}", arguments.repetitions)
                cells.append(f"{found[0]:>10.2f}{found[1]:>7.2f}{found[2] / 1e6:>7.0f}")
            print(f"{name:6}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
