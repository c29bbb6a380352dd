"""/api/v1/workspaces/{workspace}/alert-deliveries: what became of each notification."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from collector.api import params, parsing, schemas
from collector.api.cursors import cursor, next_cursor, whole
from collector.api.params import Parameter
from collector.api.routing import CALLER, JSON, NOW, Route
from collector.api.versioned import answer_json
from collector.monitor.channels.outcomes import OUTCOMES, Outcomes, Place

DELIVERED: Final = web.AppKey("outcomes", Outcomes)

LIMIT: Final = params.limit(100, 1000, "deliveries")


def _place(at: Any, key: Any, channel: Any) -> Place:
    return whole(at), str(key), str(channel)


CURSOR: Final = cursor(_place)
CHANNEL: Final = params.optional_id("channel", "Only those at the channel of this id.")
ALERT: Final = params.optional_id("alert", "Only those about the alert of this id.")
OUTCOME: Final[Parameter[str | None]] = Parameter(
    "outcome", "Only those that stand so.", {"type": "string", "enum": list(OUTCOMES)}, parsing.choice(OUTCOMES), None
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
    after = next_cursor(found, limit, lambda last: (last.at, last.event_key, last.channel_id))
    return answer_json({"deliveries": [each.as_json() for each in found[:limit]], "nextCursor": after})


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
