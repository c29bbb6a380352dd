"""GET /api/v1/red."""

from __future__ import annotations

from typing import Final, cast

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.api.services import NAME_CURSOR, next_cursor
from collector.query.red import RedQuery, find_red, usual_step, whole_steps
from collector.query.red_spans import By, RedSpans
from collector.query.rollups import MINUTE

MOST_POINTS: Final = 1500
"""More than the minutes of a day."""
LIMIT: Final = params.limit(20, 100, "series")
BY: Final[params.Parameter[str]] = params.Parameter(
    "by",
    "What a series is: all spans of a service, or of one of the operations of a service, which `service` must name then.",
    {"type": "string", "enum": ["service", "operation"], "default": "service"},
    parsing.choice(("service", "operation")),
    "service",
)


def asked_spans(request: web.Request) -> RedSpans:
    """The spans that are asked for, and what tells them apart.

    Raises:
        BadParameter: operations are to be told apart, of no service.
    """
    query = request.query
    by, service, kind = BY.read(query), params.SERVICE.read(query), params.KIND.read(query)
    if by == "operation" and service is None:
        raise BadParameter(BY.name, by, "operation needs the parameter service")
    return RedSpans(
        request[CALLER].workspace,
        cast("By", by),
        service,
        params.OPERATION.read(query),
        kinds=(kind,) if kind else (),
        injected=params.INJECTED.read(query),
        after=NAME_CURSOR.read(query),
    )


def _parse_step(text: str) -> int:
    step = parsing.parse_duration(text)
    if step % MINUTE or not step:
        raise ValueError("must be whole minutes, such as 1m or 1h")
    return step


STEP: Final[params.Parameter[int | None]] = params.Parameter(
    "step",
    "Length of time of a point, in whole minutes, such as `5m`. Default: the shortest of 1m, 5m, 15m, 1h, 6h and 24h with which"
    " there are at most 120 points.",
    {"type": "string"},
    _parse_step,
    None,
    example="5m",
)


def asked_steps(request: web.Request) -> tuple[int, int, int]:
    """The time range that is asked for, in whole steps, and the length of a step; nanoseconds.

    Raises:
        BadParameter: as `params.time_range`, or there would be more than MOST_POINTS.
    """
    asked_start, asked_end = params.time_range(request.query, request.app[NOW]())
    step = STEP.read(request.query) or usual_step(asked_start, asked_end)
    start, end = whole_steps(asked_start, asked_end, step)
    if (end - start) // step > MOST_POINTS:
        text = request.query.get(STEP.name, "")
        raise BadParameter(STEP.name, text, f"must leave at most {MOST_POINTS} points in the time range")
    return start, end, step


async def list_red(request: web.Request) -> web.Response:
    """Rate, errors and durations over time of each service, or of each operation of one, from the tables of `red_metrics`."""
    start, end, step = asked_steps(request)
    spans, limit = asked_spans(request), LIMIT.read(request.query)
    found = await find_red(request.app[STORE], RedQuery(spans, start, end, step, limit + 1))
    return rendering.json_response(
        {
            "startUnixNano": str(start),
            "endUnixNano": str(end),
            "stepNanos": str(step),
            "by": spans.by,
            "series": [rendering.red_series(series, end - start, step) for series in found[:limit]],
            "nextCursor": next_cursor([series.name for series in found], limit),
        }
    )


ROUTES: Final = (
    Route(
        "/api/v1/red",
        list_red,
        "Rate, errors and durations over time, by service or operation",
        {JSON: schemas.reference("Red")},
        (
            params.START,
            params.END,
            STEP,
            BY,
            params.SERVICE,
            params.OPERATION,
            params.KIND,
            params.INJECTED,
            LIMIT,
            NAME_CURSOR,
        ),
    ),
)
