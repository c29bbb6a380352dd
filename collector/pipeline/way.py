"""The way of spans from a queue to an exporter: batches, the processors in their order, and what holds traces back among them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from collector.clock import Clock
from collector.journal.cursor import Cursor
from collector.pipeline.awaiting import Awaiting
from collector.pipeline.batcher import Batcher
from collector.pipeline.batching import BatchLimits
from collector.pipeline.connections import PipelineTelemetry
from collector.pipeline.holding import Holding
from collector.processors.base import Processing, Processor, Stage
from collector.processors.tail_sampling.sampler import TailSampler
from collector.queues.contract import Queue
from collector.queues.held import HeldLog, NothingLasts
from config.tail_sampling import Policy, TailSamplingProcessor
from exporters.base import Destination

_KEEP_ALL: Final = TailSamplingProcessor(policies=(Policy(name="always_sample", type="always_sample"),))
_GONE: Final = "tail_sampling"
"""Stands for a processor that a former process had, and this one has not."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one exporter.

    Attributes:
        batcher: takes from the queue.
        holding: what holds traces back; None where nothing does.
        processings: the processors in front of it, and those behind.
    """

    batcher: Batcher
    holding: Holding | None
    processings: Sequence[Processing]

    def use(self, stretches: Sequence[Sequence[Stage]]) -> None:
        """Have batches processed so from the next one on; `stretches` are as many as there are `processings`."""
        for processing, stages in zip(self.processings, stretches, strict=True):
            processing.stages = tuple(stages)


@dataclass(frozen=True, slots=True)
class WayBuilder:
    """Builds ways with the same processors.

    Attributes:
        processors: by their ids, in their order; the settings of `tail_sampling` stand for themselves.
        limits: how large and how old a batch becomes.
        telemetry: where to count.
        executor: threads for the work.
        clock: the time.
        known: nothing is handed on before; None where there is nothing to wait for.
    """

    processors: Mapping[str, Processor | TailSamplingProcessor]
    limits: BatchLimits
    telemetry: PipelineTelemetry
    executor: Executor
    clock: Clock
    known: asyncio.Event | None = None

    def build(self, exporter: str, queue: Queue[Any], destination: Destination, in_flight: int, *, measures: bool) -> Way:
        """The way to an exporter.

        Args:
            exporter: its id.
            queue: holds the spans until they are stored.
            destination: the exporter.
            in_flight: how many batches are on their way at once.
            measures: whether processors tell here what they measure; on one of several ways they do.
        """
        processings: list[Processing] = []
        holding: Holding | None = None
        first, *behind = self.stretches(self.processors, exporter, measures=measures)
        for name, settings in self.processors.items():
            if isinstance(settings, TailSamplingProcessor):
                destination = self._processing(behind.pop(), destination)
                processings.append(destination)
                holding = destination = self._sampling(name, settings, exporter, queue, destination, in_flight)
        if holding is None and isinstance(queue, Cursor) and queue.held_back().unfinished:
            holding = destination = self._left_over(exporter, queue, destination, in_flight)
        destination = self._processing(first, destination)
        processings.insert(0, destination)
        if self.known is not None:
            # What is switched off must not get in because the store was away when the daemon started.
            destination = Awaiting(self.known, destination)
        holders = [] if holding is None else [holding]
        return Way(Batcher(queue, self.limits, destination, in_flight, self.executor, holders), holding, processings)

    def stretches(
        self, processors: Mapping[str, Processor | TailSamplingProcessor], exporter: str, *, measures: bool
    ) -> list[list[Stage]]:
        """The processors in front of what holds traces back, and those behind; all of them where nothing does."""
        stretches: list[list[Stage]] = [[]]
        for name, processor in processors.items():
            if isinstance(processor, TailSamplingProcessor):
                stretches.append([])
            else:
                stretches[-1].append(Stage(name, processor, self.telemetry.processor(name, exporter), measures))
        return stretches

    def _processing(self, stages: Sequence[Stage], destination: Destination) -> Processing:
        return Processing(stages, destination, self.executor, self.clock.monotonic)

    def _sampling(
        self,
        name: str,
        settings: TailSamplingProcessor,
        exporter: str,
        queue: Queue[Any],
        destination: Destination,
        in_flight: int,
    ) -> Holding:
        """Holds traces back until they are decided; those that are not at the end wait in the journal, if there is one."""
        log: HeldLog = NothingLasts()
        if isinstance(queue, Cursor):
            queue.holds_back = True
            log = held_back = queue.held_back()
            held_back.remember(*settings.remembered)
        sampler = TailSampler(settings)
        return self._holding(name, sampler, log, exporter, destination, in_flight, decides_at_end=not isinstance(queue, Cursor))

    def _left_over(self, exporter: str, queue: Cursor, destination: Destination, in_flight: int) -> Holding:
        """Carries out what a former process has decided, and lets on what else it had held."""
        sampler = TailSampler(_KEEP_ALL)
        holding = self._holding(_GONE, sampler, queue.held_back(), exporter, destination, in_flight, decides_at_end=True)
        holding.finish()
        return holding

    def _holding(
        self,
        name: str,
        sampler: TailSampler,
        log: HeldLog,
        exporter: str,
        destination: Destination,
        in_flight: int,
        *,
        decides_at_end: bool,
    ) -> Holding:
        return Holding(
            name,
            sampler,
            log,
            destination,
            self.limits,
            in_flight,
            self.executor,
            self.telemetry.processor(name, exporter),
            self.clock,
            decides_at_end=decides_at_end,
        )
