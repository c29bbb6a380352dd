"""Evaluates alert rules, minute by minute, and those minutes afterwards that nobody has evaluated.

Only whoever holds the lease does so: then queries are made once. What comes of it does not depend on that (see `recording.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from collector import metrics
from collector.clock import Clock
from collector.control.trouble import Trouble
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.exemplars import Exemplars
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.measured import MINUTE
from collector.monitor.alerts.measuring import Question, TooManyGroups, measure
from collector.monitor.alerts.missed import missed_since
from collector.monitor.alerts.planning import Answer, Batch, judge
from collector.monitor.alerts.recording import Judged, Recorder
from collector.query.store import SpanStore
from collector.spaced_log import SpacedLog
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import export_error

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 5.0
"""A missed minute waits for its batches at most so long; those that take longer miss minutes until they are done."""
_QUERIES_AT_ONCE: Final = 4
_RULES_AT_ONCE: Final = 200
"""So many are judged before other tasks have a turn."""


class Evaluator:
    """Evaluates the rules of a book.

    Args:
        store: of spans and rates.
        log: of alerts.
        book: the rules.
        delay: so long after the end of a minute it is measured, since spans take a while to arrive; nanoseconds.
        telemetry: where to count.
        clock: the time.
        written: called when people are to be told something.
        evaluated: the last minute for which somebody else has done all this, nanoseconds since 1970; 0 where nobody ever has.

    Attributes:
        recorder: writes down what comes of it.
    """

    def __init__(
        self,
        store: SpanStore,
        log: AlertLog,
        book: RuleBook,
        delay: int,
        telemetry: Telemetry,
        clock: Clock,
        written: Callable[[], None] = lambda: None,
        evaluated: int = 0,
    ) -> None:
        self._store = store
        self._book = book
        self._delay = delay
        self._telemetry = telemetry
        self._clock = clock
        self._trouble = Trouble("alert_rules", lambda reason: telemetry.count(metrics.ALERT_FAILURES, (reason,)))
        self._spaced = SpacedLog(_log, clock.monotonic)
        self._asking = asyncio.Semaphore(_QUERIES_AT_ONCE)
        exemplars = Exemplars(store, self._asking, telemetry, self._spaced)
        self.recorder = Recorder(log, book, exemplars, delay, telemetry, clock, written)
        before = self._current() - MINUTE
        self._evaluated = self._end = min(evaluated, before) if evaluated else before
        self._received_since = 0
        self._queue: deque[Batch] = deque()
        self._running: set[tuple[str, tuple[str, ...], str | None]] = set()

    async def run(self) -> None:
        """Evaluate what is due, again and again, until cancelled."""
        await self.recorder.load()
        async with asyncio.TaskGroup() as evaluations:
            while True:
                try:
                    await self.catch_up(evaluations)
                    for batch in await self.due():
                        evaluations.create_task(self.evaluate_safely(batch, self._end))
                    self._trouble.over()
                except Exception as error:  # noqa: BLE001 - whatever it is, rules have to be evaluated
                    self._trouble.tell(error)
                await asyncio.sleep(_LOOK_S)

    @property
    def evaluated(self) -> int:
        """The last minute for which all rules were evaluated, nanoseconds since 1970."""
        if not self._queue and not self._running:
            self._evaluated = self._end
        return self._evaluated

    async def catch_up(self, evaluations: asyncio.TaskGroup) -> None:
        """Evaluate the minutes that nobody has evaluated, in order, up to the one before the current.

        Args:
            evaluations: in which those go on that take too long to be waited for.

        Raises as the log.
        """
        if not (missed := missed_since(self._end, self._current())):
            return
        _log.info("alert_minutes_missed", minutes=len(missed), note="they are evaluated now")
        self._received_since = self._clock.now()
        left_out = (missed.start - self._end) // MINUTE - 1
        self._telemetry.count(metrics.ALERT_EVALUATIONS_MISSED, (), left_out * len(self._book.batches))
        await self.recorder.follow()
        await self._evaluate_all(evaluations, self._queue, self._end)
        self._queue.clear()
        while missed:
            for end in missed:
                await self._evaluate_all(evaluations, self._book.batches, end)
                self._end = end
            missed = missed_since(self._end, self._current())

    async def _evaluate_all(self, evaluations: asyncio.TaskGroup, batches: Iterable[Batch], end: int) -> None:
        """Evaluate batches for a minute that was missed, and wait for them; not for long, so that none holds up all others."""
        begun = []
        for batch in batches:
            if batch.key in self._running:
                self._telemetry.count(metrics.ALERT_EVALUATIONS_MISSED, ())
            elif batch.due_late(end):
                begun.append(evaluations.create_task(self.evaluate_safely(batch, end, missed=True)))
        if begun:
            await asyncio.wait(begun, timeout=_PATIENCE_S)

    def _current(self) -> int:
        """The last whole minute that can be measured."""
        return (self._clock.now() - self._delay) // MINUTE * MINUTE

    async def due(self) -> list[Batch]:
        """Batches whose time has come, each once a minute at most, as the clock has it now. Raises as the log."""
        now = self._clock.now() - self._delay
        end = self._current()
        if end < self._end - MINUTE:
            back = (self._end - end) // MINUTE
            _log.warning("alert_clock_set_back", minutes=back, note="rules are evaluated by it from now on")
            self._queue.clear()
            self._received_since = min(self._received_since, self._clock.now())
            self._evaluated = self._end = end - MINUTE
        if end > self._end:
            if self._queue:
                self._telemetry.count(metrics.ALERT_EVALUATIONS_MISSED, (), len(self._queue))
            self.recorder.forget()
            await self.recorder.follow()
            await self.recorder.end_those_without_a_rule(end)
            self._queue = deque(batch for batch in self._book.batches if batch.due(end, self._received_since))
            self._end = end
        begun = []
        while self._queue and self._queue[0].offset <= now - end:
            batch = self._queue.popleft()
            if batch.key in self._running:
                self._telemetry.count(metrics.ALERT_EVALUATIONS_MISSED, ())
            else:
                begun.append(batch)
        return begun

    async def evaluate(self, batch: Batch, end: int, *, missed: bool = False) -> None:
        """Evaluate the rules of a batch that are due for what ends at a whole minute, nanoseconds since 1970.

        Args:
            missed: whether this should have been done before.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; nothing of it has happened then, or all.
        """
        rules = batch.due_late(end) if missed else batch.due(end, self._received_since)
        questions = batch.questions(rules, end)
        answers = dict(zip(questions, await asyncio.gather(*map(self._ask, questions.values())), strict=True))
        judged: Judged = []
        for number, rule in enumerate(rules):
            judged.append((rule, judge(rule, answers, self.recorder.expected(rule))))
            if number % _RULES_AT_ONCE == 0:
                await asyncio.sleep(0)
        await self.recorder.record(judged, end)
        self._telemetry.count(metrics.ALERT_EVALUATIONS, (), len(rules))

    async def evaluate_safely(self, batch: Batch, end: int, *, missed: bool = False) -> None:
        """The same, but what goes wrong is counted and told in the log."""
        self._running.add(batch.key)
        try:
            await self.evaluate(batch, end, missed=missed)
        except Exception as error:  # noqa: BLE001 - one batch must not end the others
            self._tell(batch, error)
        finally:
            self._running.discard(batch.key)
        if missed:
            return
        late_s = (self._clock.now() - end - self._delay) / 1e9
        self._telemetry.histogram(metrics.ALERT_EVALUATION_LAG_SECONDS, ()).observe(late_s)

    def _tell(self, batch: Batch, error: Exception) -> None:
        """That a batch could not be evaluated: its alerts stay as they are."""
        match error:
            case ClickHouseError() | ClickHouseUnavailable():
                reason = export_error(error).reason
            case TooManyGroups():
                reason = "too_many_groups"
            case _:
                self._telemetry.count(metrics.ALERT_FAILURES, ("internal_error",))
                self._spaced.unexpected("alert_rules_not_evaluated", error)
                return
        self._telemetry.count(metrics.ALERT_FAILURES, (reason,))
        about = {"workspace": batch.workspace, "columns": batch.columns, "where": batch.where, "rules": len(batch.rules)}
        self._spaced.warning("alert_rules_not_evaluated", reason, **about, error=str(error))

    async def _ask(self, question: Question) -> Answer:
        async with self._asking:
            return Answer(await measure(self._store, question))
