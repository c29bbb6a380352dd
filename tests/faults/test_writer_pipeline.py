"""The whole pipeline as `collector.yaml` describes it, from its entry to servers that may be in trouble."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from collector.pipeline.batcher import Remainder
from collector.pipeline.build import Pipeline, build
from collector.telemetry import Telemetry
from config.load import parse
from proto.warm import warm
from tests.support.batches import numbered
from tests.support.faulty_clickhouse import FaultyClickHouse, fails_with, listening
from tests.support.waiting import until

EXPORTER = "endpoint: {}, retry_on_failure: {{initial_interval: 1ms, max_interval: 10ms}}"


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


@asynccontextmanager
async def running(endpoints: list[str], processors: str, telemetry: Telemetry) -> AsyncIterator[Pipeline]:
    names = [f"clickhouse/{number}" for number in range(len(endpoints))]
    exporters = ", ".join(f"{name}: {{{EXPORTER.format(url)}}}" for name, url in zip(names, endpoints, strict=True))
    text = f"""
receivers: {{otlp: {{protocols: {{grpc: {{}}}}}}}}
processors: {{{processors}}}
exporters: {{{exporters}}}
service:
  pipelines:
    traces: {{receivers: [otlp], processors: [{processors.partition(":")[0]}], exporters: [{", ".join(names)}]}}
"""
    with ThreadPoolExecutor(2) as executor:
        async with build(parse(text.encode(), {}, "test"), telemetry, executor) as pipeline, asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run())
            yield pipeline
            await pipeline.drain(10.0)


@pytest.mark.parametrize("processors", ["batch: {timeout: 10ms}", ""], ids=["batch", "no processor"])
async def test_a_span_that_is_alone_is_stored_and_counted(processors: str) -> None:
    server, telemetry = FaultyClickHouse(), Telemetry("test")
    async with listening(server) as endpoint, running([endpoint], processors, telemetry) as pipeline:
        await pipeline.entry.consume(numbered(0))
        await until(lambda: pipeline.statistics().spans == 0)
        assert server.numbers == [0]
        assert pipeline.troubles() == {}
    assert b'otelcol_exporter_sent_spans_total{exporter="clickhouse/0"} 1.0' in telemetry.exposition()


async def test_with_two_exporters_both_store_every_span_once_though_one_is_in_trouble() -> None:
    steady, shaky = FaultyClickHouse(), FaultyClickHouse(faults=deque([fails_with(252, "TOO_MANY_PARTS")] * 3))
    async with (
        listening(steady) as first,
        listening(shaky) as second,
        running([first, second], "batch: {timeout: 10ms}", Telemetry("test")) as pipeline,
    ):
        for number in range(20):
            await pipeline.entry.consume(numbered(number))
        await until(lambda: pipeline.statistics().spans == 0)
    assert steady.numbers == shaky.numbers == list(range(20))


async def test_a_pipeline_can_be_drained_before_there_was_a_server() -> None:
    batch = numbered(0, 5)
    async with running(["http://127.0.0.1:1"], "batch: {timeout: 10ms}", Telemetry("test")) as pipeline:
        await pipeline.entry.consume(batch)
        assert await pipeline.drain(0.05) == Remainder(5, batch.nbytes)
        assert "clickhouse/0" in pipeline.troubles()
