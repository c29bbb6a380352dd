"""Evaluates alert rules, minute by minute, and writes down what happens to their alerts.

Only whoever holds the lease evaluates, so that queries are made once. What is true does not depend on that: each entry of the log
is one collector's, and whoever comes late takes in what was written and judges its measurements anew (see `log.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from collector import metrics
from collector.clock import Clock
from collector.control.trouble import Trouble
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.exemplars import find_exemplars
from collector.monitor.alerts.log import AlertLog, Happening, alert_id_of
from collector.monitor.alerts.measured import DAY, MINUTE
from collector.monitor.alerts.measuring import Question, TooManyGroups, measure
from collector.monitor.alerts.missed import LATE, missed_since
from collector.monitor.alerts.muting import Muting
from collector.monitor.alerts.planning import Answer, Batch, Found, Group, PlannedRule, judge
from collector.monitor.alerts.reporting import Told, event_of_person, event_of_step
from collector.monitor.alerts.standing import Alerts
from collector.monitor.alerts.states import AlertState, Step, resolve, step
from collector.query.store import SpanStore
from collector.spaced_log import SpacedLog
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import export_error

_log: Final = structlog.get_logger(__name__)

REMEMBERED: Final = DAY
"""Alerts that ended are looked at for so long, as flapping needs it; nanoseconds."""
_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 5.0
"""A missed minute waits for its batches at most so long; those that take longer miss minutes until they are done."""
_QUERIES_AT_ONCE: Final = 4
_RULES_AT_ONCE: Final = 200
"""So many are judged before other tasks have a turn."""
_SERIES_WITH_TRACES: Final = 3
"""Of one alert."""
_MOST_EXEMPLARS: Final = 100
"""Questions for traces that one evaluation asks, however many alerts it makes active."""


@dataclass(frozen=True, slots=True)
class _Next:
    """What an evaluation makes of one alert."""

    rule: PlannedRule
    group: Mapping[str, str]
    before: AlertState
    step: Step
    found: Found


Judged = list[tuple[PlannedRule, dict[Group, Found]]]


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
        self._log = log
        self._book = book
        self._delay = delay
        self._telemetry = telemetry
        self._clock = clock
        self._written = written
        self._trouble = Trouble("alert_rules", lambda reason: telemetry.count(metrics.ALERT_FAILURES, (reason,)))
        self._spaced = SpacedLog(_log, clock.monotonic)
        self._asking = asyncio.Semaphore(_QUERIES_AT_ONCE)
        self._writing = asyncio.Lock()
        before = self._current() - MINUTE
        self._evaluated = self._end = min(evaluated, before) if evaluated else before
        self._received_since = 0
        self._queue: deque[Batch] = deque()
        self._running: set[tuple[str, tuple[str, ...], str | None]] = set()
        self.alerts = Alerts()

    async def run(self) -> None:
        """Evaluate what is due, again and again, until cancelled."""
        await self.load()
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

    async def load(self) -> None:
        """Read how all alerts stand. Raises as the log."""
        self.alerts = Alerts(*await self._log.latest(self._clock.now() - REMEMBERED))

    async def follow(self) -> None:
        """Take in what others have written. Raises as the log."""
        self.alerts.apply(await self._log.after(self.alerts.head))

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
        await self.follow()
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
        """Batches whose time has come, each once a minute at most. Raises as the log."""
        now = self._clock.now() - self._delay
        end = self._current()
        if end > self._end:
            if self._queue:
                self._telemetry.count(metrics.ALERT_EVALUATIONS_MISSED, (), len(self._queue))
            self.alerts.forget(now - REMEMBERED)
            await self.follow()
            await self._end_those_without_a_rule(end)
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
            judged.append((rule, judge(rule, answers, self._expected(rule))))
            if number % _RULES_AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._write(judged, end)
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

    def _expected(self, rule: PlannedRule) -> list[Group]:
        """The alerts of a rule that are open, by the labels that tell them apart."""
        names = rule.settings.alerts_by
        return [tuple(each.group[name] for name in names) for each in self.alerts.open(rule.id) if _is_of(each, rule)]

    def _next(self, judged: Judged, end: int, muting: Muting) -> list[_Next]:
        """What comes of measurements, as far as anything does."""
        found = []
        is_late = self._clock.now() - self._delay - end > LATE
        for rule, groups in judged:
            names = rule.settings.alerts_by
            for values, each in groups.items():
                group = dict(zip(names, values, strict=True))
                before = self.alerts.state(rule.id, alert_id_of(rule.id, group))
                if before.status not in ("active", "acknowledged") and each.seen != "breach" and before.status != "pending":
                    continue
                if before.since > end:
                    # Somebody has done something since, or this was evaluated by another collector that is no more.
                    continue
                muted = is_late or muting.mutes(rule.workspace, rule.id, {**rule.labels, **group})
                after = step(before, rule.settings.policy, each.seen, end, muted=muted)
                if after.state != before or after.told:
                    found.append(_Next(rule, group, before, after, each))
        return found

    async def _write(self, judged: Judged, end: int) -> None:
        muting = self._book.muting(self._clock.now())
        coming = self._next(judged, end, muting)
        head = self.alerts.head
        traces = await self._exemplars(coming, end) if coming else {}
        async with self._writing:
            while True:
                if self.alerts.head != head:
                    coming, head = self._next(judged, end, muting), self.alerts.head
                if not coming:
                    return
                at = self._clock.now()
                if await self._append([self._happening(each, end, at, traces) for each in coming]):
                    return

    async def _append(self, happenings: list[Happening]) -> bool:
        """Write what happens as the next entry; False, and what was written is taken in, where somebody else has."""
        entry = self.alerts.head + 1
        if not await self._log.append(entry, happenings):
            await self.follow()
            return False
        self.alerts.apply(replace(each, entry=entry) for each in happenings)
        for each in happenings:
            if each.event is not None:
                self._telemetry.count(metrics.ALERT_EVENTS, (each.event.what,))
        if any(each.event is not None for each in happenings):
            self._written()
        return True

    def _happening(self, each: _Next, end: int, at: int, traces: Mapping[str, list[tuple[str, ...]]]) -> Happening:
        rule, alert_id = each.rule, alert_id_of(each.rule.id, each.group)
        event = None
        if each.step.told:
            told = Told(each.step.told, at, each.step.state, end, each.found.series, traces.get(str(alert_id), ()))
            event = event_of_step(rule, each.group, told, self.alerts.head + 1)
        channels = tuple(map(str, rule.settings.channels))
        settings = rule.settings
        return Happening(
            rule.workspace,
            rule.id,
            settings.name,
            settings.severity,
            alert_id,
            each.group,
            at,
            each.step.state,
            "",
            event,
            channels,
        )

    async def _exemplars(self, coming: Iterable[_Next], end: int) -> dict[str, list[tuple[str, ...]]]:
        """Traces of alerts that people will be told are active, by the ids of the alerts; of some, where there are many."""
        wanted = [each for each in coming if each.step.told in ("fired", "repeated")]
        found: dict[str, list[tuple[str, ...]]] = {}
        asked = 0
        for each in wanted:
            series = [labels for labels, verdict in each.found.series[:_SERIES_WITH_TRACES] if verdict.seen == "breach"]
            asked += len(series)
            if asked > _MOST_EXEMPLARS:
                break
            start = end - each.rule.settings.readings[0].length
            questions = [self._traces(each.rule, labels, start, end) for labels in series]
            found[str(alert_id_of(each.rule.id, each.group))] = list(await asyncio.gather(*questions))
        return found

    async def _traces(self, rule: PlannedRule, labels: Mapping[str, str], start: int, end: int) -> tuple[str, ...]:
        """Traces that show it; none where they cannot be had in time: people are told all the same."""
        try:
            async with self._asking:
                return await find_exemplars(self._store, rule, labels, start, end)
        except (ClickHouseError, ClickHouseUnavailable) as error:
            reason = export_error(error).reason
            self._telemetry.count(metrics.ALERT_FAILURES, (reason,))
            self._spaced.warning(
                "alert_traces_not_found", reason, workspace=rule.workspace, rule=rule.settings.name, error=str(error)
            )
            return ()

    async def _end_those_without_a_rule(self, end: int) -> None:
        """End open alerts whose rule was deleted, is not enabled, or tells alerts apart by something else now."""
        for each in self.alerts.all_open():
            rule = self._book.rules.get(each.rule_id)
            if rule is not None and _is_of(each, rule):
                continue
            told = (await self._log.last_told(each.workspace, [each.alert_id])).get(each.alert_id)
            async with self._writing:
                while (ended := resolve(self.alerts.state(each.rule_id, each.alert_id), end)) is not None:
                    at, event = self._clock.now(), None
                    if ended.told and told is not None and told.event is not None:
                        entry = self.alerts.head + 1
                        event = event_of_person(told.event, ended.told, at, entry, "", "Its rule was ended, or changed.")
                    await self._append([replace(each, at=at, state=ended.state, by="", event=event)])


def _is_of(alert: Happening, rule: PlannedRule) -> bool:
    return alert.group.keys() == set(rule.settings.alerts_by)
