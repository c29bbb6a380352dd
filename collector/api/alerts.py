"""/api/v1/workspaces/{workspace}/alerts: how alerts stand, what happened to them, and what people do about them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, get_args

from aiohttp import web
from pydantic import Field

from collector.api import params, schemas
from collector.api.alert_rules import ALERT_LOG, LABELS, STATUS
from collector.api.bodies import read_object, validated
from collector.api.cursors import cursor, next_cursor, whole
from collector.api.params import Parameter
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, NOW, Route
from collector.api.versioned import answer_json, path_id
from collector.control.objects import ObjectModel
from collector.monitor.alerts.actions import NotPossible, act
from collector.monitor.alerts.events import AlertEvent
from collector.monitor.alerts.log import Happening
from collector.monitor.alerts.states import AlertState, Status, Step, acknowledge, resolve

_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_SHOWN: Final[tuple[Status, ...]] = ("active", "acknowledged")
_FIRST: Final = (1 << 62, "")
LIMIT: Final = params.limit(100, 1000, "alerts")


def _place(entry: Any, alert: Any) -> tuple[int, str]:
    return whole(entry), str(uuid.UUID(alert))


def _statuses(text: str) -> tuple[Status, ...]:
    wanted = [status for status in _STATUSES if status in text.split(",")]
    if len(wanted) != len(text.split(",")):
        raise ValueError(f"must be one or more of {', '.join(_STATUSES)}, with commas between them")
    return tuple(wanted)


CURSOR: Final = cursor(_place)
STATUSES: Final[Parameter[tuple[Status, ...]]] = Parameter(
    "status",
    "Only alerts that stand so: one or more of `pending`, `active`, `acknowledged`, `resolved` and `inactive`, with commas"
    " between them. Default: `active,acknowledged`.",
    {"type": "string"},
    _statuses,
    _SHOWN,
    example="pending,active",
)
RULE: Final = params.optional_id("rule", "Only alerts of the rule of this id.")


class _Remark(ObjectModel):
    note: Annotated[str, Field(max_length=1000)] = ""


def alert_as_json(alert: Happening, told: AlertEvent | None) -> dict[str, Any]:
    """An alert as the API shows it, with what people were told of it last."""
    return {
        "id": str(alert.alert_id),
        "workspace": alert.workspace,
        "ruleId": str(alert.rule_id),
        "ruleName": alert.rule_name,
        "severity": alert.severity,
        "group": alert.group,
        "status": alert.state.status,
        "sinceUnixNano": str(alert.state.since),
        "startedAtUnixNano": str(alert.state.started_at),
        "flapping": alert.state.flapping,
        "entry": alert.entry,
        "atUnixNano": str(alert.at),
        "by": alert.by,
        "lastEvent": None if told is None else told.as_json(),
    }


async def list_alerts(request: web.Request) -> web.Response:
    """Alerts by their last change, the latest first."""
    query = request.query
    limit = LIMIT.read(query)
    log, workspace = request.app[ALERT_LOG], request[CALLER].workspace
    found = await log.page(
        workspace,
        limit + 1,
        statuses=STATUSES.read(query),
        before=CURSOR.read(query) or _FIRST,
        rule_id=RULE.read(query),
    )
    told = await log.last_told(workspace, [alert.alert_id for alert in found[:limit]]) if found else {}
    shown = [alert_as_json(alert, told[alert.alert_id].event if alert.alert_id in told else None) for alert in found[:limit]]
    return answer_json({"alerts": shown, "nextCursor": _cursor(found, limit)})


async def list_alert_history(request: web.Request) -> web.Response:
    """What happened to the alerts of a workspace in a time range, the latest first."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    found = await request.app[ALERT_LOG].happened(
        request[CALLER].workspace, start, end, limit + 1, before=CURSOR.read(query) or _FIRST, rule_id=RULE.read(query)
    )
    return _history(found, limit)


async def get_alert(request: web.Request) -> web.Response:
    """An alert."""
    alert = next(iter(await _happened(request, 1)))
    return await _answer(request, alert)


async def get_alert_history(request: web.Request) -> web.Response:
    """What happened to an alert, the latest first."""
    limit, before = LIMIT.read(request.query), CURSOR.read(request.query) or _FIRST
    return _history(await _happened(request, limit + 1, before[0]), limit)


async def acknowledge_alert(request: web.Request) -> web.Response:
    """Say that somebody looks after an alert."""
    return await _act(request, acknowledge)


async def resolve_alert(request: web.Request) -> web.Response:
    """Say that an alert is over."""
    return await _act(request, resolve)


async def _act(request: web.Request, action: Callable[[AlertState, int], Step | None]) -> web.Response:
    remark = validated(_Remark, await read_object(request) if request.body_exists else {})
    caller, log = request[CALLER], request.app[ALERT_LOG]
    alert_id = path_id(request, "alert_id")
    try:
        happened = await act(log, caller.workspace, alert_id, action, caller.principal.name, remark.note, request.app[NOW])
    except NotPossible as error:
        current = alert_as_json(error.alert, error.alert.event)
        raise Problem(409, "Conflict", f"The alert is {error.alert.state.status}.", current=current) from None
    if happened is None:
        raise _unknown()
    return await _answer(request, happened)


async def _happened(request: web.Request, limit: int, before: int = 1 << 62) -> list[Happening]:
    found = await request.app[ALERT_LOG].of_alert(request[CALLER].workspace, path_id(request, "alert_id"), limit, before)
    if not found and before == 1 << 62:
        raise _unknown()
    return found


async def _answer(request: web.Request, alert: Happening) -> web.Response:
    told = await request.app[ALERT_LOG].last_told(alert.workspace, [alert.alert_id])
    last = told.get(alert.alert_id)
    return answer_json(alert_as_json(alert, None if last is None else last.event))


def _history(found: Sequence[Happening], limit: int) -> web.Response:
    shown = [{**alert_as_json(each, each.event), "channels": list(each.channels)} for each in found[:limit]]
    for each in shown:
        each["event"] = each.pop("lastEvent")
    return answer_json({"happenings": shown, "nextCursor": _cursor(found, limit)})


def _cursor(found: Sequence[Happening], limit: int) -> str | None:
    return next_cursor(found, limit, lambda last: (last.entry, last.alert_id))


def _unknown() -> Problem:
    return Problem(404, "Not found", _UNKNOWN)


_UNKNOWN: Final = "The workspace has no such alert."
_ALL: Final = "/api/v1/workspaces/{workspace}/alerts"
_ONE: Final = f"{_ALL}/{{alert_id}}"
_ALERT: Final = {JSON: schemas.reference("Alert")}
_HISTORY: Final = {JSON: schemas.reference("AlertHistory")}

ROUTES: Final = (
    Route(
        _ALL,
        list_alerts,
        "Alerts, those that changed last first",
        {JSON: schemas.reference("Alerts")},
        (STATUSES, RULE, LIMIT, CURSOR),
    ),
    Route(
        "/api/v1/workspaces/{workspace}/alert-history",
        list_alert_history,
        "What happened to alerts, the latest first",
        _HISTORY,
        (params.START, params.END, RULE, LIMIT, CURSOR),
    ),
    Route(_ONE, get_alert, "An alert", _ALERT, unknown=_UNKNOWN),
    Route(
        f"{_ONE}/history",
        get_alert_history,
        "What happened to an alert, the latest first",
        _HISTORY,
        (LIMIT, CURSOR),
        unknown=_UNKNOWN,
    ),
    *(
        Route(
            f"{_ONE}/{action}",
            handler,
            summary,
            _ALERT,
            method="POST",
            body=schemas.reference("AlertRemark"),
            unknown=_UNKNOWN,
            conflict="The alert does not stand so that this can be done.",
            role="admin",
        )
        for action, handler, summary in (
            ("acknowledge", acknowledge_alert, "Say that somebody looks after an alert"),
            ("resolve", resolve_alert, "Say that an alert is over; it fires again if its condition is still met"),
        )
    ),
)
_ALERT_MEMBERS: Final[dict[str, schemas.Schema]] = {
    "id": schemas.TEXT,
    "workspace": schemas.TEXT,
    "ruleId": schemas.TEXT,
    "ruleName": schemas.TEXT,
    "severity": schemas.TEXT,
    "group": LABELS,
    "status": STATUS,
    "sinceUnixNano": schemas.NANOSECONDS,
    "startedAtUnixNano": schemas.NANOSECONDS,
    "flapping": schemas.FLAG,
    "entry": {**schemas.COUNT, "description": "Place of its last change among those of all alerts."},
    "atUnixNano": schemas.NANOSECONDS,
    "by": {**schemas.TEXT, "description": "Who made that change; empty where it came about by itself."},
}
_TOLD: Final[schemas.Schema] = {"oneOf": [schemas.reference("AlertEvent"), {"type": "null"}]}
COMPONENTS: Final[dict[str, schemas.Schema]] = {
    "Alert": schemas.record(**_ALERT_MEMBERS, lastEvent=_TOLD),
    "Alerts": schemas.record(alerts=schemas.listing(schemas.reference("Alert")), nextCursor=schemas.NEXT_CURSOR),
    "AlertHistory": schemas.record(
        happenings=schemas.listing(schemas.record(**_ALERT_MEMBERS, event=_TOLD, channels=schemas.listing(schemas.TEXT))),
        nextCursor=schemas.NEXT_CURSOR,
    ),
    "AlertRemark": _Remark.model_json_schema(),
}
