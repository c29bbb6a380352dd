"""GET /api/v1/workspaces/{workspace}/latencies."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.monitoring.asked import PREFIX, THRESHOLD, whole_range
from collector.api.monitoring.rendering import requests
from collector.api.params import Parameter
from collector.api.red import BY, asked_spans
from collector.api.routing import JSON, NOW, STORE, Route
from collector.api.services import NAME_CURSOR, next_cursor
from collector.query.rollups import SECOND
from collector.query.span_latencies import LatencyQuery, SpanLatencies, find_span_latencies
from config.histogram import BUCKETS

LIMIT: Final = params.limit(100, 1_000, "services or operations")
_MOST_BOUNDS: Final = 100


def _parse_bounds(text: str) -> tuple[int, ...]:
    bounds = tuple(parsing.parse_duration(part) for part in text.split(","))
    if not bounds[0] or any(later <= earlier for earlier, later in pairwise(bounds)):
        raise ValueError("must be above 0 and rise from each to the next, such as 10ms,100ms,1s")
    if len(bounds) > _MOST_BOUNDS:
        raise ValueError(f"must be at most {_MOST_BOUNDS}")
    return bounds


BOUNDS: Final[Parameter[tuple[int, ...]]] = Parameter(
    "bounds",
    "Upper bounds of the histogram, with commas between them, such as `10ms,100ms,1s`.",
    {"type": "string", "default": ",".join(str(bucket) for bucket in BUCKETS)},
    _parse_bounds,
    tuple(map(int, BUCKETS)),
    example="10ms,100ms,1s",
)


async def list_span_latencies(request: web.Request) -> web.Response:
    """Count, mean, percentiles and histogram of the spans of each service, or of each operation of one."""
    query = request.query
    start, end = whole_range(query, request.app[NOW]())
    spans, bounds, limit = asked_spans(request), BOUNDS.read(query), LIMIT.read(query)
    asked = LatencyQuery(spans, start, end, THRESHOLD.read(query), limit + 1)
    found = await find_span_latencies(request.app[STORE], asked)
    seconds = (end - start) / SECOND

    def latencies(each: SpanLatencies) -> dict[str, Any]:
        counts = [rendering.number(count) for count in each.histogram(bounds)]
        return {"name": each.name, "spans": requests(each.spans, seconds), "histogram": counts}

    return rendering.json_response(
        {
            "startUnixNano": str(start),
            "endUnixNano": str(end),
            "by": spans.by,
            "boundsNanos": [str(bound) for bound in bounds],
            "latencies": [latencies(each) for each in found[:limit]],
            "nextCursor": next_cursor([each.name for each in found], limit),
        }
    )


ROUTES: Final = (
    Route(
        f"{PREFIX}/latencies",
        list_span_latencies,
        "How long the spans of each service or operation took, from the tables of red_metrics",
        {JSON: schemas.reference("SpanLatencies")},
        (
            params.START,
            params.END,
            BY,
            params.SERVICE,
            params.OPERATION,
            params.KIND,
            params.INJECTED,
            THRESHOLD,
            BOUNDS,
            LIMIT,
            NAME_CURSOR,
        ),
    ),
)
