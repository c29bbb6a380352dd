"""/api/v1/workspaces/{workspace}/channels: how people are told of alerts, and trying that out."""

from __future__ import annotations

import time
from typing import Any, Final

from aiohttp import web

from collector.api import schemas
from collector.api.bodies import invalid_body
from collector.api.lasting import TEST, lasting
from collector.api.objects import ID, ObjectApi
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, Route
from collector.api.versioned import answer_json
from collector.monitor.channels.deliveries import Deliveries
from collector.monitor.channels.settings import CHANNELS, ChannelSettings

DELIVERIES: Final = web.AppKey("deliveries", Deliveries)
"""Sends notifications; not there where there is no alerting."""

_NOTHING_IS_SENT: Final = "Nothing is sent from here: the configuration has no extension alerting in service.extensions."


async def _check(request: web.Request, settings: ChannelSettings) -> None:
    deliveries = request.app.get(DELIVERIES)
    fault = await deliveries.fault(request[CALLER].workspace, settings) if deliveries is not None else ""
    if fault:
        raise invalid_body([{"field": "target", "value": None, "detail": fault}])


API: Final = ObjectApi(CHANNELS, "channels", "Channel", "channel", check=_check)


async def test_channel(request: web.Request) -> web.Response:
    """Tell the other side of a channel that this is a test, and what it says to that."""
    deliveries = request.app.get(DELIVERIES)
    if deliveries is None:
        raise Problem(403, "Alerting is off", _NOTHING_IS_SENT)
    channel = await API.named(request)
    started_s = time.monotonic()
    with lasting(request):
        attempt = await deliveries.test(channel)
    document: dict[str, Any] = {
        "delivered": attempt.delivered,
        "reason": attempt.reason,
        "answer": attempt.answer,
        "status": attempt.status,
        "seconds": round(time.monotonic() - started_s, 3),
    }
    return answer_json(document)


ROUTES: Final = (
    *API.routes(),
    Route(
        f"/api/v1/workspaces/{{workspace}}/channels/{{{ID}}}{TEST}",
        test_channel,
        "Send a test by a channel, enabled or not, and tell what the other side says",
        {JSON: schemas.reference("ChannelTest")},
        unknown="The workspace has no such channel.",
        method="POST",
        role="admin",
    ),
)

COMPONENTS: Final = {
    **API.components(),
    "ChannelTest": schemas.record(
        delivered={**schemas.FLAG, "description": "Whether the other side has taken it."},
        reason={**schemas.TEXT, "description": "Why it has not, in one word; empty where it has."},
        answer={**schemas.TEXT, "description": "What it said, or what went wrong; without secrets."},
        status={**schemas.COUNT, "description": "HTTP status, or code of SMTP; 0 without an answer."},
        seconds=schemas.NUMBER,
    ),
}
