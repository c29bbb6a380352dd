"""What people read of an event, in whatever form it reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from collector.monitor.alerts.events import AlertEvent, Evidence, Unit, What

HAPPENED: Final[Mapping[What, str]] = {
    "fired": "Firing",
    "repeated": "Still firing",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
    "test": "Test",
}
_MOST_TRACES: Final = 3
_MOST_LABELS: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One group of spans, and what was measured of it.

    Attributes:
        group: which.
        measured: value, and of how many spans.
        traces: ids of some, and where each can be looked at; empty where that is not known.
    """

    group: str
    measured: str
    traces: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.group}: {self.measured}" if self.group else self.measured


@dataclass(frozen=True, slots=True)
class Wording:
    """An event in words.

    Attributes:
        title: one line.
        summary: one sentence.
        facts: names and values.
        annotations: what the rule wants said.
        evidence: what was measured, the worst first.
    """

    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    evidence: tuple[Line, ...]


def wording(event: AlertEvent, trace_url: str = "") -> Wording:
    """An event in words; `trace_url` is as in `config.notifications`."""
    group = _labels(event.group)
    title = f"{HAPPENED[event.what]}: {one_line(event.rule_name)}" + (f" ({group})" if group else "")
    return Wording(
        title,
        _summary(event),
        tuple((name, one_line(value)) for name, value in _facts(event) if value),
        tuple((one_line(name), value) for name, value in event.annotations.items()),
        tuple(_line(each, event, trace_url) for each in event.evidence),
    )


def amount(value: float | None, unit: Unit) -> str:
    """A value with its unit, by four digits."""
    if value is None:
        return "no spans"
    return f"{value:.4g}" + {"s": " s", "1": "", "1/s": "/s"}[unit]


def moment(nanoseconds: int) -> str:
    """A time for people, to the second."""
    return f"{datetime.fromtimestamp(nanoseconds // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(nanoseconds: int) -> str:
    """A time for programs, by RFC 3339, to the millisecond."""
    whole = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 10**6 % 1000:03}Z"


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def _summary(event: AlertEvent) -> str:
    measured = f"{event.measure} {event.condition}"
    worst = event.evidence[0] if event.evidence else None
    found = "" if worst is None else amount(worst.value, event.unit)
    match event.what:
        case "test":
            return "This is a test: nothing is wrong."
        case "resolved":
            return f"It is over: {measured}" + (f", now at {found}" if found else "")
        case "acknowledged":
            return f"{event.by or 'Somebody'} looks after it: {measured}"
    return f"{measured}: {found}" if found else measured


def _facts(event: AlertEvent) -> list[tuple[str, str]]:
    return [
        ("Severity", event.severity),
        ("Workspace", event.workspace),
        ("Since", moment(event.started_at)),
        ("Measured", f"{moment(event.window_start)} to {moment(event.window_end)}"),
        ("Group", _labels(event.group)),
        ("Labels", _labels(event.labels)),
        ("By", event.by),
        ("Note", event.note),
        ("Flapping", "comes and goes, and stays active until it has been quiet for longer" if event.flapping else ""),
    ]


def _labels(labels: Mapping[str, str]) -> str:
    shown = [f"{name}={value}" for name, value in list(labels.items())[:_MOST_LABELS]]
    return one_line(", ".join(shown)) + (", …" if len(labels) > _MOST_LABELS else "")


def _line(evidence: Evidence, event: AlertEvent, trace_url: str) -> Line:
    spans = f" of {evidence.spans:.6g} spans" if evidence.value is not None else ""
    traces = evidence.trace_ids[:_MOST_TRACES]
    urls = (trace_url.replace("{trace_id}", each).replace("{workspace}", event.workspace) for each in traces)
    return Line(_labels(evidence.labels), f"{amount(evidence.value, event.unit)}{spans}", tuple(zip(traces, urls, strict=True)))
