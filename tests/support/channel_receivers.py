"""The other sides of channels: they take what the services' documentation says, and nothing else.

The schemas are written from that documentation: Slack's "Blocks" and "Sending messages using incoming webhooks", PagerDuty's
"Send an Event", and Alertmanager's OpenAPI document of version 2.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema
from aiohttp import web
from aiohttp.test_utils import TestServer


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _text(least: int, most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most}


def _slack_text(kind: str, most: int) -> dict[str, Any]:
    return _object(("type", "text"), type={"const": kind}, text=_text(1, most))


_SLACK_BLOCK: Final = {
    "oneOf": [
        _object(("type", "text"), type={"const": "header"}, text=_slack_text("plain_text", 150)),
        _object(("type", "text"), type={"const": "section"}, text=_slack_text("mrkdwn", 3000)),
        _object(
            ("type", "fields"),
            type={"const": "section"},
            fields={"type": "array", "minItems": 1, "maxItems": 10, "items": _slack_text("mrkdwn", 2000)},
        ),
    ]
}
SLACK: Final = _object(
    ("text", "blocks"), text=_text(1, 40_000), blocks={"type": "array", "minItems": 1, "maxItems": 50, "items": _SLACK_BLOCK}
)

_MOMENT: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_LINK: Final = _object(("href",), href={"type": "string", "pattern": "^https?://"}, text=_text(1, 10_000))
PAGERDUTY: Final = {
    "oneOf": [
        _object(
            ("routing_key", "event_action", "dedup_key", "payload"),
            routing_key=_text(32, 32),
            event_action={"const": "trigger"},
            dedup_key=_text(1, 255),
            client=_text(1, 1000),
            links={"type": "array", "items": _LINK},
            payload=_object(
                ("summary", "source", "severity"),
                summary=_text(1, 1024),
                source=_text(1, 10_000),
                severity={"enum": ["critical", "error", "warning", "info"]},
                timestamp=_MOMENT,
                component={"type": "string"},
                group={"type": "string"},
                **{"class": {"type": "string"}},
                custom_details={"type": "object"},
            ),
        ),
        _object(
            ("routing_key", "event_action", "dedup_key"),
            routing_key=_text(32, 32),
            event_action={"enum": ["acknowledge", "resolve"]},
            dedup_key=_text(1, 255),
        ),
    ]
}

_LABELS: Final = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
    "additionalProperties": _text(1, 100_000),
}
ALERTMANAGER: Final = {
    "type": "array",
    "items": _object(
        ("labels",),
        labels=_LABELS,
        annotations={"type": "object", "additionalProperties": {"type": "string"}},
        startsAt=_MOMENT,
        endsAt=_MOMENT,
        generatorURL={"type": "string"},
    ),
}

OK = {
    "slack": "ok",
    "pagerduty": '{"status":"success","message":"Event processed","dedup_key":"x"}',
    "alertmanager": "",
    "webhook": "",
}
SCHEMAS: Final = {"slack": SLACK, "pagerduty": PAGERDUTY, "alertmanager": ALERTMANAGER, "webhook": {"type": "object"}}
PATHS: Final = {
    "/services/T0/B0/secret-path": "slack",
    "/v2/enqueue": "pagerduty",
    "/api/v2/alerts": "alertmanager",
    "/hook": "webhook",
}


Step = tuple[int, dict[str, str], str] | str
"""An answer: a status with headers and a body, or `hang`, `drop` (no answer) or `half` (one that breaks off)."""


@dataclass
class Received:
    """One request that came: for whom, its document, its headers, and its body."""

    service: str
    document: Any
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """All services on one port.

    Attributes:
        url: where it is.
        received: what came and was well-formed, in order, whatever was answered.
        faults: what was wrong with what was not.
        script: answers to give instead of the usual ones, the next one first.
        decide: says what to answer when the script is over; the usual, where it says nothing.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    script: list[Step] = field(default_factory=list)
    decide: Callable[[], Step | None] = lambda: None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        service = PATHS.get(request.path)
        if service is None:
            self.faults.append(f"nobody is at {request.path}")
            return web.Response(status=404, text="no_service")
        body = await request.read()
        try:
            document = json.loads(body)
            jsonschema.validate(document, SCHEMAS[service])
            assert request.headers["Content-Type"] == "application/json"
        except (ValueError, jsonschema.ValidationError, AssertionError) as error:
            self.faults.append(f"{service}: {error}")
            return web.Response(status=400, text="invalid_payload")
        self.received.append(Received(service, document, dict(request.headers), body))
        step = self.script.pop(0) if self.script else self.decide()
        if step is None:
            return web.Response(status=202 if service == "pagerduty" else 200, text=OK[service])
        if isinstance(step, tuple):
            status, headers, text = step
            return web.Response(status=status, headers=headers, text=text)
        assert request.transport is not None
        if step == "hang":
            await asyncio.Event().wait()
        if step == "half":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"half of")
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """All services, on this machine, while the context lasts."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.answer)
    async with TestServer(application) as server:
        receiver.url = str(server.make_url("")).rstrip("/")
        yield receiver
