"""Sends events to channels until each has them, or beyond hope, and keeps what came of it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from collector import metrics
from collector.clock import Clock
from collector.component_telemetry import Counts
from collector.control.objects import ObjectStore
from collector.control.versions import Stored
from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.outcomes import Delivery, Outcome, Outcomes
from collector.monitor.channels.request import Attempt
from collector.monitor.channels.sender import Sender
from collector.monitor.channels.settings import ChannelSettings
from collector.monitor.channels.trial import trial
from collector.spaced_log import SpacedLog
from exporters.retrying import RetryPolicy

_AT_ONCE: Final = 4
"""So many attempts are made at a channel at the same time: one that hangs holds up its own events alone, and few connections."""
_NO_ATTEMPT: Final = Attempt("", "")


@dataclass(slots=True)
class _Course:
    """How an event fares at a channel.

    Attributes:
        started_at: nanoseconds since 1970.
        channel: as it was at the last attempt; None where there is none.
        attempts: so many were made.
        last: what became of the last one.
    """

    started_at: int
    channel: Stored[ChannelSettings] | None = None
    attempts: int = 0
    last: Attempt = _NO_ATTEMPT


class Deliveries:
    """What `collector.monitor.alerts.notifier.Notifier` asks for. Belongs to one event loop.

    Events of one incident reach a channel in the order in which they are given: its end does not overtake its beginning.

    Args:
        channels: of all workspaces.
        outcomes: where it is kept what came of them.
        sender: makes attempts.
        give_up_s: so long after the first attempt no other is made.
        telemetry: where to count.
        clock: the time.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        channels: ObjectStore[ChannelSettings],
        outcomes: Outcomes,
        sender: Sender,
        give_up_s: float,
        telemetry: Counts,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._channels = channels
        self._outcomes = outcomes
        self._sender = sender
        self._give_up_s = give_up_s
        self._retry = RetryPolicy(initial_s=1.0, multiplier=2.0, max_s=300.0)
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep
        self._log = SpacedLog(structlog.get_logger(__name__), clock.monotonic)
        self._slots = _Turns(_AT_ONCE)
        self._incidents = _Turns(1)
        self._unkept: dict[tuple[str, str], Delivery] = {}
        self._waiting = 0
        telemetry.read(metrics.NOTIFICATIONS_WAITING, (), lambda: self._waiting)

    async def deliver(self, event: AlertEvent, channels: Sequence[str]) -> None:
        """As of the protocol. Returns at once for a channel that does not want to hear of such an event."""
        # Where what came of one cannot be kept, the others go on.
        results = await asyncio.gather(
            *(self._deliver(event, channel) for channel in dict.fromkeys(channels)), return_exceptions=True
        )
        for error in filter(None, results):
            raise error

    async def test(self, channel: Stored[ChannelSettings]) -> Attempt:
        """Tell the other side of a channel, enabled or not, that this is a test: once, with nothing kept of it."""
        event = trial(channel.workspace, channel.settings.name, self._clock.now())
        return await self._sender.attempt(event, channel.settings.target)

    async def fault(self, workspace: str, settings: ChannelSettings) -> str:
        """As of the sender."""
        return await self._sender.fault(workspace, settings)

    async def close(self) -> None:
        """Close connections."""
        await self._sender.close()

    async def _deliver(self, event: AlertEvent, channel: str) -> None:
        self._waiting += 1
        try:
            async with self._incidents.turn((channel, event.incident)):
                unkept = self._unkept.get((event.key, channel))
                if unkept is not None:
                    await self._keep_for_good(event, unkept)
                elif not await self._outcomes.is_settled(event, channel):
                    await self._persist(event, channel)
        finally:
            self._waiting -= 1

    async def _persist(self, event: AlertEvent, channel: str) -> None:
        """Make attempts until one is the last, whose outcome is kept. Each is made at what the channel is by then."""
        course = _Course(self._clock.now())
        started_s = self._clock.monotonic()
        while True:
            course.channel = await self._channel(event.workspace, channel)
            if course.channel is None:
                return await self._settle(event, channel, course, "gone")
            settings = course.channel.settings
            if not settings.wants(event):
                return None
            if not settings.enabled:
                return await self._settle(event, channel, course, "disabled")
            async with self._slots.turn(channel):
                course.last = last = await self._sender.attempt(event, settings.target)
            course.attempts += 1
            if last.delivered:
                return await self._settle(event, channel, course, "delivered")
            self._tell(event, settings, last)
            if not last.again or self._clock.monotonic() - started_s >= self._give_up_s:
                return await self._settle(event, channel, course, "failed")
            if course.attempts == 1:
                await self._outcomes.keep(event.workspace, self._delivery(event, channel, course, "retrying"))
            await self._sleep(max(last.delay_s, self._retry.delay_s(course.attempts, _chance())))

    async def _channel(self, workspace: str, channel: str) -> Stored[ChannelSettings] | None:
        try:
            channel_id = uuid.UUID(channel)
        except ValueError:
            return None
        return await self._channels.get(workspace, channel_id)

    async def _settle(self, event: AlertEvent, channel: str, course: _Course, outcome: Outcome) -> None:
        delivery = self._delivery(event, channel, course, outcome)
        # If the store is away, this must not be sent again when it is back.
        self._unkept[event.key, channel] = delivery
        self._telemetry.count(metrics.NOTIFICATIONS, (delivery.channel_type, outcome))
        await self._keep_for_good(event, delivery)

    async def _keep_for_good(self, event: AlertEvent, delivery: Delivery) -> None:
        await self._outcomes.keep(event.workspace, delivery)
        del self._unkept[event.key, delivery.channel_id]

    def _delivery(self, event: AlertEvent, channel: str, course: _Course, outcome: Outcome) -> Delivery:
        settings = None if course.channel is None else course.channel.settings
        return Delivery(
            at=self._clock.now(),
            started_at=course.started_at,
            event_key=event.key,
            rule_id=event.rule_id,
            alert_id=event.alert_id,
            what=event.what,
            channel_id=channel,
            channel_name="" if settings is None else settings.name,
            channel_type="" if settings is None else settings.target.type,
            outcome=outcome,
            reason=course.last.reason,
            answer=course.last.answer,
            status=course.last.status,
            attempts=course.attempts,
        )

    def _tell(self, event: AlertEvent, settings: ChannelSettings, attempt: Attempt) -> None:
        self._telemetry.count(metrics.NOTIFICATION_FAILURES, (settings.target.type, attempt.reason))
        self._log.warning(
            "notification_not_delivered",
            attempt.reason,
            channel=settings.name,
            workspace=event.workspace,
            rule=event.rule_name,
            what=event.what,
            answer=attempt.answer,
            again=attempt.again,
        )


class _Turns:
    """Lets so many in at once for each of many things, in the order in which they come; forgets things that nobody waits for."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._gates: dict[object, asyncio.Semaphore] = {}
        self._users: defaultdict[object, int] = defaultdict(int)

    @asynccontextmanager
    async def turn(self, thing: object) -> AsyncIterator[None]:
        gate = self._gates.setdefault(thing, asyncio.Semaphore(self._at_once))
        self._users[thing] += 1
        try:
            async with gate:
                yield
        finally:
            self._users[thing] -= 1
            if not self._users[thing]:
                del self._users[thing], self._gates[thing]


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads attempts, guards nothing
