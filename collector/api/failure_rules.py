"""/api/v1/workspaces/{workspace}/failure-rules and failure-injection: what fails on purpose, and the switch that ends it all."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api import schemas
from collector.api.bodies import invalid_body, read_object, validated
from collector.api.objects import ObjectApi
from collector.api.params import Parameter
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, NOW, OBJECTS, Route
from collector.api.versioned import answer_json
from collector.control.versions import Conflict
from collector.monitor.failures.injecting import concerns
from collector.monitor.failures.rules import (
    FAILURE_RULES,
    FAILURE_SWITCHES,
    SWITCH_ID,
    FailureRule,
    FailureSwitch,
)

SERVICE: Final[Parameter[str]] = Parameter(
    "service", "The name of the service that asks.", {"type": "string"}, str, "", required=True, example="cart"
)
_TIMES: Final = 5
"""The switch is thrown so often, when others throw it at the same time."""


async def _check(request: web.Request, rule: FailureRule) -> None:
    if rule.too_long(_now(request)):
        detail = "must be at most 31 days after the start: what fails on purpose has to end by itself"
        raise invalid_body([{"field": "endsAt", "value": rule.ends_at.isoformat(), "detail": detail}])


RULES: Final = ObjectApi(FAILURE_RULES, "failure-rules", "FailureRule", "failure rule", check=_check)


async def list_failures_of_service(request: web.Request) -> web.Response:
    """The rules that a service has to follow at the moment; the answer has an ETag, so that asking again costs little."""
    service = SERVICE.read(request.query)
    now = _now(request)
    objects, workspace = request.app[OBJECTS], request[CALLER].workspace
    everything = await objects.of(FAILURE_RULES).all(workspace) if await is_on(request) else []
    rules = [each for each in everything if each.settings.holds(now) and concerns(each.settings, service)]
    rules.sort(key=lambda each: (each.created_at, each.id))
    body = orjson.dumps({"rules": [each.as_json() for each in rules]})
    tag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    return web.Response(body=body, content_type=JSON, headers={"ETag": tag})


async def get_failure_injection(request: web.Request) -> web.Response:
    """Whether anything fails on purpose."""
    return answer_json({"enabled": await is_on(request)})


async def set_failure_injection(request: web.Request) -> web.Response:
    """Let failures happen, or end all of them at once."""
    wanted = validated(FailureSwitch, await read_object(request))
    store, caller = request.app[OBJECTS].of(FAILURE_SWITCHES), request[CALLER]
    for _ in range(_TIMES):
        seen = await store.get(caller.workspace, SWITCH_ID)
        try:
            if seen is None:
                await store.create(caller.workspace, wanted, caller.principal.name, SWITCH_ID)
            elif seen.settings != wanted:
                await store.change(seen, wanted, caller.principal.name)
        except Conflict:
            continue
        return answer_json({"enabled": wanted.enabled})
    raise Problem(409, "Conflict", "Others throw the switch all the time; ask again.")


async def is_on(request: web.Request) -> bool:
    """Whether rules count in the caller's workspace: they do until somebody says otherwise."""
    switch = await request.app[OBJECTS].of(FAILURE_SWITCHES).get(request[CALLER].workspace, SWITCH_ID)
    return switch is None or switch.settings.enabled


def _now(request: web.Request) -> datetime:
    return datetime.fromtimestamp(request.app[NOW]() / 10**9, UTC)


_SWITCH: Final = "/api/v1/workspaces/{workspace}/failure-injection"
_SWITCHED: Final = {JSON: schemas.reference("FailureSwitch")}

ROUTES: Final = (
    # Before the path that has an id in its place.
    Route(
        "/api/v1/workspaces/{workspace}/failure-rules/of-service",
        list_failures_of_service,
        "The failures that a service has to bring about now; ask again every few seconds",
        {JSON: schemas.reference("FailuresOfService")},
        (SERVICE,),
    ),
    *RULES.routes(),
    Route(_SWITCH, get_failure_injection, "Whether anything fails on purpose in a workspace", _SWITCHED),
    Route(
        _SWITCH,
        set_failure_injection,
        "End all that fails on purpose, or let it happen again",
        _SWITCHED,
        method="PUT",
        body=schemas.reference("FailureSwitch"),
        conflict="Others throw the switch at the same time.",
        role="admin",
    ),
)
COMPONENTS: Final[dict[str, Any]] = {
    **RULES.components(),
    "FailureSwitch": FailureSwitch.model_json_schema(),
    "FailuresOfService": schemas.record(
        rules={
            **schemas.listing(schemas.reference("FailureRule")),
            "description": "In the order in which they are drawn. A rule strikes in a trace if a number below its probability "
            "is drawn: the upper 53 bits of the first half of BLAKE2b (16 bytes) of the rule's id and the trace's, as bytes, "
            "over 2^53.",
        }
    ),
}
