"""What people are told of a step of an alert."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from collector.monitor.alerts.events import AlertEvent, Evidence, What
from collector.monitor.alerts.log import alert_id_of
from collector.monitor.alerts.measured import Verdict
from collector.monitor.alerts.planning import PlannedRule
from collector.monitor.alerts.states import AlertState

MOST_EVIDENCE: Final = 10
Series = tuple[tuple[Mapping[str, str], Verdict], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, for people.

    Attributes:
        what: happened.
        at: nanoseconds since 1970.
        state: in which the alert is after it.
        series: what was measured, the worst first.
        trace_ids: of as many of them, from the first, as have any.
        window_end: the end of what was measured, nanoseconds since 1970.
    """

    what: What
    at: int
    state: AlertState
    window_end: int
    series: Series = ()
    trace_ids: Sequence[tuple[str, ...]] = ()


def event_of_step(rule: PlannedRule, group: Mapping[str, str], told: Told, entry: int) -> AlertEvent:
    """The event that an entry of the log tells of one alert."""
    settings = rule.settings
    alert_id = alert_id_of(rule.id, group)
    measure, condition = settings.condition.words
    traces = [*told.trace_ids, *[()] * MOST_EVIDENCE]
    evidence = tuple(
        Evidence(labels, verdict.value, verdict.spans, ids)
        for (labels, verdict), ids in zip(told.series[:MOST_EVIDENCE], traces, strict=False)
    )
    return AlertEvent(
        key=event_key(entry, alert_id),
        incident=f"{alert_id}-{told.state.started_at}",
        workspace=rule.workspace,
        rule_id=rule.id,
        rule_name=settings.name,
        alert_id=alert_id,
        what=told.what,
        severity=settings.severity,
        group=group,
        labels=settings.labels,
        annotations=settings.annotations,
        measure=measure,
        condition=condition,
        unit=settings.condition.unit,
        threshold=settings.condition.threshold,
        evidence=evidence,
        window_start=told.window_end - settings.readings[0].length,
        window_end=told.window_end,
        started_at=told.state.started_at,
        at=told.at,
        flapping=told.state.flapping,
    )


def event_of_person(told: AlertEvent, what: What, at: int, entry: int, by: str, note: str) -> AlertEvent:
    """The event that an entry tells of what somebody did about an alert of which people were told before.

    Args:
        told: what they were told last.
        at: nanoseconds since 1970.
        by, note: who it was, and what they wrote.
    """
    return replace(told, key=event_key(entry, told.alert_id), what=what, at=at, by=by, note=note)


def event_key(entry: int, alert_id: uuid.UUID) -> str:
    """The idempotency key of what an entry of the log tells of an alert."""
    return f"{entry}-{alert_id}"
