"""One of several backends: whether it is in health, and what is to go elsewhere when it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from exporters.base import Exporter, ExportError, Outlook, PartialSuccess, Shipment
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)


class BackendTelemetry(Protocol):
    """Where attempts are counted."""

    def outcome(self, backend: str, success: bool, seconds: float) -> None:
        """An attempt to send to a backend took so long, and went well or not."""


@dataclass(slots=True)
class Health:
    """What is known of one backend.

    Attributes:
        address: of the backend.
        failing_since_s: when the first of its failures in a row was; None when its last attempt went well.
        left_alone_until_s: it is not to be used before then, unless there is no other.
        gone: whether it is a backend no longer.
    """

    address: str
    failing_since_s: float | None = None
    left_alone_until_s: float = 0.0
    gone: bool = False


class Backend:
    """An exporter to one backend, whose shipments go elsewhere when the backend is gone or has failed for long.

    Args:
        exporter: to the backend.
        health: of the backend; kept up to date.
        reroute_after_s: seconds of failures after which its spans go elsewhere, and after which it is tried again; 0 for never.
        has_others: whether there is any other backend that may take them.
        telemetry: where to count attempts.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        exporter: Exporter,
        health: Health,
        reroute_after_s: float,
        has_others: Callable[[Health], bool],
        telemetry: BackendTelemetry,
        monotonic: Callable[[], float],
    ) -> None:
        self._exporter = exporter
        self._health = health
        self._reroute_after_s = reroute_after_s
        self._has_others = has_others
        self._telemetry = telemetry
        self._monotonic = monotonic

    async def open(self) -> None:
        """As `Exporter.open`."""
        await self._exporter.open()

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Shipment]:
        """As `Exporter.prepare`."""
        return [_Shipment(self, shipment) for shipment in await self._exporter.prepare(batch, name)]

    async def send(self, shipment: Shipment, timeout_s: float) -> PartialSuccess | None:
        """Send a shipment. Raises ExportError, with `Outlook.ELSEWHERE` where another backend is to have it."""
        health = self._health
        if health.gone:
            raise self._gone()
        started_s = self._monotonic()
        if started_s < health.left_alone_until_s and self._has_others(health):
            raise ExportError(f"{health.address} is left alone", "backend_down", Outlook.ELSEWHERE)
        try:
            partly = await shipment.send(timeout_s)
        except ExportError as error:
            self._telemetry.outcome(health.address, False, self._monotonic() - started_s)
            if error.outlook is not Outlook.NEVER:
                if health.gone:
                    # It went meanwhile, and whoever was hurried for that was not waiting yet.
                    raise self._gone() from error
                self._failed(error, started_s)
            raise
        self._telemetry.outcome(health.address, True, self._monotonic() - started_s)
        health.failing_since_s = None
        health.left_alone_until_s = 0.0
        return partly

    def _gone(self) -> ExportError:
        return ExportError(f"{self._health.address} is a backend no longer", "backend_gone", Outlook.ELSEWHERE)

    def _failed(self, error: ExportError, started_s: float) -> None:
        health, now = self._health, self._monotonic()
        if health.failing_since_s is None:
            health.failing_since_s = started_s
        if self._reroute_after_s and now - health.failing_since_s >= self._reroute_after_s and self._has_others(health):
            if now >= health.left_alone_until_s:
                health.left_alone_until_s = now + self._reroute_after_s
                _log.warning(
                    "backend_left_alone",
                    backend=health.address,
                    for_s=self._reroute_after_s,
                    failing_for_s=round(now - health.failing_since_s, 1),
                    error=str(error),
                )
            raise ExportError(f"{health.address} is left alone: {error}", "backend_down", Outlook.ELSEWHERE) from error


@dataclass(frozen=True, slots=True)
class _Shipment:
    """A shipment of one backend."""

    backend: Backend
    shipment: Shipment

    @property
    def name(self) -> str:
        return self.shipment.name

    @property
    def batch(self) -> SpanBatch:
        return self.shipment.batch

    @property
    def spans(self) -> int:
        return self.shipment.spans

    @property
    def owners(self) -> Mapping[str, int]:
        return self.shipment.owners

    @property
    def nbytes(self) -> int:
        return self.shipment.nbytes

    async def send(self, timeout_s: float) -> PartialSuccess | None:
        return await self.backend.send(self.shipment, timeout_s)
