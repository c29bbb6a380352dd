"""From a batch to spans that are stored: prepare once, then send each shipment until it is there or beyond hope.

The order is observe, retry, time-out, from the outside in: a time-out ends one attempt, a retry makes another one, and what is
counted is the outcome of all of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from exporters.base import Delivery, Exporter, ExportError, ExporterTelemetry, Outlook, Shipment
from exporters.tally import spans_by_workspace
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up.

    Attributes:
        enabled: whether anything is tried twice.
        initial_s: wait after the first failure, in seconds.
        multiplier: each wait is this many times the one before.
        randomization: each wait is longer or shorter by up to this part of itself, so that senders do not return in step.
        max_s: the longest wait before randomization, in seconds.
        max_elapsed_s: give up this many seconds after the first attempt; 0 never does.
        unsure_s: the same for failures that need not pass by themselves (`Outlook.UNSURE`).
    """

    enabled: bool = True
    initial_s: float = 5.0
    multiplier: float = 1.5
    randomization: float = 0.5
    max_s: float = 30.0
    max_elapsed_s: float = 0.0
    unsure_s: float = 300.0

    def delay_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures in a row; `chance` in [0, 1) picks within the randomization."""
        delay = self.initial_s
        for _ in range(failures - 1):
            if delay >= self.max_s:
                break
            delay *= self.multiplier
        return min(delay, self.max_s) * (1 + self.randomization * (2 * chance - 1))

    def gives_up(self, outlook: Outlook, elapsed_s: float) -> bool:
        """Whether a failure with this outlook, so long after the first attempt, is the last."""
        if not self.enabled or outlook is Outlook.NEVER:
            return True
        limits = [limit for limit in (self.max_elapsed_s, self.unsure_s if outlook is Outlook.UNSURE else 0) if limit]
        return bool(limits) and elapsed_s >= min(limits)


class Sender:
    """A destination that returns when every span of a batch is stored, or was dropped and counted.

    Args:
        exporter: makes the shipments.
        name: the exporter's id in the configuration, for the log.
        telemetry: where to count.
        retry: when to try again.
        timeout_s: how long one attempt may take, in seconds.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        exporter: Exporter,
        name: str,
        telemetry: ExporterTelemetry,
        retry: RetryPolicy,
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exporter = exporter
        self._telemetry = telemetry
        self._retry = retry
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._log = _log.bind(exporter=name)
        self._reason = ""
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
                return

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """Store the spans. Never raises for what the destination does: that is counted, logged, and retried or given up."""
        delivered = Delivery()
        workspaces = spans_by_workspace(batch)
        prepare = partial(self._exporter.prepare, batch, name)
        shipments = await self._persist(prepare, workspaces, delivered)
        # What is sent again is the encoded form; the batch itself, several times as large, is needed no more.
        del batch, prepare
        for shipment in shipments or ():
            seconds = await self._persist(partial(self._send, shipment), shipment.workspaces, delivered)
            if seconds is not None:
                self._telemetry.stored(shipment.spans, shipment.nbytes, seconds)
                delivered.store(shipment.workspaces)
        return delivered

    async def _send(self, shipment: Shipment) -> float:
        started = self._monotonic()
        await shipment.send(self._timeout_s)
        return self._monotonic() - started

    async def _persist(self, work: Callable[[], Awaitable[T]], workspaces: Mapping[str, int], delivered: Delivery) -> T | None:
        """What `work` returns once it succeeds; None when it was given up, and the spans with it."""
        started = self._monotonic()
        failures = 0
        while True:
            try:
                return await self._attempt(work)
            except ExportError as error:
                failures += 1
                if self._retry.gives_up(error.outlook, self._monotonic() - started):
                    spans = sum(workspaces.values())
                    self._telemetry.dropped(spans, error.reason)
                    delivered.drop(error.reason, workspaces)
                    self._log.error("spans_dropped", spans=spans, reason=error.reason, attempts=failures, error=str(error))
                    return None
                self._telemetry.retried(error.reason)
                self._troubled("spans_not_stored_yet", error)
                await asyncio.sleep(self._retry.delay_s(failures, _chance()))

    async def _attempt(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await work()
        except ExportError:
            raise
        except Exception as error:
            # A fault of ours must neither lose acknowledged spans at the first slip nor stop those behind them.
            self._log.exception("export_failed_unexpectedly")
            raise ExportError(f"{type(error).__name__}: {error}", "internal_error", Outlook.UNSURE) from error
        self._recovered()
        return result

    def _troubled(self, event: str, error: ExportError) -> None:
        """Log a failure once for as long as it lasts, not once for each attempt and batch."""
        self.trouble = str(error)
        if error.reason != self._reason:
            self._reason = error.reason
            self._log.warning(event, reason=error.reason, error=str(error))

    def _recovered(self) -> None:
        self.trouble = ""
        if self._reason:
            self._log.info("exporter_recovered", after=self._reason)
            self._reason = ""


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
