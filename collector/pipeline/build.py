"""Builds the pipeline that `collector.yaml` describes: an entry, what holds the spans, and the way out to each exporter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from collector.clock import SYSTEM, Clock
from collector.control.feed import PolicyFeed
from collector.control.policies import Policies
from collector.errors import CollectorError, Unconfirmed
from collector.journal.journal import Journal
from collector.ledger import Ledger
from collector.pipeline.batcher import Remainder
from collector.pipeline.connections import Outlet, PipelineTelemetry, Surroundings
from collector.pipeline.course import Course, course_of
from collector.pipeline.memory_limiter import MemoryLimiter
from collector.pipeline.registry import EXPORTERS
from collector.pipeline.settling import Settling
from collector.pipeline.way import Way
from collector.processors.tail_sampling.recent import Explainer
from collector.queues.contract import Entrance, Queue, QueueStatistics
from collector.queues.memory import MemoryQueue
from config.model import Config
from config.sending import SendingQueue
from exporters.base import Delivery, DerivedRows, Destination
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch

NOT_LET_IN: Final = "no_room"
"""Why spans were refused that were in order."""


class FanOut:
    """Gives each batch to all exporters; it is delivered when all have it, and as well as the worst of them has done."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self._destinations = destinations

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        async with asyncio.TaskGroup() as tasks:
            deliveries = [
                tasks.create_task(_completed(each, batch, f"{name}-{number}")) for number, each in enumerate(self._destinations)
            ]
        results = [each.result() for each in deliveries]
        worst = min(results, key=lambda delivery: delivery.stored.total())
        worst.afterwards = [work for result in results for work in result.afterwards]
        return worst

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, each in enumerate(self._destinations):
                tasks.create_task(each.deliver_rows(rows, f"{name}-{number}"))


async def _completed(destination: Destination, batch: SpanBatch, name: str) -> Delivery:
    delivery = await destination.deliver(batch, name)
    await delivery.complete()
    return delivery


class Entry:
    """The pipeline as receivers see it.

    Attributes:
        limiter: bounds the memory of the process, while that is configured.
    """

    def __init__(self, entrance: Entrance, ledger: Ledger) -> None:
        self._entrance = entrance
        self._ledger = ledger
        self.limiter: MemoryLimiter | None = None

    def check_open(self) -> None:
        """Raises as `Entrance.check_open` and `MemoryLimiter.check`."""
        self._entrance.check_open()
        if self.limiter is not None:
            self.limiter.check()

    async def memory_trouble(self) -> str:
        """Why no request may come in now for want of memory, as a sentence; empty when one may."""
        return "" if self.limiter is None else await self.limiter.trouble()

    def refused(self, owner: str, reason: str, spans: int) -> None:
        """Keep account of spans that receivers refused."""
        self._ledger.refuse({owner: spans}, reason)

    async def consume(self, batch: SpanBatch) -> None:
        """Raises as `Entrance.put`."""
        if self.limiter is not None:
            self.limiter.admitted(batch.nbytes)
        try:
            await self._entrance.put(batch)
        except Unconfirmed:
            raise  # the account has them among what was accepted
        except CollectorError:
            self._ledger.refuse(spans_by_owner(batch), NOT_LET_IN)
            raise


class Pipeline:
    """Queue, batchers and exporters, from what receivers give to what is stored.

    Attributes:
        entry: where receivers give their spans.
        queues: what waits, by the id of the exporter that it waits for; with several exporters and no journal there is one
            queue, under the id of the first.
        exporters: the ways out, by the id of their exporter.
        ledger: what became of every span.
        explainers: who decides about traces, by the id of the exporter; changes with the configuration.
    """

    def __init__(
        self,
        entry: Entry,
        entrance: Entrance,
        ways: Mapping[str, Way],
        exporters: Mapping[str, Outlet],
        closers: Sequence[Callable[[], Awaitable[None]]],
        ledger: Ledger,
        settlings: Sequence[Settling],
        course_by: Callable[[Config], Course],
    ) -> None:
        self.queues: Mapping[str, Queue[Any]] = {name: way.batcher.queue for name, way in ways.items()}
        self.ledger = ledger
        self.ledger.accounts.update((name, queue.account) for name, queue in self.queues.items())
        self.entry = entry
        self.exporters = exporters
        self._entrance = entrance
        self._ways = ways
        self._closers = closers
        self._settlings = settlings
        self._course_by = course_by
        self.explainers: dict[str, Explainer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Each of them, whatever another one raises.
        async with AsyncExitStack() as parts:
            for close in reversed(self._closers):
                parts.push_async_callback(close)

    async def run(self) -> None:
        """Store what comes in, until `drain`. Tables are created as soon as there is a server, spans or not."""
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(outlet.open()) for outlet in self.exporters.values()]
            others += [tasks.create_task(way.holding.run()) for way in self._ways.values()]
            others += [tasks.create_task(settling.run()) for settling in self._settlings]
            await asyncio.gather(*(tasks.create_task(way.batcher.run()) for way in self._ways.values()))
            for other in others:
                other.cancel()

    async def drain(self, deadline_s: float) -> Remainder:
        """Let nothing more in, store what is queued, and say what is left after `deadline_s` seconds. `run` must be running."""
        self._entrance.close()
        left = await asyncio.gather(*(way.batcher.drain(deadline_s) for way in self._ways.values()))
        return sum(left, Remainder(0, 0))

    def use(self, config: Config) -> None:
        """Have spans follow another configuration, which differs in processors alone.

        Each is processed by one of the two from its beginning to its end, and what is held back is decided by the new one. What
        is for all spans together, the memory of the process and the bounds of a queue, goes by the new one at once.
        """
        course = self._course_by(config)
        for way in self._ways.values():
            way.use(course)
        self.follow(course)

    def follow(self, course: Course) -> None:
        """Let all that is beside the ways follow a course."""
        self.entry.limiter = course.limiter
        if isinstance(self._entrance, MemoryQueue):
            self._entrance.limits = course.queue
        if course.finds_calls:
            # What was found is settled, even if no more is to be found later.
            for settling in self._settlings:
                settling.wanted.set()
        self.explainers.clear()
        if course.sampling is not None:
            self.explainers.update((name, way.holding) for name, way in self._ways.items())

    def statistics(self) -> QueueStatistics:
        """What was acknowledged and is not stored yet, by the exporter that has most of it before it."""
        return max((queue.statistics() for queue in self.queues.values()), key=lambda state: state.spans)

    def troubles(self) -> dict[str, str]:
        """Exporters that cannot store at the moment, by id, and why."""
        return {name: outlet.trouble for name, outlet in self.exporters.items() if outlet.trouble}


def build(
    config: Config,
    telemetry: PipelineTelemetry,
    executor: Executor,
    clock: Clock = SYSTEM,
    journal: Journal | None = None,
    feed: PolicyFeed | None = None,
) -> Pipeline:
    """The pipeline of a checked configuration, to be entered (`async with`), run and drained. Touches no network.

    Args:
        config: with every component that `service.pipelines` names.
        telemetry: where to count.
        executor: threads for joining, encoding and compressing batches.
        clock: for ages, deadlines and durations.
        journal: what holds the spans; without one they are held in memory.
        feed: what follows the tracing configs, for a processor that does what they say.
    """
    names = config.service.pipelines.traces
    settings = {name: config.exporters[name] for name in names.exporters}
    policies = Policies if feed is None else feed.current
    surroundings = Surroundings(executor, telemetry, clock, policies, journal.divisions if journal is not None else {})
    connections = {name: EXPORTERS[type(each)](name, each, surroundings) for name, each in settings.items()}
    outlets: dict[str, Outlet] = {name: connection.outlet for name, connection in connections.items()}
    # There is one queue in memory, in front of all exporters, so the tightest of their settings count.
    sending = min((each.sending_queue for each in settings.values()), key=lambda queue: queue.max_bytes)
    course_by = partial(course_of, surroundings=surroundings, sending=sending, known=feed.known if feed else None)
    course = course_by(config)

    def way(queue: Queue[Any], name: str, destination: Destination, in_front: SendingQueue) -> Way:
        in_flight = in_front.num_consumers if in_front.enabled else 1
        measures = name == names.exporters[0]
        return Way(name, queue, destination, in_flight, measures=measures, course=course, surroundings=surroundings)

    entrance: Entrance
    if journal is None:
        ledger = Ledger()
        entrance = queue = MemoryQueue(course.queue, clock.monotonic)
        destination = FanOut(list(outlets.values())) if len(outlets) > 1 else next(iter(outlets.values()))
        ways = {names.exporters[0]: way(queue, names.exporters[0], destination, sending)}
    else:
        entrance, ledger = journal, journal.ledger
        ways = {name: way(journal.cursors[name], name, outlets[name], each.sending_queue) for name, each in settings.items()}
    pipeline = Pipeline(
        Entry(entrance, ledger),
        entrance,
        ways,
        outlets,
        [each.close for each in connections.values()],
        ledger,
        [each.settling for each in connections.values() if each.settling is not None],
        course_by,
    )
    pipeline.follow(course)
    return pipeline
