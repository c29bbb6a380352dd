"""/api/v1/workspaces/{workspace}/alert-rules, silences and maintenance-windows: what people want to be told of, and when not."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.bodies import invalid_body, read_object, validated
from collector.api.objects import ID, ObjectApi
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, NOW, OBJECTS, STORE, Route
from collector.api.versioned import answer_json
from collector.control.objects import Kind
from collector.control.versions import Stored
from collector.monitor.alerts import muting, rules
from collector.monitor.alerts.actions import test_fire
from collector.monitor.alerts.dry_run import Moment, dry_run, evaluation_times
from collector.monitor.alerts.log import AlertLog
from collector.monitor.alerts.measuring import TooManyGroups
from collector.monitor.alerts.muting import MaintenanceWindow, Silence
from collector.monitor.alerts.planning import PlannedRule
from collector.monitor.alerts.rules import AlertRule
from collector.monitor.channels.settings import CHANNELS

ALERT_LOG: Final = web.AppKey("alert_log", AlertLog)


async def _check_channels(request: web.Request, rule: AlertRule) -> None:
    await _check_there(request, "channels", CHANNELS, rule.channels, "channel")


async def _check_rules(request: web.Request, muted: Silence | MaintenanceWindow) -> None:
    await _check_there(request, "rules", rules.ALERT_RULES, muted.rules, "alert rule")


async def _check_there(request: web.Request, field: str, kind: Kind[Any], ids: Iterable[uuid.UUID], noun: str) -> None:
    """Every object that a field names must be there. Raises Problem."""
    known, workspace = request.app[OBJECTS].of(kind), request[CALLER].workspace
    missing = [
        {"field": f"{field}[{place}]", "value": str(each), "detail": f"the workspace has no such {noun}"}
        for place, each in enumerate(ids)
        if await known.get(workspace, each) is None
    ]
    if missing:
        raise invalid_body(missing)


RULES: Final = ObjectApi(rules.ALERT_RULES, "alert-rules", "AlertRule", "alert rule", check=_check_channels)
SILENCES: Final = ObjectApi(muting.SILENCES, "silences", "Silence", "silence", check=_check_rules)
WINDOWS: Final = ObjectApi(
    muting.MAINTENANCE_WINDOWS, "maintenance-windows", "MaintenanceWindow", "maintenance window", check=_check_rules
)


async def test_alert_rule(request: web.Request) -> web.Response:
    """Let the channels of a rule be told that this is a test."""
    stored = await RULES.named(request)
    caller = request[CALLER]
    fired = await test_fire(request.app[ALERT_LOG], PlannedRule.of(stored), caller.principal.name, request.app[NOW])
    assert fired.event is not None  # noqa: S101 - that is what it is for
    return answer_json({"event": fired.event.as_json(), "channels": list(fired.channels)}, 202)


async def try_alert_rule(request: web.Request) -> web.Response:
    """What a rule would have told of a time range, had there been no silence."""
    start, end = params.time_range(request.query, request.app[NOW]())
    rule = validated(AlertRule, await read_object(request))
    # As one that nobody has, so that its alerts are nobody's either.
    stored = Stored.first(uuid.uuid4(), request[CALLER].workspace, rule, "", 0)
    planned = PlannedRule.of(stored)
    try:
        times = evaluation_times(planned, start, end)
    except ValueError as error:
        raise BadParameter("start", request.query.get("start", ""), str(error)) from None
    try:
        outcome = await dry_run(request.app[STORE], planned, times)
    except TooManyGroups as error:
        raise Problem(422, "Too much to measure", f"The {error}.") from None
    document = {"evaluations": len(times), "withSpans": outcome.with_spans}
    return answer_json({**document, "moments": [_moment(each) for each in outcome.moments]})


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "atUnixNano": str(moment.at),
        "group": moment.group,
        "status": moment.status,
        "told": moment.told,
        "value": moment.value,
        "labels": moment.labels,
    }


_ALL: Final = "/api/v1/workspaces/{workspace}/alert-rules"

ROUTES: Final = (
    *RULES.routes(),
    Route(
        f"{_ALL}/dry-run",
        try_alert_rule,
        "When a rule would have told people of what, over the past",
        {JSON: schemas.reference("AlertRuleDryRun")},
        (params.START, params.END),
        method="POST",
        body=schemas.reference("AlertRuleSettings"),
    ),
    Route(
        f"{_ALL}/{{{ID}}}/test",
        test_alert_rule,
        "Let the channels of a rule be told that this is a test",
        {JSON: schemas.reference("AlertTest")},
        method="POST",
        status=202,
        role="admin",
        unknown="The workspace has no such alert rule.",
    ),
    *SILENCES.routes(),
    *WINDOWS.routes(),
)
LABELS: Final[schemas.Schema] = {"type": "object", "additionalProperties": schemas.TEXT}
_NUMBER_OR_NULL: Final[schemas.Schema] = {"type": ["number", "null"]}
STATUS: Final[schemas.Schema] = {"type": "string", "enum": ["inactive", "pending", "active", "acknowledged", "resolved"]}
WHAT: Final[schemas.Schema] = {"type": "string", "enum": ["fired", "repeated", "acknowledged", "resolved", "test"]}
_EVENT: Final[dict[str, schemas.Schema]] = {
    "key": {**schemas.TEXT, "description": "The same however often this event is sent."},
    "incident": {**schemas.TEXT, "description": "The same from `fired` to `resolved` of one alert."},
    "workspace": schemas.TEXT,
    "ruleId": schemas.TEXT,
    "ruleName": schemas.TEXT,
    "alertId": schemas.TEXT,
    "what": WHAT,
    "severity": schemas.TEXT,
    "group": LABELS,
    "labels": LABELS,
    "annotations": LABELS,
    "measure": schemas.TEXT,
    "condition": schemas.TEXT,
    "unit": {"type": "string", "enum": ["s", "1", "1/s"]},
    "threshold": _NUMBER_OR_NULL,
    "evidence": schemas.listing(
        schemas.record(labels=LABELS, value=_NUMBER_OR_NULL, spans={"type": "number"}, traceIds=schemas.listing(schemas.TEXT))
    ),
    "windowStartUnixNano": schemas.NANOSECONDS,
    "windowEndUnixNano": schemas.NANOSECONDS,
    "startedAtUnixNano": schemas.NANOSECONDS,
    "atUnixNano": schemas.NANOSECONDS,
    "by": schemas.TEXT,
    "note": schemas.TEXT,
    "flapping": schemas.FLAG,
}
COMPONENTS: Final[dict[str, schemas.Schema]] = {
    **RULES.components(),
    **SILENCES.components(),
    **WINDOWS.components(),
    "AlertEvent": schemas.record(**_EVENT),
    "AlertTest": schemas.record(event=schemas.reference("AlertEvent"), channels=schemas.listing(schemas.TEXT)),
    "AlertRuleDryRun": schemas.record(
        evaluations=schemas.COUNT,
        withSpans={**schemas.COUNT, "description": "Evaluations that found any spans: none where a name is misspelt."},
        moments=schemas.listing(
            schemas.record(
                atUnixNano=schemas.NANOSECONDS,
                group=LABELS,
                status=STATUS,
                told={**WHAT, "type": ["string", "null"], "enum": [*WHAT["enum"], None]},
                value=_NUMBER_OR_NULL,
                labels=LABELS,
            )
        ),
    ),
}
