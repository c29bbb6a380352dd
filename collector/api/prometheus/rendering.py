"""Answers and errors in Prometheus' form. Source: "HTTP API" of the documentation of Prometheus 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api.problems import BadParameter, Problem
from collector.api.rendering import json_response
from collector.api.routing import JSON
from collector.query.promql.needs import Steps
from collector.query.promql.vectors import Labels, Numbers, Vector

_ERROR_TYPES: Final[Mapping[int, str]] = {
    404: "not_found",
    422: "execution",
    429: "unavailable",
    503: "unavailable",
    504: "timeout",
}


def answer(data: Any, *, warnings: Sequence[str] = ()) -> web.Response:
    """A success."""
    return json_response({"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})})


def error_answer(problem: Problem) -> web.Response:
    """A problem, as clients of Prometheus read it."""
    text = problem.detail
    if isinstance(problem, BadParameter):
        text = f'invalid parameter "{problem.parameter}": {problem.remedy}'
    document = {
        "status": "error",
        "errorType": _ERROR_TYPES.get(problem.status, "bad_data" if problem.status < 500 else "internal"),
        "error": text,
    }
    # So does Prometheus answer queries that take too long.
    status = 503 if problem.status == 504 else problem.status
    return web.Response(status=status, body=orjson.dumps(document), content_type=JSON)


def at_a_time(found: Vector | Numbers, steps: Steps) -> dict[str, Any]:
    """A result at one time."""
    (time,) = _seconds(steps)
    if not isinstance(found, Vector):
        return {"resultType": "scalar", "result": [time, number(float(found[0]))]}
    there = found.present[:, 0].tolist()
    values = found.values[:, 0].tolist()
    return {
        "resultType": "vector",
        "result": [
            {"metric": dict(labels), "value": [time, number(value)]}
            for labels, value, is_there in zip(found.labels, values, there, strict=True)
            if is_there
        ],
    }


def over_time(found: Vector | Numbers, steps: Steps) -> dict[str, Any]:
    """A result at several times."""
    times = _seconds(steps)
    if not isinstance(found, Vector):
        series = [_series((), times, found.tolist(), [True] * len(times))]
    else:
        rows = zip(found.labels, found.values.tolist(), found.present.tolist(), strict=True)
        series = [_series(labels, times, values, there) for labels, values, there in rows if any(there)]
    return {"resultType": "matrix", "result": series}


def _series(labels: Labels, times: list[float], values: list[float], there: list[bool]) -> dict[str, Any]:
    numbers = zip(times, values, there, strict=True)
    return {"metric": dict(labels), "values": [[time, number(value)] for time, value, is_there in numbers if is_there]}


def _seconds(steps: Steps) -> list[float]:
    """Times in seconds, to the millisecond."""
    found: list[float] = (steps.times // 10**6 / 1_000).tolist()
    return found


def number(value: float) -> str:
    """A number as text."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")
