"""Builds the pipeline that `collector.yaml` describes, back to front: exporters, processors, entry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from types import TracebackType
from typing import Self

from collector.clock import SYSTEM, Clock
from collector.consumer import Consumer
from collector.pipeline.batcher import Batcher, Remainder
from collector.pipeline.queue import QueueStatistics
from collector.pipeline.registry import EXPORTERS, PROCESSORS, PipelineTelemetry, Surroundings, default_batching, retry_policy
from config.exporters import SendingQueue
from config.model import Config
from config.processors import BatchProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.send import Sender
from proto.spans import SpanBatch


class FanOut:
    """Gives each batch to all exporters; it is stored when all have it."""

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self._consumers = consumers

    async def consume(self, batch: SpanBatch) -> None:
        async with asyncio.TaskGroup() as tasks:
            for consumer in self._consumers:
                tasks.create_task(consumer.consume(batch))


class Pipeline:
    """Processors, queue and exporters, from what receivers give to what is stored.

    Attributes:
        entry: where receivers give their spans.
        exporters: senders by the id of their exporter.
    """

    def __init__(
        self, entry: Consumer, batchers: Sequence[Batcher], exporters: Mapping[str, Sender], clients: Sequence[ClickHouseClient]
    ) -> None:
        self.entry = entry
        self.exporters = exporters
        self._batchers = batchers
        self._clients = clients

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients:
            await client.close()

    async def run(self) -> None:
        """Store what comes in, until `drain`. Tables are created as soon as there is a server, spans or not."""
        async with asyncio.TaskGroup() as tasks:
            openings = [tasks.create_task(sender.open()) for sender in self.exporters.values()]
            await asyncio.gather(*(tasks.create_task(batcher.run()) for batcher in self._batchers))
            for opening in openings:
                opening.cancel()

    async def drain(self, deadline_s: float) -> Remainder:
        """Let nothing more in, store what is queued, and say what is left after `deadline_s` seconds. `run` must be running."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        left = Remainder(0, 0)
        for batcher in self._batchers:
            left += await batcher.drain(max(0.0, deadline - loop.time()))
        return left

    def statistics(self) -> QueueStatistics:
        """What was acknowledged and is not stored yet."""
        return self._batchers[0].statistics()

    def troubles(self) -> dict[str, str]:
        """Exporters that cannot store at the moment, by id, and why."""
        return {name: sender.trouble for name, sender in self.exporters.items() if sender.trouble}


def build(config: Config, telemetry: PipelineTelemetry, executor: Executor, clock: Clock = SYSTEM) -> Pipeline:
    """The pipeline of a checked configuration, to be entered (`async with`), run and drained. Touches no network.

    Args:
        config: with every component that `service.pipelines` names.
        telemetry: where to count.
        executor: threads for joining, encoding and compressing batches.
        clock: for ages, deadlines and durations.
    """
    names = config.service.pipelines.traces
    settings = [config.exporters[name] for name in names.exporters]
    surroundings = Surroundings(_tightest([each.sending_queue for each in settings]), executor, telemetry, clock)
    connections = [EXPORTERS[type(each)](each, surroundings) for each in settings]
    senders = {
        name: Sender(
            connection.exporter,
            name,
            telemetry.exporter(name),
            retry_policy(each.retry_on_failure),
            each.timeout.seconds,
            clock.monotonic,
        )
        for name, each, connection in zip(names.exporters, settings, connections, strict=True)
    }
    processors = [(name, config.processors[name]) for name in names.processors]
    consumer: Consumer = FanOut(list(senders.values())) if len(senders) > 1 else next(iter(senders.values()))
    batchers: list[Batcher] = []
    if not any(isinstance(each, BatchProcessor) for _, each in processors):
        processors.append((names.exporters[0], default_batching(surroundings.queue)))
    for name, each in reversed(processors):
        consumer = PROCESSORS[type(each)](name, each, consumer, surroundings)
        if isinstance(consumer, Batcher):
            batchers.insert(0, consumer)
    return Pipeline(consumer, batchers, senders, [connection.client for connection in connections])


def _tightest(queues: Sequence[SendingQueue]) -> SendingQueue:
    return min(queues, key=lambda queue: queue.max_bytes)
