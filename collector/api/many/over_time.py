"""/api/v1/analysis/throughput and /api/v1/analysis/heat-map."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, parsing, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import BY, asked_keys, asked_spans, group_search, time_search, whole_search
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import SPAN_FILTERS
from collector.query.conditions import TraceSearch
from collector.query.many.over_time import Cell, Point, Throughput, duration_bounds, find_heat_map, find_throughput, usual_step

USUAL_POINTS: Final = 60
MOST_POINTS: Final = 1500
_SHORTEST_STEP: Final = 10**6


def _parse_step(text: str) -> int:
    step = parsing.parse_duration(text)
    if step < _SHORTEST_STEP:
        raise ValueError("must be at least 1ms")
    return step


STEP: Final[Parameter[int | None]] = Parameter(
    "step",
    "Length of time of a point, such as `30s`; points are counted from 1970. Default: one with which there are at most"
    f" {USUAL_POINTS}.",
    {"type": "string"},
    _parse_step,
    None,
    example="30s",
)
PER_DOUBLING: Final = params.whole_number(
    "perDoubling", "Into so many buckets the durations from any one to twice as long are parted.", 2, 1, 8
)
LIMIT: Final = params.limit(20, 100, "groups")


async def analyse_throughput(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """How many spans start in each step, and how many of them failed, in groups."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    keys, step = asked_keys(query, ()), _step(query, search)
    limit, weighted = LIMIT.read(query), params.WEIGHTED.read(query)
    found, groups, each_once = await find_throughput(request.app[STORE], search, keys, step, weighted=weighted, limit=limit)

    def point(each: Point) -> dict[str, Any]:
        start, end = _within(search, each.start, step)
        return {
            **_range(start, end),
            **_counts(each),
            "perSecond": rendering.number(each.count * 1e9 / (end - start)),
        }

    def series(each: Throughput) -> dict[str, Any]:
        return {
            "key": list(each.texts),
            "count": rendering.number(each.count),
            "errors": rendering.number(each.errors),
            "errorRate": rendering.number(each.errors / each.count),
            "perSecond": rendering.number(each.count * 1e9 / (search.end - search.start)),
            "points": [point(each) for each in each.points],
            "search": group_search(query, keys, each.texts),
        }

    because = f"There are {groups} groups, more than limit={limit}; those with the most spans are here."
    return rendering.json_response(
        {
            **_range(search.start, search.end),
            "stepNanos": str(step),
            "by": [key.words for key in keys],
            "weighted": weighted,
            "eachOnce": each_once,
            "series": [series(each) for each in found],
            "groupCount": groups,
            "complete": groups <= limit,
            "incompleteBecause": None if groups <= limit else because,
            "search": whole_search(query, search),
        }
    )


async def analyse_heat_map(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """How many spans start in each step and last so long, in buckets of durations that grow by the same factor."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    step, bounds = _step(query, search), duration_bounds(PER_DOUBLING.read(query))
    weighted = params.WEIGHTED.read(query)
    cells, each_once = await find_heat_map(request.app[STORE], search, step, bounds, weighted=weighted)

    def cell(each: Cell) -> dict[str, Any]:
        start, end = _within(search, each.start, step)
        shortest, longest = max(each.minimum, search.minimum_duration or 0), each.maximum
        if search.maximum_duration is not None:
            longest = min(longest, search.maximum_duration)
        return {
            **_range(start, end),
            "minNanos": str(each.minimum),
            "maxNanos": str(each.maximum),
            **_counts(each),
            "search": {
                **time_search(start, end),
                params.MINIMUM_DURATION.name: f"{shortest}ns",
                params.MAXIMUM_DURATION.name: f"{longest}ns",
            },
        }

    return rendering.json_response(
        {
            **_range(search.start, search.end),
            "stepNanos": str(step),
            "weighted": weighted,
            "eachOnce": each_once,
            "cells": [cell(each) for each in cells],
            "search": whole_search(query, search),
        }
    )


def _step(query: MultiMapping[str], search: TraceSearch) -> int:
    """The step that is asked for, or a usual one.

    Raises:
        BadParameter: there would be too many points.
    """
    step = STEP.read(query) or usual_step(search.start, search.end, USUAL_POINTS)
    if (search.end - search.start) // step >= MOST_POINTS:
        raise BadParameter(STEP.name, query.get(STEP.name, ""), f"must leave at most {MOST_POINTS} points in the time range")
    return step


def _within(search: TraceSearch, start: int, step: int) -> tuple[int, int]:
    """Of a step the part that is in the time range: the first and the last may begin before it and end after it."""
    return max(start, search.start), min(start + step, search.end)


def _range(start: int, end: int) -> dict[str, Any]:
    return {"startUnixNano": str(start), "endUnixNano": str(end)}


def _counts(each: Point | Cell) -> dict[str, Any]:
    return {"spans": each.spans, "count": rendering.number(each.count), "errors": rendering.number(each.errors)}


ROUTES: Final = (
    *asked_either_way(
        "/api/v1/analysis/throughput",
        analyse_throughput,
        "Spans over time, in groups by any of their fields",
        schemas.reference("SpanThroughput"),
        (*SPAN_FILTERS, BY, STEP, params.WEIGHTED, LIMIT),
    ),
    *asked_either_way(
        "/api/v1/analysis/heat-map",
        analyse_heat_map,
        "Spans by time and duration",
        schemas.reference("HeatMap"),
        (*SPAN_FILTERS, STEP, PER_DOUBLING, params.WEIGHTED),
    ),
)
