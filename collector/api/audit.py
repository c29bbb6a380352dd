"""/api/v1/workspaces/{workspace}/audit: who has changed what."""

from __future__ import annotations

import uuid
from typing import Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.cursors import BY_TIME, next_cursor
from collector.api.routing import CALLER, JSON, NOW, OBJECTS, Route
from collector.api.versioned import answer_json

LIMIT: Final = params.limit(100, 1000, "changes")
_FIRST: Final = uuid.UUID(int=(1 << 128) - 1)


async def list_changes(request: web.Request) -> web.Response:
    """What was changed in a workspace, the latest first."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    before = BY_TIME.read(query) or (end - 1, _FIRST)
    found = await request.app[OBJECTS].changes(request[CALLER].workspace, start, before, limit + 1)
    changes = [
        {
            "kind": each.kind,
            "id": str(each.id),
            "name": each.name,
            "version": each.version,
            "what": "deleted" if each.deleted else "created" if each.version == 1 else "changed",
            "atUnixNano": str(each.at),
            "by": each.author,
        }
        for each in found[:limit]
    ]
    return answer_json({"changes": changes, "nextCursor": next_cursor(found, limit, lambda last: (last.at, last.write_id))})


ROUTES: Final = (
    Route(
        "/api/v1/workspaces/{workspace}/audit",
        list_changes,
        "Who has changed what in a workspace, the latest first",
        {JSON: schemas.reference("Changes")},
        (params.START, params.END, LIMIT, BY_TIME),
    ),
)

COMPONENTS: Final = {
    "Changes": schemas.record(
        changes=schemas.listing(
            schemas.record(
                kind=schemas.TEXT,
                id=schemas.TEXT,
                name=schemas.TEXT,
                version=schemas.COUNT,
                what={"type": "string", "enum": ["created", "changed", "deleted"]},
                atUnixNano=schemas.NANOSECONDS,
                by={**schemas.TEXT, "description": "Name of the caller."},
            )
        ),
        nextCursor=schemas.NEXT_CURSOR,
    )
}
