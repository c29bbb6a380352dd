"""From a batch to spans that are stored: prepare once, then send each shipment until it is there or beyond hope.

What the destination refuses for its content is halved, and its halves again, until the spans at fault stand alone; those are set
aside as dead letters, and the rest is stored. Where it refuses the spans of some workspaces, these are set aside for themselves.
Whatever else is given up is set aside as it is.

The order is observe, retry, time-out, from the outside in: a time-out ends one attempt, a retry makes another one, and what is
counted is the outcome of all of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import structlog

from exporters.base import (
    DEAD_LETTER,
    Delivery,
    DerivedRows,
    Exporter,
    ExportError,
    ExporterTelemetry,
    Outlook,
    PartialSuccess,
    RowShipment,
    Shipment,
    TableExporter,
)
from exporters.dead_letters import DeadLetters, DeadLettersFull
from exporters.divisions import Divisions, by_workspace_of, halves, workspaces
from exporters.retrying import RetryPolicy
from exporters.tally import apportioned, spans_by_owner
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

_MOST_REFUSALS: Final = 1000
"""So often a batch is halved at most: enough to find dozens of bad spans among thousands, and an end where all are refused."""
PARTIAL_SUCCESS: Final = "partial_success"
"""Why spans are dropped that the other side has left out of what it took."""

T = TypeVar("T")


@dataclass(slots=True)
class _Course:
    """How the delivery of one batch goes.

    Attributes:
        delivery: what became of its spans so far.
        refusals: how often some of them were refused for good.
        given_up: spans that were not stored, by what was done with them instead.
        first_error: why the first of those was refused.
    """

    delivery: Delivery = field(default_factory=Delivery)
    refusals: int = 0
    given_up: Counter[str] = field(default_factory=Counter)
    first_error: str = ""


class Sender:
    """A destination that returns when every span of a batch is stored, or was dropped and counted.

    Args:
        exporter: makes the shipments.
        name: the exporter's id in the configuration, for the log.
        telemetry: where to count.
        retry: when to try again.
        timeout_s: how long one attempt may take, in seconds.
        monotonic: seconds of a clock that never goes back.
        dead_letters: where spans that are given up are kept; without it they are dropped.
        divisions: which spans were sent in parts; without it none come again, as where the queue is lost with the process.
    """

    def __init__(
        self,
        exporter: Exporter,
        name: str,
        telemetry: ExporterTelemetry,
        retry: RetryPolicy,
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        dead_letters: DeadLetters | None = None,
        divisions: Divisions | None = None,
    ) -> None:
        self._exporter = exporter
        self._telemetry = telemetry
        self._retry = retry
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._dead_letters = dead_letters
        self._divisions = divisions
        self._log = _log.bind(exporter=name)
        self._reasons: set[str] = set()
        self._partly: str | None = None
        self._hurried = asyncio.Event()
        self.trouble = "not connected yet"
        """Why spans cannot be stored at the moment, as a sentence; empty when they can."""

    async def open(self) -> None:
        """Make the destination ready, trying until it is."""
        failures = 0
        while True:
            try:
                await self._attempt(self._exporter.open)
            except ExportError as error:
                failures += 1
                self._troubled("exporter_not_ready", error)
                await asyncio.sleep(self._retry.delay_s(failures, _chance()))
            else:
                self._recovered()
                return

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """Store the spans. Never raises for what the destination does: that is counted, logged, and retried or given up."""
        course = _Course()
        await self._store(batch, name, course)
        divisions = self._divisions
        if divisions is not None and divisions.made_from(name):
            # Until it is written down that they are stored, the spans may come again, and must be divided again.
            course.delivery.afterwards.append(partial(divisions.forget, name))
        if course.given_up:
            self._log.error("spans_given_up", **course.given_up, first_error=course.first_error)
        return course.delivery

    def hurry(self) -> None:
        """Make all attempts now that wait for their time: something has changed."""
        self._hurried.set()
        self._hurried = asyncio.Event()

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Store derived rows where the destination has tables. Never raises for what it does: that is as for spans."""
        exporter = self._exporter
        if not isinstance(exporter, TableExporter):
            return
        try:
            shipments = await self._persist(partial(exporter.prepare_rows, rows, name))
        except ExportError as error:
            self._give_up_rows(rows.table, len(rows), error)
            return
        for shipment in shipments:
            await self._ship_rows(rows.table, shipment)

    async def _ship_rows(self, table: str, shipment: RowShipment) -> None:
        try:
            await self._persist(partial(shipment.send, self._timeout_s))
        except ExportError as error:
            self._give_up_rows(table, shipment.rows, error)
        else:
            self._recovered()
            self._telemetry.rows_stored(table, shipment.rows)

    def _give_up_rows(self, table: str, rows: int, error: ExportError) -> None:
        self._telemetry.rows_dropped(table, rows, error.reason)
        self._log.error("derived_rows_given_up", table=table, rows=rows, error=str(error))

    async def _store(self, batch: SpanBatch, name: str, course: _Course) -> None:
        """Store spans under a name, or under names made from it."""
        if self._is_divided(name):
            await self._store_parts(halves(batch, name), course)
            return
        if self._is_divided(by_workspace_of(name)):
            await self._store_parts(workspaces(batch, name), course)
            return
        try:
            shipments = await self._persist(partial(self._exporter.prepare, batch, name))
        except ExportError as error:
            await self._give_up(batch, name, error, course)
            return
        for shipment in shipments:
            await self._ship(shipment, course)

    async def _ship(self, shipment: Shipment, course: _Course) -> None:
        if self._is_divided(shipment.name):
            await self._store_parts(halves(shipment.batch, shipment.name), course)
            return
        try:
            seconds, partly = await self._persist(partial(self._send, shipment))
        except ExportError as error:
            await self._give_up(shipment.batch, shipment.name, error, course)
        else:
            self._recovered()
            self._stored(shipment, seconds, partly, course)

    async def _send(self, shipment: Shipment) -> tuple[float, PartialSuccess | None]:
        started = self._monotonic()
        partly = await shipment.send(self._timeout_s)
        return self._monotonic() - started, partly

    def _stored(self, shipment: Shipment, seconds: float, partly: PartialSuccess | None, course: _Course) -> None:
        lost = apportioned(partly.refused, shipment.owners) if partly is not None else Counter[str]()
        refused = lost.total()
        course.delivery.store(Counter(shipment.owners) - lost)
        if refused < shipment.spans:
            self._telemetry.stored(shipment.spans - refused, shipment.nbytes, seconds)
        if refused:
            self._telemetry.dropped(refused, PARTIAL_SUCCESS)
            course.delivery.drop(PARTIAL_SUCCESS, lost)
        if partly is not None and partly.message != self._partly:
            # A peer may say the same with every answer.
            self._partly = partly.message
            self._log.warning("partial_success", refused=refused, of=shipment.spans, message=partly.message)

    def _is_divided(self, name: str) -> bool:
        return self._divisions is not None and name in self._divisions

    async def _store_parts(self, parts: Iterable[tuple[SpanBatch, str]], course: _Course) -> None:
        for part, name in parts:
            await self._store(part, name, course)

    async def _give_up(self, batch: SpanBatch, name: str, error: ExportError, course: _Course) -> None:
        """Find the spans that are at fault, where only some are; set the others aside, or drop them."""
        if error.outlook is Outlook.ELSEWHERE:
            course.delivery.returned.append((batch, name))
            return
        if error.of_workspace and await self._divide(by_workspace_of(name)):
            await self._store_parts(workspaces(batch, name), course)
            return
        course.refusals += 1
        if error.of_content and len(batch) > 1 and course.refusals <= _MOST_REFUSALS and await self._divide(name):
            await self._store_parts(halves(batch, name), course)
            return
        course.first_error = course.first_error or str(error)
        owners = spans_by_owner(batch)
        if await self._set_aside(batch, name, error):
            self._telemetry.set_aside(len(batch), error.reason)
            course.delivery.drop(DEAD_LETTER, owners)
            course.given_up["set_aside"] += len(batch)
        else:
            self._telemetry.dropped(len(batch), error.reason)
            course.delivery.drop(error.reason, owners)
            course.given_up["dropped"] += len(batch)

    async def _divide(self, name: str) -> bool:
        """Whether spans may be sent in parts from now on. Forgotten in a crash, it could have them stored in parts and whole."""
        if self._divisions is None:
            return True
        return await self._kept(partial(self._divisions.add, name), "division_not_kept")

    async def _set_aside(self, batch: SpanBatch, name: str, error: ExportError) -> bool:
        if self._dead_letters is None:
            return False
        return await self._kept(partial(self._dead_letters.add, batch, name, error), "dead_letters_not_kept")

    async def _kept(self, work: Callable[[], None], failure: str) -> bool:
        """Do something on disk, and say whether it went well; `failure` stands in the log if it did not."""

        async def attempt() -> bool:
            try:
                await asyncio.to_thread(work)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the spans behind these must go on
                is_ours = not isinstance(error, OSError | DeadLettersFull)
                self._log.error(failure, error=str(error), exc_info=error if is_ours else None)
                return False
            return True

        with suppress(ExportError):
            return await self._persist(attempt)
        return False

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns once it succeeds. Raises the last ExportError when it is given up."""
        started = self._monotonic()
        unsure_since: float | None = None
        failures = 0
        while True:
            try:
                return await self._attempt(work)
            except ExportError as error:
                failures += 1
                now = self._monotonic()
                if error.outlook is not Outlook.UNSURE:
                    unsure_since = None
                elif unsure_since is None:
                    unsure_since = now
                if self._retry.gives_up(error.outlook, now - started, 0.0 if unsure_since is None else now - unsure_since):
                    raise
                self._telemetry.retried(error.reason)
                self._troubled("spans_not_stored_yet", error)
                await self._wait(max(error.delay_s, self._retry.delay_s(failures, _chance())))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    async def _attempt(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except ExportError:
            raise
        except MemoryError as error:
            raise ExportError("the collector is short of memory", "out_of_memory", Outlook.LATER) from error
        except Exception as error:
            # A fault of ours must neither lose acknowledged spans at the first slip nor stop those behind them.
            self._log.exception("export_failed_unexpectedly")
            raise ExportError(f"{type(error).__name__}: {error}", "internal_error", Outlook.UNSURE) from error

    def _troubled(self, event: str, error: ExportError) -> None:
        """Log each kind of failure once for as long as it lasts, not once for each attempt and batch."""
        self.trouble = str(error)
        if error.reason not in self._reasons:
            self._reasons.add(error.reason)
            self._log.warning(event, reason=error.reason, error=str(error))

    def _recovered(self) -> None:
        self.trouble = ""
        if self._reasons:
            self._log.info("exporter_recovered", after=sorted(self._reasons))
            self._reasons.clear()


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
