"""Alert events, one and many."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st

from collector.monitor.alerts.events import SEVERITIES, AlertEvent, Evidence

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
AT = 1_795_000_000_123_456_789


def alert_event(**changes: Any) -> AlertEvent:
    """An alert that fires, or whatever `changes` make of it."""
    values: dict[str, Any] = {
        "key": "rule/alert/1",
        "incident": "rule/alert",
        "workspace": "default",
        "rule_id": uuid.UUID(int=1),
        "rule_name": "Checkout is slow",
        "alert_id": uuid.UUID(int=2),
        "what": "fired",
        "severity": "critical",
        "group": {"service": "checkout"},
        "labels": {"team": "shop"},
        "annotations": {"runbook": "https://wiki.example/checkout"},
        "measure": "p99 of durations",
        "condition": "above 0.5 s",
        "unit": "s",
        "threshold": 0.5,
        "evidence": (Evidence({"service": "checkout"}, 0.81234, 120.0, (TRACE,)), Evidence({"service": "cart"}, None, 0.0)),
        "window_start": AT - 300 * 10**9,
        "window_end": AT,
        "started_at": AT - 120 * 10**9,
        "at": AT,
        **changes,
    }
    return AlertEvent(**values)


_TEXTS = st.text(max_size=20) | st.sampled_from(
    ("", "<!channel> & *x* _y_ `z` |", "a\r\nBcc: b@example.com", "\"'{}=@", "x" * 4000)
)
_LABELS = st.dictionaries(st.text(max_size=8), _TEXTS, max_size=3) | st.just(
    {f"label {number}": "x" * 200 for number in range(40)}
)
_TIMES = st.integers(0, 2**62)

ALERT_EVENTS = st.builds(
    alert_event,
    key=st.from_regex(r"[a-z0-9/.-]{1,100}", fullmatch=True),
    incident=st.text(min_size=1, max_size=20) | st.just("i" * 400),
    rule_name=_TEXTS,
    what=st.sampled_from(("fired", "repeated", "acknowledged", "resolved", "test")),
    severity=st.sampled_from(SEVERITIES),
    group=_LABELS,
    labels=_LABELS,
    annotations=_LABELS,
    measure=_TEXTS,
    condition=_TEXTS,
    unit=st.sampled_from(("s", "1", "1/s")),
    threshold=st.none() | st.floats(allow_nan=False),
    evidence=st.lists(
        st.builds(
            Evidence,
            _LABELS,
            st.none() | st.floats(),
            st.floats(0, 1e18),
            st.lists(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple)
    | st.just((Evidence({"operation": "<" * 2000}, 1.0, 2.0, (TRACE,) * 5),) * 10),
    window_start=_TIMES,
    window_end=_TIMES,
    started_at=_TIMES,
    at=_TIMES,
    by=_TEXTS,
    note=_TEXTS,
    flapping=st.booleans(),
)
"""Events with whatever texts people and services may have put into them."""
