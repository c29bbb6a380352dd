"""An event with which people try out a channel."""

from __future__ import annotations

import uuid

from collector.monitor.alerts.events import AlertEvent

_MINUTE_NS = 60 * 10**9


def trial(workspace: str, channel: str, at: int) -> AlertEvent:
    """A `test` event, unlike any other.

    Args:
        channel: name of the channel.
        at: nanoseconds since 1970.
    """
    chance = uuid.uuid4()
    return AlertEvent(
        key=f"test-{chance}",
        incident=f"test-{chance}",
        workspace=workspace,
        rule_id=chance,
        rule_name=f"the channel {channel}",
        alert_id=chance,
        what="test",
        severity="info",
        group={},
        labels={},
        annotations={},
        measure="test of a channel",
        condition="at any time",
        unit="1",
        threshold=None,
        evidence=(),
        window_start=at - _MINUTE_NS,
        window_end=at,
        started_at=at,
        at=at,
    )
