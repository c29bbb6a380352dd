"""/api/v1/workspaces/{workspace}/alert-deliveries: what became of each notification."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Final

import orjson
from aiohttp import web

from collector.api import params, schemas
from collector.api.params import Parameter
from collector.api.routing import CALLER, JSON, NOW, Route
from collector.api.versioned import answer_json
from collector.monitor.channels.outcomes import OUTCOMES, Outcomes, Place

DELIVERED: Final = web.AppKey("outcomes", Outcomes)

LIMIT: Final = params.limit(100, 1000, "deliveries")


def _decode_cursor(text: str) -> Place:
    try:
        at, key, channel = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(at), str(key), str(channel)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError("not a cursor that this server gave out") from error


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a UUID") from None


def _id(name: str, what: str) -> Parameter[uuid.UUID | None]:
    schema = {"type": "string", "format": "uuid"}
    return Parameter(name, f"Only those {what} of this id.", schema, _uuid, None, example="8d1c7a52-0f3e-4c55-9a8b-6a0f5de2c1b7")


CURSOR: Final[Parameter[Place | None]] = Parameter(
    "cursor", "`nextCursor` of the page before.", {"type": "string"}, _decode_cursor, None
)
CHANNEL: Final = _id("channel", "at the channel")
ALERT: Final = _id("alert", "about the alert")
OUTCOME: Final[Parameter[str | None]] = Parameter(
    "outcome", "Only those that stand so.", {"type": "string", "enum": list(OUTCOMES)}, params.choice(OUTCOMES), None
)


async def list_alert_deliveries(request: web.Request) -> web.Response:
    """Notifications and what became of them, the latest first."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    found = await request.app[DELIVERED].page(
        request[CALLER].workspace,
        start,
        end,
        limit + 1,
        before=CURSOR.read(query),
        channel=str(CHANNEL.read(query) or ""),
        alert=str(ALERT.read(query) or ""),
        outcome=OUTCOME.read(query) or "",
    )
    cursor = None
    if len(found) > limit:
        last = found[limit - 1]
        place = orjson.dumps((last.at, last.event_key, last.channel_id))
        cursor = base64.urlsafe_b64encode(place).decode().rstrip("=")
    return answer_json({"deliveries": [each.as_json() for each in found[:limit]], "nextCursor": cursor})


ROUTES: Final = (
    Route(
        "/api/v1/workspaces/{workspace}/alert-deliveries",
        list_alert_deliveries,
        "What became of each notification, the latest first",
        {JSON: schemas.reference("AlertDeliveries")},
        (params.START, params.END, CHANNEL, ALERT, OUTCOME, LIMIT, CURSOR),
    ),
)

COMPONENTS: Final = {
    "AlertDeliveries": schemas.record(
        deliveries=schemas.listing(
            schemas.record(
                atUnixNano={**schemas.NANOSECONDS, "description": "When it came to stand so."},
                startedAtUnixNano={**schemas.NANOSECONDS, "description": "When it was sent first."},
                eventKey={**schemas.TEXT, "description": "The idempotency key, which receivers get as well."},
                ruleId=schemas.TEXT,
                alertId=schemas.TEXT,
                what={**schemas.TEXT, "description": "What happened to the alert."},
                channelId=schemas.TEXT,
                channelName={**schemas.TEXT, "description": "As it was then."},
                channelType=schemas.TEXT,
                outcome={"type": "string", "enum": list(OUTCOMES)},
                reason={**schemas.TEXT, "description": "Why the last attempt failed, in one word; empty where it did not."},
                answer={**schemas.TEXT, "description": "What the other side said, or what went wrong; without secrets."},
                status={**schemas.COUNT, "description": "HTTP status, or code of SMTP; 0 without an answer."},
                attempts=schemas.COUNT,
            )
        ),
        nextCursor=schemas.NEXT_CURSOR,
    )
}
