"""Hands what is written down to be sent to the channels, until it is known of each that it was sent or given up.

What happens to one alert reaches a channel in order, one after the other; different alerts and different channels do not wait for
each other. Only whoever holds the lease sends. After a crash, what was under way is handed on again with the same keys.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import structlog

from collector import metrics
from collector.clock import Clock
from collector.control.trouble import Trouble
from collector.monitor.alerts.log import AlertLog, Happening
from collector.monitor.alerts.measured import DAY
from collector.monitor.alerts.notifier import Notifier
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable

_log = structlog.get_logger(__name__)

OLDEST: Final = 7 * DAY
"""What could not be sent for so long is not sent any more, nanoseconds."""
_LOOK_S: Final = 5.0
_AGAIN_S: Final = 5.0


class Dispatcher:
    """Sends events.

    Args:
        log: where they are written down.
        notifier: what sends them.
        telemetry: where to count.
        clock: the time.
    """

    def __init__(self, log: AlertLog, notifier: Notifier, telemetry: Telemetry, clock: Clock) -> None:
        self._log = log
        self._notifier = notifier
        self._telemetry = telemetry
        self._clock = clock
        self._trouble = Trouble("alert_events", self._failed)
        self._wake = asyncio.Event()
        self._entry = 0
        self._left: dict[int, int] = {}
        self._sent: list[int] = []
        self._last: dict[tuple[uuid.UUID, str], asyncio.Task[None]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether all that it knows of is sent, and written down as such."""
        return not self._left and not self._sent

    def looked_at(self, entry: int) -> bool:
        """Whether it knows of an entry of the log."""
        return self._entry >= entry

    def wake(self) -> None:
        """Look at once, since something was written down."""
        self._wake.set()

    async def run(self) -> None:
        """Send what there is and what comes, until cancelled."""
        async with asyncio.TaskGroup() as deliveries:
            while True:
                self._wake.clear()
                try:
                    await self._look(deliveries)
                    self._trouble.over()
                except Exception as error:  # noqa: BLE001 - whatever it is, events have to be sent
                    self._trouble.tell(error)
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _look(self, deliveries: asyncio.TaskGroup) -> None:
        if self._sent:
            done = list(self._sent)
            await self._log.sent(done, self._clock.now())
            del self._sent[: len(done)]
        head = await self._log.head()
        coming = await self._log.to_send(self._entry, head, self._clock.now() - OLDEST)
        for each in coming:
            self._left[each.entry] = self._left.get(each.entry, 0) + len(each.channels)
        for each in coming:
            for channel in each.channels:
                place = each.alert_id, channel
                task = deliveries.create_task(self._deliver(each, channel, self._last.get(place)))
                self._last[place] = task
                task.add_done_callback(lambda done, place=place: self._over(place, done))  # type: ignore[misc]  # a default binds now

        self._entry = head

    async def _deliver(self, happening: Happening, channel: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        assert happening.event is not None  # noqa: S101 - others are not to be sent
        while True:
            try:
                await self._notifier.deliver(happening.event, [channel])
                break
            except (ClickHouseError, ClickHouseUnavailable) as error:
                self._trouble.tell(error)
                await asyncio.sleep(_AGAIN_S)
            except Exception:  # noqa: BLE001 - a fault of ours, which trying again does not mend
                self._failed("internal_error")
                _log.exception("alert_event_not_sent", key=happening.event.key, channel=channel)
                break
        left = self._left[happening.entry] - 1
        if left:
            self._left[happening.entry] = left
        else:
            del self._left[happening.entry]
            self._sent.append(happening.entry)
            self._wake.set()

    def _over(self, place: tuple[uuid.UUID, str], task: asyncio.Task[None]) -> None:
        if self._last.get(place) is task:
            del self._last[place]

    def _failed(self, reason: str) -> None:
        self._telemetry.count(metrics.ALERT_DELIVERY_FAILURES, (reason,))
