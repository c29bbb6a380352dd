"""Alerting on one collector: it follows the rules, and while it holds the lease it evaluates them and sends what comes of it."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Final, Self

import structlog

from collector import metrics
from collector.clock import Clock
from collector.control.objects import Objects
from collector.control.trouble import Trouble, lacks_tables
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.dispatch import OLDEST, Dispatcher
from collector.monitor.alerts.evaluation import Evaluator
from collector.monitor.alerts.forgetting import Forgetting
from collector.monitor.alerts.lease import Lease
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.notifier import Notifier
from collector.query.store import SpanStore
from collector.telemetry import Telemetry
from exporters.clickhouse.schema import SchemaSettings

_log = structlog.get_logger(__name__)

LOOK_S: Final = 2.0
"""Between two looks at the rules."""
_TURN_S: Final = 0.5
_TIMEOUT_S: Final = 20.0
"""Of one query."""
_LEASE: Final = "alerting"


class Alerting:
    """Watches what alert rules say, in all workspaces, while the context lasts. Whatever breaks in it, nothing else does.

    Args:
        store: of spans and rates.
        schema: where the tables are.
        delay: so long after the end of a minute it is measured, nanoseconds.
        notifier: what sends events.
        telemetry: where to count.
        clock: the time.

    Attributes:
        is_quiet: whether there is nothing to watch.
        looks: how often it has looked whether there is, and who does it.
    """

    def __init__(
        self, store: SpanStore, schema: SchemaSettings, delay: int, notifier: Notifier, telemetry: Telemetry, clock: Clock
    ) -> None:
        client, now = store.client, clock.now
        self._clock = clock
        self._telemetry = telemetry
        self._trouble = Trouble("alert_rules", lambda reason: telemetry.count(metrics.ALERT_FAILURES, (reason,)))
        self._log = AlertLog(client, schema, _TIMEOUT_S)
        self._book = RuleBook(Objects(client, schema.database, _TIMEOUT_S, now))
        self._lease = Lease(client, schema, _LEASE, clock.monotonic, now)
        self._forgetting = Forgetting(self._log, schema.history_ttl_s, telemetry, clock)
        self._notifier = notifier
        self._store = SpanStore(client, store.spans_table, _TIMEOUT_S)
        self._delay = delay
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._evaluator: Evaluator | None = None
        self._dispatcher: Dispatcher | None = None
        self._looked_s = -math.inf
        self.is_quiet = False
        self.looks = 0
        telemetry.read(metrics.ALERTS_ACTIVE, (), lambda: self._evaluator.recorder.alerts.active if self._evaluator else 0)

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run(), name="alerting")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop watching, and let others do it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def is_watching(self) -> bool:
        """Whether it evaluates and sends now."""
        return self._evaluator is not None

    async def _run(self) -> None:
        is_first = True
        try:
            while True:
                try:
                    await self._turn()
                    self._trouble.over()
                except Exception as error:  # noqa: BLE001 - whatever it is, rules have to be watched
                    # At the first start the tables are being made.
                    if not (is_first and lacks_tables(error)):
                        self._trouble.tell(error)
                        is_first = False
                    await asyncio.sleep(LOOK_S)
                await asyncio.sleep(_TURN_S)
        finally:
            await self._stop_working()
            await self._let_go()

    async def _turn(self) -> None:
        """One round of following the rules and the lease."""
        self.looks += 1
        if self._clock.monotonic() - self._looked_s >= LOOK_S:
            await self._book.look()
            self.is_quiet = await self._nothing_to_do()
            self._looked_s = self._clock.monotonic()
        if self.is_quiet:
            await self._stop_working()
            await self._lease.release()
        elif self._work is None and self._lease.is_due and await self._lease.claim():
            self._work = asyncio.create_task(self._watch(), name="alerts")
        if self._work is not None and self._work.done():
            work, self._work = self._work, None
            work.result()

    async def _nothing_to_do(self) -> bool:
        """Whether there is no rule, no alert that one has left behind, and nothing to be sent."""
        if self._book.has_rules or self.is_quiet:
            return not self._book.has_rules
        if self._evaluator is None or self._dispatcher is None:
            now = self._clock.now()
            head, happenings = await self._log.latest(now)
            return not happenings and not await self._log.to_send(0, head, now - OLDEST)
        return not self._evaluator.recorder.alerts.all_open() and self._dispatcher.is_idle

    async def _watch(self) -> None:
        """Evaluate and send, until the lease is lost or this is cancelled."""
        dispatcher = Dispatcher(self._log, self._notifier, self._telemetry, self._clock)
        evaluator = Evaluator(
            self._store,
            self._log,
            self._book,
            self._delay,
            self._telemetry,
            self._clock,
            dispatcher.wake,
            self._lease.progress,
        )
        self._evaluator, self._dispatcher = evaluator, dispatcher
        _log.info("alerts_watched", rules=len(self._book.rules))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.run()) for each in (evaluator, dispatcher, self._forgetting)]
                await self._keep(evaluator)
                for task in tasks:
                    task.cancel()
        finally:
            self._evaluator = self._dispatcher = None

    async def _keep(self, evaluator: Evaluator) -> None:
        """Renew the lease until it is lost; whatever else takes long does not hold this up."""
        while self._lease.is_held:
            self._lease.progress = evaluator.evaluated
            try:
                if self._lease.is_due:
                    await self._lease.claim()
            except Exception as error:  # noqa: BLE001 - it is tried again as long as the lease is valid
                self._trouble.tell(error)
            await asyncio.sleep(_TURN_S)

    async def _stop_working(self) -> None:
        if self._work is not None:
            work, self._work = self._work, None
            work.cancel()
            await asyncio.wait([work])

    async def _let_go(self) -> None:
        """Let others have the lease at once, if the store can be told."""
        try:
            await self._lease.release()
        except Exception as error:  # noqa: BLE001 - it runs out by itself
            self._trouble.tell(error)
