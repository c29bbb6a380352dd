"""The way of spans from a queue to an exporter: batches, the processors in their order, and what holds traces back among them."""

from __future__ import annotations

from typing import Any, Final

from collector.journal.cursor import Cursor
from collector.pipeline.awaiting import Awaiting
from collector.pipeline.batcher import Batcher
from collector.pipeline.connections import Surroundings
from collector.pipeline.course import Course
from collector.pipeline.holding import Holding
from collector.pipeline.holding_settings import HoldingSettings
from collector.processors.base import Processing, Stage
from collector.queues.contract import Queue
from collector.queues.held import HeldLog, NothingLasts
from config.tail_sampling import TailSamplingProcessor
from exporters.base import Delivery, DerivedRows, Destination
from proto.spans import SpanBatch

_GONE: Final = "tail_sampling"
"""Stands for a processor that there was, and is no more, while something is left of what it held."""


class Way:
    """The way to one exporter.

    Args:
        exporter: its id.
        queue: holds the spans until they are stored.
        destination: the exporter.
        in_flight: how many batches are on their way at once.
        measures: whether processors tell here what they measure; on one of several ways they do.
        course: what happens to spans, until there is another.
        surroundings: where to count, threads for the work, and the time.

    Attributes:
        batcher: takes from the queue.
        holding: holds traces back, if that is wanted, or a former process did.
    """

    def __init__(
        self,
        exporter: str,
        queue: Queue[Any],
        destination: Destination,
        in_flight: int,
        *,
        measures: bool,
        course: Course,
        surroundings: Surroundings,
    ) -> None:
        self._exporter = exporter
        self._queue = queue
        self._destination = destination
        self._measures = measures
        self._surroundings = surroundings
        executor, clock = surroundings.executor, surroundings.clock
        log: HeldLog = NothingLasts()
        if isinstance(queue, Cursor):
            self._hold_back(queue, course)
            log = queue.held_back()
        settings = self._holding_settings(course)
        self.holding = Holding(settings, log, in_flight, executor, clock, lasts=isinstance(queue, Cursor))
        self.batcher = Batcher(queue, course.limits, self._destination_by(course), in_flight, executor, [self.holding])

    def use(self, course: Course) -> None:
        """Have batches that are taken from now on follow another course; each follows one of the two to the exporter."""
        if isinstance(self._queue, Cursor):
            self._hold_back(self._queue, course)
        self.holding.use(self._holding_settings(course))
        self.batcher.use(course.limits, self._destination_by(course))

    def _hold_back(self, cursor: Cursor, course: Course) -> None:
        cursor.holds_back = course.sampling is not None
        if course.sampling is not None:
            cursor.held_back().remember(*course.sampling[1].remembered)

    def _holding_settings(self, course: Course) -> HoldingSettings:
        name, sampling = course.sampling or (_GONE, None)
        return HoldingSettings(name, sampling, course.limits, self._surroundings.telemetry.processor(name, self._exporter))

    def _destination_by(self, course: Course) -> Destination:
        """Where batches go that follow a course."""
        front, behind = self._stretches(course)
        destination = self._destination
        if course.sampling is not None:
            destination = self._processing(behind, destination)
        if course.sampling is not None or isinstance(self._queue, Cursor):
            # A journal may have what was to be held back before.
            destination = _HeldOnTheWay(self.holding, destination)
        destination = self._processing(front, destination)
        # What is switched off must not get in because the store was away when the daemon started.
        return destination if course.known is None else Awaiting(course.known, destination)

    def _processing(self, stages: list[Stage], destination: Destination) -> Destination:
        if not stages:
            return destination
        return Processing(stages, destination, self._surroundings.executor, self._surroundings.clock.monotonic)

    def _stretches(self, course: Course) -> tuple[list[Stage], list[Stage]]:
        """The processors in front of what holds traces back, and those behind; all of them are in front where nothing does."""
        front: list[Stage] = []
        behind: list[Stage] = []
        stretch = front
        for name, processor in course.processors.items():
            if isinstance(processor, TailSamplingProcessor):
                stretch = behind
            else:
                telemetry = self._surroundings.telemetry.processor(name, self._exporter)
                stretch.append(Stage(name, processor, telemetry, self._measures))
        return front, behind


class _HeldOnTheWay:
    """A destination that has spans held back on their way to another."""

    def __init__(self, holding: Holding, behind: Destination) -> None:
        self._holding = holding
        self._behind = behind

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        return await self._holding.hold(batch, name, self._behind)

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Hand on what was derived from spans before they are decided."""
        await self._behind.deliver_rows(rows, name)
