"""GET /api/v1/latencies."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.api.services import NAME_CURSOR, next_cursor
from collector.query.percentiles import find_latencies

LIMIT: Final = params.limit(100, 1000, "services")


async def list_latencies(request: web.Request) -> web.Response:
    """Count, mean and exact percentiles of the durations of each service's spans in a time range."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    found = await find_latencies(
        request.app[STORE],
        start=start,
        end=end,
        service=params.SERVICE.read(query),
        operation=params.OPERATION.read(query),
        kind=params.KIND.read(query),
        after=NAME_CURSOR.read(query),
        limit=limit + 1,
        workspace=request[CALLER].workspace,
    )
    return rendering.json_response(
        {
            "startUnixNano": str(start),
            "endUnixNano": str(end),
            "services": [rendering.latencies(latencies) for latencies in found[:limit]],
            "nextCursor": next_cursor([latencies.service for latencies in found], limit),
        }
    )


ROUTES: Final = (
    Route(
        "/api/v1/latencies",
        list_latencies,
        "Latency percentiles of each service over the spans of a time range",
        {JSON: schemas.reference("Latencies")},
        (params.START, params.END, params.SERVICE, params.OPERATION, params.KIND, LIMIT, NAME_CURSOR),
    ),
)
