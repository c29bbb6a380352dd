"""What people do about alerts: acknowledge them, resolve them, and try out what a rule sends."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from collector.monitor.alerts.log import AlertLog, Happening, alert_id_of
from collector.monitor.alerts.planning import PlannedRule
from collector.monitor.alerts.reporting import Told, event_of_person, event_of_step
from collector.monitor.alerts.states import AlertState, Step
from exporters.clickhouse.client import ClickHouseUnavailable

_MOST_ATTEMPTS: Final = 20


class NotPossible(Exception):
    """An alert does not stand so that this can be done.

    Attributes:
        alert: how it stands.
    """

    def __init__(self, alert: Happening) -> None:
        super().__init__(f"the alert is {alert.state.status}")
        self.alert = alert


async def act(
    log: AlertLog,
    workspace: str,
    alert_id: uuid.UUID,
    action: Callable[[AlertState, int], Step | None],
    by: str,
    note: str,
    now: Callable[[], int],
) -> Happening | None:
    """Do something about an alert, and return what happened; None where the workspace has no such alert.

    Args:
        action: `acknowledge` or `resolve` of `states`.
        by, note: who does it, and what they write.
        now: nanoseconds since 1970.

    Raises:
        NotPossible: the alert is not active.
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    for _ in range(_MOST_ATTEMPTS):
        entry = await log.head() + 1
        last = next(iter(await log.of_alert(workspace, alert_id, 1)), None)
        if last is None:
            return None
        at = now()
        step = action(last.state, at)
        if step is None:
            raise NotPossible(last)
        told = (await log.last_told(workspace, [alert_id])).get(alert_id)
        event = None
        if step.told and told is not None and told.event is not None:
            event = event_of_person(told.event, step.told, at, entry, by, note)
        happening = replace(last, at=at, state=step.state, by=by, event=event)
        if await log.append(entry, [happening]):
            return replace(happening, entry=entry)
    raise ClickHouseUnavailable("others write about alerts all the time", sent=True)


async def test_fire(log: AlertLog, rule: PlannedRule, by: str, now: Callable[[], int]) -> Happening:
    """Let the channels of a rule be told that this is a test, by the same way as anything else, and return what was written.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    settings = rule.settings
    # No group has such a label, so that no alert is touched by it.
    group = {"test": uuid.uuid4().hex}
    alert_id = alert_id_of(rule.id, group)
    channels = tuple(map(str, settings.channels))
    for _ in range(_MOST_ATTEMPTS):
        entry, at = await log.head() + 1, now()
        event = replace(event_of_step(rule, group, Told("test", at, AlertState(started_at=at), at), entry), group={}, by=by)
        happening = Happening(
            workspace=rule.workspace,
            rule_id=rule.id,
            rule_name=settings.name,
            severity=settings.severity,
            alert_id=alert_id,
            group=group,
            at=at,
            state=AlertState(),
            by=by,
            event=event,
            channels=channels,
        )
        if await log.append(entry, [happening]):
            return replace(happening, entry=entry)
    raise ClickHouseUnavailable("others write about alerts all the time", sent=True)
