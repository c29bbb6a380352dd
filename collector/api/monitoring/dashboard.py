"""GET /api/v1/workspaces/{workspace}/dashboard and /dashboard/series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.monitoring.asked import PREFIX, THRESHOLD, whole_range
from collector.api.monitoring.rendering import compared
from collector.api.red import STEP, asked_steps
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.query.dashboard import (
    Compared,
    DashboardQuery,
    Operation,
    find_dashboard,
    find_dashboard_series,
    ranked,
)
from collector.query.health import RULE, STATES, health_of
from collector.query.percentiles import PERCENTILES
from collector.query.requests import Requests
from collector.query.rollups import SECOND

LIMIT: Final = params.limit(10, 100, "operations in each list")
MOST_SERVICES: Final = 1_000

_SLOWEST: Final = PERCENTILES.index(95)
_RANKINGS: Final[Mapping[str, Callable[[Requests], float]]] = {
    "mostRequests": lambda found: found.count,
    "mostTime": lambda found: found.duration,
    "mostErrors": lambda found: found.failed,
    "slowest": lambda found: found.percentiles[_SLOWEST],
}


async def get_dashboard(request: web.Request) -> web.Response:
    """The requests of a time range and of the one before: all, by service, and by the operations that stand out."""
    query = request.query
    start, end = whole_range(query, request.app[NOW]())
    limit = LIMIT.read(query)
    asked = _asked(request, start, end)
    found = await find_dashboard(request.app[STORE], asked)
    seconds = (end - start) / SECOND

    def services() -> list[dict[str, Any]]:
        known = [
            {"service": name, "health": health.state, "reasons": list(health.reasons), **compared(each, seconds)}
            for name, each in found.services.items()
            for health in (health_of(each),)
        ]
        return sorted(known, key=lambda each: (STATES.index(each["health"]), each["service"]))

    return rendering.json_response(
        {
            **_ranges(asked),
            "complete": found.complete and len(found.services) <= MOST_SERVICES,
            "requests": compared(found.requests, seconds),
            "services": services()[:MOST_SERVICES],
            "operations": {
                name: [_operation(operation, each, seconds) for operation, each in ranked(found.operations, of, limit)]
                for name, of in _RANKINGS.items()
            },
        }
    )


async def get_dashboard_series(request: web.Request) -> web.Response:
    """The requests of a time range in steps, each beside that of the range before."""
    start, end, step = asked_steps(request)
    asked = _asked(request, start, end)
    points = await find_dashboard_series(request.app[STORE], asked, step)
    return rendering.json_response(
        {
            **_ranges(asked),
            "stepNanos": str(step),
            "points": [{"startUnixNano": str(time), **compared(each, step / SECOND)} for time, each in points.items()],
        }
    )


def _asked(request: web.Request, start: int, end: int) -> DashboardQuery:
    query = request.query
    service, injected = params.SERVICE.read(query), params.INJECTED.read(query)
    return DashboardQuery(request[CALLER].workspace, start, end, THRESHOLD.read(query), service, injected)


def _ranges(asked: DashboardQuery) -> dict[str, Any]:
    return {
        "startUnixNano": str(asked.start),
        "endUnixNano": str(asked.end),
        "previousStartUnixNano": str(asked.previous_start),
        "apdexThresholdNanos": str(asked.threshold),
    }


def _operation(operation: Operation, found: Compared, seconds: float) -> dict[str, Any]:
    return {"service": operation.service, "operation": operation.name, **compared(found, seconds)}


ROUTES: Final = (
    Route(
        f"{PREFIX}/dashboard",
        get_dashboard,
        "Requests of a workspace, its services and operations, beside those of the range before",
        {JSON: {**schemas.reference("Dashboard"), "description": f"Health of services: {RULE}"}},
        (params.START, params.END, THRESHOLD, params.SERVICE, params.INJECTED, LIMIT),
    ),
    Route(
        f"{PREFIX}/dashboard/series",
        get_dashboard_series,
        "Requests of a workspace over time, beside those of the range before",
        {JSON: schemas.reference("DashboardSeries")},
        (params.START, params.END, STEP, THRESHOLD, params.SERVICE, params.INJECTED),
    ),
)
