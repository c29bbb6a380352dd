"""GET /api/v1/latencies."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.api.services import NAME_CURSOR, next_cursor
from collector.query.conditions import TraceSearch
from collector.query.grouping import Key
from collector.query.many.latencies import LatencyQuery, find_latencies
from collector.query.predicates import EVERY_SPAN, Comparison
from collector.sketch import RELATIVE_ERROR

LIMIT: Final = params.limit(100, 1000, "services")


async def list_latencies(request: web.Request) -> web.Response:
    """Count, mean and percentiles of the durations of each service's spans in a time range."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit, after, weighted = LIMIT.read(query), NAME_CURSOR.read(query), params.WEIGHTED.read(query)
    search = TraceSearch(
        start=start,
        end=end,
        workspace=request[CALLER].workspace,
        service=params.SERVICE.read(query),
        operation=params.OPERATION.read(query),
        kind=params.KIND.read(query),
        where=EVERY_SPAN if after is None else Comparison("service", ">", after),
    )
    asked = LatencyQuery(search, [Key("service", "service")], weighted=weighted, order="texts", limit=limit + 1)
    found = await find_latencies(request.app[STORE], asked)
    return rendering.json_response(
        {
            "startUnixNano": str(start),
            "endUnixNano": str(end),
            "weighted": weighted,
            "method": "exact" if found.exact else "sketch",
            "relativeError": 0.0 if found.exact else RELATIVE_ERROR,
            "services": [rendering.service_latencies(group) for group in found.groups[:limit]],
            "nextCursor": next_cursor([group.texts[0] for group in found.groups], limit),
        }
    )


ROUTES: Final = (
    Route(
        "/api/v1/latencies",
        list_latencies,
        "Latency percentiles of each service over the spans of a time range",
        {JSON: schemas.reference("Latencies")},
        (params.START, params.END, params.SERVICE, params.OPERATION, params.KIND, params.WEIGHTED, LIMIT, NAME_CURSOR),
    ),
)
