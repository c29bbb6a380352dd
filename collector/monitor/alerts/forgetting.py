"""Lets go of what happened to alerts long ago. Whoever holds the lease does it."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from collector import metrics
from collector.clock import Clock
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.measured import SECOND
from collector.monitor.alerts.states import OPEN
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import export_error

_log = structlog.get_logger(__name__)

_PAUSE_S: Final = 3600.0


class Forgetting:
    """Looks once an hour.

    Args:
        log: where it is written down.
        keep_s: how long that is kept, in seconds; 0 for ever.
        telemetry: where to count.
        clock: the time.
    """

    def __init__(self, log: AlertLog, keep_s: int, telemetry: Telemetry, clock: Clock) -> None:
        self._log = log
        self._keep_s = keep_s
        self._telemetry = telemetry
        self._clock = clock

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while self._keep_s:
            try:
                await self.look()
            except (ClickHouseError, ClickHouseUnavailable) as error:
                self._fail(export_error(error).reason, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, alerts have to be watched
                self._fail("internal_error", error)
            await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Let go of what is too old. Raises as the log."""
        before = self._clock.now() - self._keep_s * SECOND
        _, happenings = await self._log.latest(self._clock.now())
        still_open = [each.alert_id for each in happenings if each.state.status in OPEN and each.state.started_at < before]
        if await self._log.forget(before, still_open):
            _log.info("alert_history_forgotten", older_than_s=self._keep_s)

    def _fail(self, reason: str, error: Exception) -> None:
        self._telemetry.count(metrics.ALERT_FAILURES, (reason,))
        _log.warning("alert_history_not_forgotten", reason=reason, error=str(error), note="tried again in an hour")
