"""Writes down what measurements make of alerts, and what people are to be told of it.

What is true does not depend on who evaluates: each entry of the log is one collector's, and whoever comes late takes in what was
written and judges its measurements anew (see `log.py`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from collector import metrics
from collector.clock import Clock
from collector.monitor.alerts.book import RuleBook
from collector.monitor.alerts.exemplars import Exemplars, TracesByAlert
from collector.monitor.alerts.log import AlertLog, Happening, alert_id_of
from collector.monitor.alerts.measured import DAY, MINUTE
from collector.monitor.alerts.missed import LATE
from collector.monitor.alerts.muting import Muting
from collector.monitor.alerts.planning import Found, Group, PlannedRule
from collector.monitor.alerts.reporting import Told, event_of_person, event_of_step
from collector.monitor.alerts.standing import Alerts
from collector.monitor.alerts.states import Step, resolve, step
from collector.telemetry import Telemetry

_REMEMBERED: Final = DAY
"""Alerts that ended are looked at for so long, as flapping needs it; nanoseconds."""

Judged = list[tuple[PlannedRule, dict[Group, Found]]]
"""What rules say of their alerts, by the values that tell these apart."""


@dataclass(frozen=True, slots=True)
class _Next:
    """What an evaluation makes of one alert."""

    rule: PlannedRule
    group: Mapping[str, str]
    alert_id: uuid.UUID
    step: Step
    found: Found


class Recorder:
    """Knows how all alerts stand, and writes what comes next into the log.

    Args:
        log: of alerts.
        book: the rules.
        exemplars: finds traces of alerts.
        delay: so long after the end of a minute it is measured, nanoseconds.
        telemetry: where to count.
        clock: the time.
        written: called when people are to be told something.

    Attributes:
        alerts: how they stand, as far as this has read the log.
    """

    def __init__(
        self,
        log: AlertLog,
        book: RuleBook,
        exemplars: Exemplars,
        delay: int,
        telemetry: Telemetry,
        clock: Clock,
        written: Callable[[], None],
    ) -> None:
        self._log = log
        self._book = book
        self._exemplars = exemplars
        self._delay = delay
        self._telemetry = telemetry
        self._clock = clock
        self._written = written
        self._writing = asyncio.Lock()
        self.alerts = Alerts()

    async def load(self) -> None:
        """Read how all alerts stand. Raises as the log."""
        self.alerts = Alerts(*await self._log.latest(self._clock.now() - _REMEMBERED))

    async def follow(self) -> None:
        """Take in what others have written. Raises as the log."""
        self.alerts.apply(await self._log.after(self.alerts.head))

    def forget(self) -> None:
        """Leave out alerts that ended long ago."""
        self.alerts.forget(self._clock.now() - self._delay - _REMEMBERED)

    def expected(self, rule: PlannedRule) -> list[Group]:
        """The alerts of a rule that are open, by the labels that tell them apart."""
        names = rule.settings.alerts_by
        return [tuple(each.group[name] for name in names) for each in self.alerts.open(rule.id) if _is_of(each, rule)]

    async def record(self, judged: Judged, end: int) -> None:
        """Write down what comes of measurements of what ends at a whole minute, nanoseconds since 1970; often that is nothing.

        Raises as the log: nothing of it has happened then, or all.
        """
        muting = self._book.muting(self._clock.now())
        coming = self._next(judged, end, muting)
        head = self.alerts.head
        wanted = [(each.alert_id, each.rule, each.found) for each in coming if each.step.told in ("fired", "repeated")]
        traces = await self._exemplars.find(wanted, end)
        async with self._writing:
            while True:
                if self.alerts.head != head:
                    coming, head = self._next(judged, end, muting), self.alerts.head
                if not coming:
                    return
                at = self._clock.now()
                if await self._append([self._happening(each, end, at, traces) for each in coming]):
                    return

    async def end_those_without_a_rule(self, end: int) -> None:
        """End open alerts whose rule was deleted, is not enabled, or tells alerts apart by something else now.

        Raises as the log.
        """
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

    def _next(self, judged: Judged, end: int, muting: Muting) -> list[_Next]:
        """What comes of measurements, as far as anything does."""
        found = []
        now = self._clock.now()
        is_late = now - self._delay - end > LATE
        for rule, groups in judged:
            names = rule.settings.alerts_by
            for values, each in groups.items():
                group = dict(zip(names, values, strict=True))
                alert_id = alert_id_of(rule.id, group)
                before = self.alerts.state(rule.id, alert_id)
                if before.status not in ("active", "acknowledged") and each.seen != "breach" and before.status != "pending":
                    continue
                if end < before.since <= now + MINUTE:
                    # Somebody has done something since, or this was evaluated by another collector that is no more. What lies
                    # further ahead is from before the clock was set back.
                    continue
                muted = is_late or muting.mutes(rule.workspace, rule.id, {**rule.labels, **group})
                after = step(before, rule.settings.policy, each.seen, end, muted=muted)
                if after.state != before or after.told:
                    found.append(_Next(rule, group, alert_id, after, each))
        return found

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

    def _happening(self, each: _Next, end: int, at: int, traces: TracesByAlert) -> Happening:
        rule, settings, event = each.rule, each.rule.settings, None
        if each.step.told:
            told = Told(each.step.told, at, each.step.state, end, each.found.series, traces.get(each.alert_id, ()))
            event = event_of_step(rule, each.group, told, self.alerts.head + 1)
        return Happening(
            workspace=rule.workspace,
            rule_id=rule.id,
            rule_name=settings.name,
            severity=settings.severity,
            alert_id=each.alert_id,
            group=each.group,
            at=at,
            state=each.step.state,
            event=event,
            channels=tuple(map(str, settings.channels)),
        )


def _is_of(alert: Happening, rule: PlannedRule) -> bool:
    return alert.group.keys() == set(rule.settings.alerts_by)
