"""What is told of alerts: one event for each thing that people should hear of, written down before it is sent anywhere.

Times are nanoseconds since 1970.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

Severity = Literal["critical", "error", "warning", "info"]
"""How bad it is, by PagerDuty's words, from the worst."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

What = Literal["fired", "repeated", "acknowledged", "resolved", "test"]
"""What happened: an alert became active, or still is after the repeat interval; somebody looks after it; it is over; or somebody
wants to see what arrives, and nothing is wrong."""

Unit = Literal["s", "1", "1/s"]
"""Of values: seconds; shares, ratios and multiples; spans a second."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of one service, operation or other group of spans.

    Attributes:
        labels: which group: `service`, `operation`, `kind` or the key of an attribute → its value. Empty where a rule measures
            all spans of its scope together.
        value: what was measured, in the event's unit; None where there were no spans, or none to compare with.
        spans: how many there were, each as many times as the spans that it stands for.
        trace_ids: of some spans that show it, lower-case hex of 32 digits, the most telling one first.
    """

    labels: Mapping[str, str]
    value: float | None
    spans: float
    trace_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One notification.

    Attributes:
        key: the idempotency key: the same however often this event is sent, and no other event's.
        incident: the same from `fired` to `resolved` of one alert, and another one when it fires again: what services that keep
            incidents, as PagerDuty does by `dedup_key`, are to gather events by.
        workspace: whose it is.
        rule_id, rule_name: the rule that made it.
        alert_id: the alert, which may fire again and again.
        what: happened.
        severity: of the rule.
        group: the labels by which the rule tells its alerts apart; empty where it has one alert only.
        labels, annotations: texts of the rule.
        measure: what is measured, in words: `p99 of durations`, `error rate`.
        condition: when the rule fires, in words: `above 0.5 s`.
        unit: of `threshold` and of values.
        threshold: at which the rule fires; None for the absence of spans.
        evidence: what was measured, the worst first, ten at most. Where a person acknowledged or resolved it, and where its rule
            is no more, that of the event before.
        window_start, window_end: the time range that was measured.
        started_at: when the condition was first met.
        at: when this happened.
        by: who acknowledged or resolved it; empty where it came about by itself.
        note: what that person wrote.
        flapping: whether the alert comes and goes, so that it is held active until it has been quiet for longer.
    """

    key: str
    incident: str
    workspace: str
    rule_id: uuid.UUID
    rule_name: str
    alert_id: uuid.UUID
    what: What
    severity: Severity
    group: Mapping[str, str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    measure: str
    condition: str
    unit: Unit
    threshold: float | None
    evidence: tuple[Evidence, ...]
    window_start: int
    window_end: int
    started_at: int
    at: int
    by: str = ""
    note: str = ""
    flapping: bool = field(default=False, kw_only=True)

    def as_json(self) -> dict[str, Any]:
        """The event as people's programs see it: in the API, and in webhooks."""
        return {
            "key": self.key,
            "incident": self.incident,
            "workspace": self.workspace,
            "ruleId": str(self.rule_id),
            "ruleName": self.rule_name,
            "alertId": str(self.alert_id),
            "what": self.what,
            "severity": self.severity,
            "group": self.group,
            "labels": self.labels,
            "annotations": self.annotations,
            "measure": self.measure,
            "condition": self.condition,
            "unit": self.unit,
            "threshold": self.threshold,
            "evidence": [
                {"labels": each.labels, "value": each.value, "spans": each.spans, "traceIds": each.trace_ids}
                for each in self.evidence
            ],
            "windowStartUnixNano": str(self.window_start),
            "windowEndUnixNano": str(self.window_end),
            "startedAtUnixNano": str(self.started_at),
            "atUnixNano": str(self.at),
            "by": self.by,
            "note": self.note,
            "flapping": self.flapping,
        }


def event_of(document: Mapping[str, Any]) -> AlertEvent:
    """An event as it was written down by `orjson.dumps(event)`.

    Raises:
        KeyError, TypeError, ValueError: it is no event.
    """
    evidence = tuple(Evidence(**{**each, "trace_ids": tuple(each["trace_ids"])}) for each in document["evidence"])
    ids = {name: uuid.UUID(document[name]) for name in ("rule_id", "alert_id")}
    return AlertEvent(**{**document, **ids, "evidence": evidence})
