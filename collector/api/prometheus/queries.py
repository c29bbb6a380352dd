"""PromQL at one time, and over time; and spans that show what it tells."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from collector.api.asked import MILLISECOND, asked, whole
from collector.api.problems import BadParameter
from collector.api.prometheus.asked import Query, duration, required, routes, time, time_range
from collector.api.prometheus.rendering import answer, at_a_time, number, over_time
from collector.api.routing import CALLER, NOW, STORE
from collector.query.promql.evaluation import evaluate
from collector.query.promql.exemplars import find_exemplars
from collector.query.promql.expressions import Aggregation, Call, Expression, Text
from collector.query.promql.needs import Steps
from collector.query.promql.reading import read_promql
from collector.query.promql.value_types import type_of
from collector.query.promql.vectors import Vector
from config.ottl_grammar import OttlError

MOST_POINTS: Final = 11_000
"""Of a series, as in Prometheus."""


def _expression(query: Query) -> Expression:
    text = required(query, "query")
    try:
        return read_promql(text)
    except OttlError as error:
        raise BadParameter("query", text, f"{error.line}:{error.column}: parse error: {error.message}") from None


async def instant(request: web.Request, query: Query) -> web.Response:
    """What an expression comes to at a time."""
    expression = _expression(query)
    steps = Steps(asked(query, time, request.app[NOW](), "time"))
    if isinstance(expression, Text):
        return answer({"resultType": "string", "result": [steps.first / 10**9, expression.value]})
    if type_of(expression) == "matrix":
        raise BadParameter("query", required(query, "query"), "a range vector is served within functions of ranges only, as rate")
    found = await evaluate(request.app[STORE], expression, steps, request[CALLER].workspace)
    shown = _limited(_ordered(expression, found), query) if isinstance(found, Vector) else found
    return await asyncio.to_thread(lambda: answer(at_a_time(shown, steps)))


async def ranged(request: web.Request, query: Query) -> web.Response:
    """What an expression comes to at times that are so far apart."""
    expression = _expression(query)
    start, end = (time_of(query, name) for name in ("start", "end"))
    step_text = required(query, "step")
    step = asked(query, duration, 0, "step")
    if end < start:
        raise BadParameter("end", required(query, "end"), "end timestamp must not be before start time")
    count = (end - start) // step + 1
    if count > MOST_POINTS:
        words = f"exceeded maximum resolution of {MOST_POINTS:,} points per timeseries."
        raise BadParameter("step", step_text, f"{words} Try decreasing the query resolution (?step=XX)")
    if type_of(expression) not in ("scalar", "vector"):
        kind = {"matrix": "range vector"}.get(type_of(expression), type_of(expression))
        words = f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        raise BadParameter("query", required(query, "query"), words)
    steps = Steps(start, step, count)
    found = await evaluate(request.app[STORE], expression, steps, request[CALLER].workspace)
    shown = _limited(found, query) if isinstance(found, Vector) else found
    # Millions of numbers as text take seconds.
    return await asyncio.to_thread(lambda: answer(over_time(shown, steps)))


async def exemplars(request: web.Request, query: Query) -> web.Response:
    """Spans of which the series of an expression are made, as points that lead to their traces."""
    expression = _expression(query)
    start, end = time_range(query, request.app[NOW]())
    found = await find_exemplars(request.app[STORE], expression, start=start, end=end, workspace=request[CALLER].workspace)
    return answer(
        [
            {
                "seriesLabels": dict(series),
                "exemplars": [
                    {
                        "labels": {"trace_id": each.trace_id, "span_id": each.span_id},
                        "value": number(each.value),
                        "timestamp": each.time // MILLISECOND / 1_000,
                    }
                    for each in some
                ],
            }
            for series, some in found.items()
        ]
    )


def time_of(query: Query, name: str) -> int:
    """A time that must be there.

    Raises:
        BadParameter: it is not, or is no time.
    """
    required(query, name)
    return asked(query, time, 0, name)


def _ordered(expression: Expression, found: Vector) -> Vector:
    """Series that were chosen or sorted by their numbers, in the order of these; NaN is last."""
    match expression:
        case Aggregation("topk") | Call("sort_desc"):
            values = -found.values[:, 0]
        case Aggregation("bottomk") | Call("sort"):
            values = found.values[:, 0]
        case _:
            return found
    return found.rows(values.argsort(kind="stable").tolist())


def _limited(found: Vector, query: Query) -> Vector:
    most = asked(query, whole(0, 10**9), 0, "limit")
    return found.rows(list(range(min(most, len(found.labels))))) if most else found


ROUTES: Final = (*routes("/query", instant), *routes("/query_range", ranged), *routes("/query_exemplars", exemplars))
