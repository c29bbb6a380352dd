"""Alertmanager: alerts for version 2 of its API, `POST /api/v2/alerts`.

Source: `api/v2/openapi.yaml` of Alertmanager (`postableAlerts`), and its documentation: alerts are told apart by their labels, an
empty label is none, and one whose `endsAt` is over is resolved.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from collector.monitor.alerts.events import AlertEvent
from collector.monitor.channels.request import HttpRequest
from collector.monitor.channels.wording import iso, wording

_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)
_TEST_LASTS_NS: Final = 300 * 10**9


def alertmanager_request(
    event: AlertEvent, url: str, resolve_after_s: int, authorization: str = "", trace_url: str = ""
) -> HttpRequest:
    """The alert as it is after an event.

    Args:
        url: of the Alertmanager.
        resolve_after_s: as of the channel.
        authorization: value of the header; empty for none.
    """
    words = wording(event, trace_url)
    lasts = {"resolved": 0, "test": _TEST_LASTS_NS}.get(event.what, resolve_after_s * 10**9)
    alert = {
        "labels": _labels(event),
        "annotations": {
            **dict(words.annotations),
            "summary": event.annotations.get("summary") or words.summary,
            "incident": event.incident,
            "evidence": "\n".join(line.text for line in words.evidence),
            "traces": " ".join(url or trace_id for line in words.evidence for trace_id, url in line.traces),
        },
        "startsAt": iso(event.started_at),
        "endsAt": iso(event.at + lasts),
    }
    headers = {"Authorization": authorization} if authorization else {}
    return HttpRequest(f"{url.rstrip('/')}/api/v2/alerts", orjson.dumps([alert]), headers)


def _labels(event: AlertEvent) -> dict[str, str]:
    """What tells the alert from others: the same from its beginning to its end, as long as nobody changes the rule's labels."""
    ours = {"alertname": event.rule_name, "workspace": event.workspace, "severity": event.severity}
    return {_name(name): value for name, value in {**event.labels, **event.group, **ours}.items() if value}


def _name(text: str) -> str:
    """A name that every Alertmanager takes: `http.route` becomes `http_route`."""
    name = _NO_LABEL.sub("_", text)
    return f"_{name}" if not name or name[0].isdigit() else name
