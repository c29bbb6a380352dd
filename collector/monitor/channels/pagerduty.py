"""PagerDuty: events for version 2 of its Events API.

Source: "Send an Event" and "PD-CEF" in PagerDuty's documentation, which give the fields and the limits below.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.request import HttpRequest
from collector.monitor.channels.wording import cut, iso, wording

_MOST_SUMMARY: Final = 1024
_MOST_KEY: Final = 255
_ACTIONS: Final = {"fired": "trigger", "repeated": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}


def pagerduty_requests(event: AlertEvent, routing_key: str, url: str, trace_url: str = "") -> tuple[HttpRequest, ...]:
    """The events to send, in their order: one, or for a test one that opens an incident and one that closes it at once."""
    actions = ("trigger", "resolve") if event.what == "test" else (_ACTIONS[event.what],)
    common = {"routing_key": routing_key, "dedup_key": _dedup_key(event.incident)}
    return tuple(
        HttpRequest(
            url, orjson.dumps({**common, "event_action": action, **(_opened(event, trace_url) if action == "trigger" else {})})
        )
        for action in actions
    )


def _dedup_key(incident: str) -> str:
    return incident if len(incident) <= _MOST_KEY else hashlib.sha256(incident.encode()).hexdigest()


def _opened(event: AlertEvent, trace_url: str) -> dict[str, Any]:
    words = wording(event, trace_url)
    service = event.group.get("service")
    links = [{"href": url, "text": f"Trace {trace_id}"} for line in words.evidence for trace_id, url in line.traces if url]
    return {
        "client": "spanhouse",
        "payload": {
            "summary": cut(f"{words.title}: {words.summary}", _MOST_SUMMARY),
            "timestamp": iso(event.at),
            "severity": event.severity,
            "source": service or f"workspace {event.workspace}",
            **({"component": service} if service else {}),
            "group": event.workspace,
            "class": event.measure,
            "custom_details": {
                **dict(words.facts),
                **dict(words.annotations),
                "Evidence": [
                    f"{line.text} {' '.join(trace_id for trace_id, _ in line.traces)}".strip() for line in words.evidence
                ],
            },
        },
        **({"links": links} if links else {}),
    }
