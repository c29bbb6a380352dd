"""/api/v1/workspaces/{workspace}/audit: who has changed what."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.params import Parameter
from collector.api.routing import CALLER, JSON, NOW, OBJECTS, Route
from collector.api.versioned import answer_json
from collector.query.store import MAX_TIMESTAMP

LIMIT: Final = params.limit(100, 1000, "changes")
_FOREIGN: Final = "not a cursor that this server gave out"
_FIRST: Final = uuid.UUID(int=(1 << 128) - 1)


def encode_cursor(at: int, identifier: uuid.UUID) -> str:
    """An opaque text for clients: nanoseconds since 1970, and what tells apart what has the same time."""
    return base64.urlsafe_b64encode(f"{at} {identifier}".encode()).decode().rstrip("=")


def _decode_cursor(text: str) -> tuple[int, uuid.UUID]:
    try:
        at, identifier = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(" ")
        cursor = int(at), uuid.UUID(identifier)
    except (binascii.Error, ValueError) as error:
        raise ValueError(_FOREIGN) from error
    if not 0 <= cursor[0] <= MAX_TIMESTAMP:
        raise ValueError(_FOREIGN)
    return cursor


CURSOR: Final[Parameter[tuple[int, uuid.UUID] | None]] = Parameter(
    "cursor", "`nextCursor` of the page before.", {"type": "string"}, _decode_cursor, None
)


async def list_changes(request: web.Request) -> web.Response:
    """What was changed in a workspace, the latest first."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    before = CURSOR.read(query) or (end - 1, _FIRST)
    found = await request.app[OBJECTS].changes(request[CALLER].workspace, start, before, limit + 1)
    cursor = None
    if len(found) > limit:
        last = found[limit - 1]
        cursor = encode_cursor(last.at, last.write_id)
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
    return answer_json({"changes": changes, "nextCursor": cursor})


ROUTES: Final = (
    Route(
        "/api/v1/workspaces/{workspace}/audit",
        list_changes,
        "Who has changed what in a workspace, the latest first",
        {JSON: schemas.reference("Changes")},
        (params.START, params.END, LIMIT, CURSOR),
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
