"""GET /api/v1/services."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.query.services import find_services

LIMIT: Final = params.limit(100, 1000, "services")


def _encode_name(name: str) -> str:
    return base64.urlsafe_b64encode(f"n{name}".encode(errors="surrogateescape")).decode().rstrip("=")


def _decode_name(text: str) -> str | None:
    try:
        name = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(errors="surrogateescape")
    except (binascii.Error, ValueError) as error:
        raise ValueError("not a cursor that this server gave out") from error
    if not name.startswith("n"):
        raise ValueError("not a cursor that this server gave out")
    return name[1:]


NAME_CURSOR: Final[params.Parameter[str | None]] = params.Parameter(
    "cursor", "`nextCursor` of the page before.", {"type": "string"}, _decode_name, None
)
"""Cursor of a list in the order of names."""


def next_cursor(names: Sequence[str], limit: int) -> str | None:
    """Cursor after the last of `limit` names when one more was found, else None."""
    return _encode_name(names[limit - 1]) if len(names) > limit else None


async def list_services(request: web.Request) -> web.Response:
    """Names of services with spans in a time range, in their order."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    found = await find_services(
        request.app[STORE],
        start=start,
        end=end,
        after=NAME_CURSOR.read(query),
        limit=limit + 1,
        workspace=request[CALLER].workspace,
    )
    return rendering.json_response(
        {
            "services": [rendering.service(service) for service in found[:limit]],
            "nextCursor": next_cursor([service.name for service in found], limit),
        }
    )


ROUTES: Final = (
    Route(
        "/api/v1/services",
        list_services,
        "Services that sent spans in a time range",
        {JSON: schemas.reference("Services")},
        (params.START, params.END, LIMIT, NAME_CURSOR),
    ),
)
