"""What a processor is, and how processors stand in front of a destination.

They work on the pieces into which batches were cut, so the names of pieces, and with them the tokens of their inserts, do not
depend on what processors do. And a processor is pure: the same piece, read again from the journal after a crash, gives the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import structlog

from collector.scarce_memory import MOST_TRIES, once_there_is_memory
from collector.service_graph import CallMeasures
from collector.spaced_log import SpacedLog
from collector.span_metrics import SpanMeasures
from collector.trace_decisions import HeldReaders, TraceDecisions
from exporters.base import Delivery, DerivedRows, Destination
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

INTERNAL_ERROR: Final = "internal_error"
"""A processor failed by a fault of its own; its spans are dropped, since what it should have taken from them must not get out."""


@dataclass(frozen=True, slots=True)
class Processed:
    """What a processor made of a batch.

    Attributes:
        batch: what goes on; the batch that was given where nothing has changed.
        dropped: spans that do not go on, as a batch of their own; None where there are none.
        failures: rule → spans or events for which it could not be evaluated.
        failed: spans that do not go on because a rule could not be evaluated for them; None where there are none.
        reasons: rule → why it could not be evaluated, of those that should be told of in the log.
        decisions: of a sampler, (what decided, whether for keeping) → spans.
        changes: kind of change → attributes, events or links in spans to which it was done; kinds are from a small fixed set.
        dropped_by: (the rule that says so, such as the id of a tracing config; why) → spans among `dropped`.
        derived: rows of other tables that were made of the spans; stored under the name of the piece, whatever is left of it.
        measured: what was counted of the spans for `/metrics`.
    """

    batch: SpanBatch
    dropped: SpanBatch | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    failed: SpanBatch | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    dropped_by: Mapping[tuple[str, str], int] = field(default_factory=dict)
    derived: Sequence[DerivedRows] = ()
    measured: SpanMeasures | CallMeasures | None = None


class Processor(Protocol):
    """Changes batches, or takes spans out of them."""

    def process(self, batch: SpanBatch) -> Processed:
        """What becomes of a batch, which says the same whenever it is asked. Runs in threads, several at once.

        Knows no clock, no chance and no network, and works on whole columns.
        """


class ProcessorTelemetry(Protocol):
    """Where one processor counts."""

    def processed(self, incoming: int, outgoing: int) -> None:
        """So many spans came, and so many went on."""

    def failed(self, rule: str, count: int) -> None:
        """A rule could not be evaluated for so many spans or events; `rule` is where it stands in the configuration."""

    def decided(self, policy: str, kept: bool, count: int) -> None:
        """A sampler decided so for so many spans; `policy` is from a small fixed set."""

    def traces_decided(self, decisions: TraceDecisions) -> None:
        """A tail sampler decided about traces."""

    def decision_took(self, seconds: float) -> None:
        """A tail sampler was so long at deciding what was due."""

    def holds(self, held: HeldReaders) -> None:
        """Who asks, from now on, may be told what a tail sampler holds."""

    def changed(self, change: str, count: int) -> None:
        """So many attributes, events or links were changed or removed; `change` is from a small fixed set."""

    def dropped(self, rule: str, reason: str, count: int) -> None:
        """A rule dropped so many spans; `reason` is from a small fixed set."""

    def measured(self, measures: SpanMeasures | CallMeasures) -> None:
        """So much was counted of the spans of a batch."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A processor in its place.

    Attributes:
        name: its id in the configuration, and the reason for which what it drops is dropped.
        processor: does the work.
        telemetry: where to count.
        measures: whether what it counts of spans is shown: of several exporters, for which it does the same work, for one alone.
    """

    name: str
    processor: Processor
    telemetry: ProcessorTelemetry
    measures: bool = True


class Processing:
    """A destination that lets processors work on each batch, and gives the next destination what they leave of it.

    Args:
        stages: the processors, in their order.
        destination: where the rest goes, under the name that the batch had.
        executor: threads in which processors work.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        destination: Destination,
        executor: Executor,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages = tuple(stages)
        self._destination = destination
        self._executor = executor
        self._failures = SpacedLog(_log, monotonic)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """Process, deliver, and count what was dropped on the way under the id of the processor that did."""
        delivery = Delivery()
        # Rows of other tables are on their way while the next processors work.
        async with asyncio.TaskGroup() as rows_on_their_way:
            for stage in self._stages:
                if not len(batch):
                    break
                processed = await self._run(stage, batch, delivery)
                for rows in processed.derived:
                    rows_on_their_way.create_task(self._destination.deliver_rows(rows, f"{name}-{stage.name}"))
                batch = processed.batch
            if len(batch):
                delivery.add(await self._destination.deliver(batch, name))
        return delivery

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Hand on what was derived further in front; processors have nothing to do with it."""
        await self._destination.deliver_rows(rows, name)

    async def _processed(self, stage: Stage, batch: SpanBatch) -> Processed:
        """What a processor makes of a batch, once there is memory for that. Raises what it does in the end."""
        process = partial(asyncio.get_running_loop().run_in_executor, self._executor, stage.processor.process, batch)
        waits = partial(self._failures.error, "processor_waits_for_memory", processor=stage.name, spans=len(batch))
        return await once_there_is_memory(process, waits, MOST_TRIES)

    async def _run(self, stage: Stage, batch: SpanBatch, delivery: Delivery) -> Processed:
        """What a stage makes of a batch, counted."""
        try:
            processed = await self._processed(stage, batch)
        except Exception:  # noqa: BLE001 - whatever it is, the spans behind these must go on
            _log.exception("processor_failed", processor=stage.name, spans=len(batch))
            processed = Processed(batch.select(slice(0, 0)), failures={INTERNAL_ERROR: len(batch)}, failed=batch)
        for rule, count in processed.failures.items():
            stage.telemetry.failed(rule, count)
        for rule, reason in processed.reasons.items():
            self._failures.warning("rule_not_evaluated", f"{stage.name}: {rule}", error=reason)
        for (policy, kept), count in processed.decisions.items():
            stage.telemetry.decided(policy, kept, count)
        for change, count in processed.changes.items():
            stage.telemetry.changed(change, count)
        for (rule, reason), count in processed.dropped_by.items():
            stage.telemetry.dropped(rule, reason, count)
        if processed.measured is not None and stage.measures:
            stage.telemetry.measured(processed.measured)
        stage.telemetry.processed(len(batch), len(processed.batch))
        for reason, spans in ((stage.name, processed.dropped), (f"{stage.name}: error", processed.failed)):
            if spans is not None and len(spans):
                delivery.drop(reason, spans_by_owner(spans))
        parts = [part for part in (processed.batch, processed.dropped, processed.failed) if part is not None]
        if any(part.resources is not batch.resources or part.attributes is not batch.attributes for part in parts):
            _compare_owners(batch, parts, delivery)
        return processed


def _compare_owners(batch: SpanBatch, parts: Sequence[SpanBatch], delivery: Delivery) -> None:
    """Count the spans of a batch to whose resources a processor has given the name of another service."""
    before, after = spans_by_owner(batch), Counter[str]()
    for part in parts:
        after.update(spans_by_owner(part))
    if after != before:
        delivery.rename(before, after)
