"""TraceQL metrics: numbers over time, made of the spans that a query finds."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api.asked import HOUR, SECOND, asked, ordered, whole
from collector.api.params import parse_duration, parse_time
from collector.api.problems import BadParameter
from collector.api.rendering import json_response
from collector.api.routing import CALLER, NOW, STORE
from collector.api.tempo.traces import PREFIX
from collector.query.predicates import Predicate
from collector.query.span_series import Metric, SpanSeries, find_series
from collector.query.traceql.reading import read_metrics
from config.ottl_grammar import OttlError

_MOST_POINTS: Final = 10_000
_MOST_SERIES: Final = 1_000
_USUAL_POINTS: Final = 240
_LONGEST: Final = 24 * HOUR
_NO_VALUE: Final = "nil"
_STEPS: Final = tuple(seconds * SECOND for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600))
"""Steps from which one is chosen where none is asked for, nanoseconds."""


def _read(text: str) -> tuple[Predicate, Metric]:
    try:
        return read_metrics(text)
    except OttlError as error:
        raise ValueError(str(error)) from None


def _step(text: str) -> int:
    step = int(text) * SECOND if text.isdecimal() and len(text) < 10 else parse_duration(text)
    if step < SECOND:
        raise ValueError("must be at least 1s")
    return step


def _time_range(query: MultiMapping[str], now: int) -> tuple[int, int]:
    end = asked(query, parse_time, now + 1, "end")
    start = asked(query, parse_time, max(end - asked(query, parse_duration, HOUR, "since"), 0), "start")
    start, end = ordered(start, end, "start", query.get("start", ""))
    if end - start > _LONGEST:
        raise BadParameter("start", query.get("start", ""), "the time range must not be longer than 24 hours")
    return start, end


async def query_range(request: web.Request) -> web.Response:
    """A series for each group of spans, in steps."""
    query = request.query
    found = asked(query, _read, None, "q", "query")
    if found is None:
        raise BadParameter("q", "", "a TraceQL query with a metric is needed, such as {} | rate()")
    where, metric = found
    start, end = _time_range(query, request.app[NOW]())
    usual = next((step for step in _STEPS if (end - start) // step <= _USUAL_POINTS), _STEPS[-1])
    step = asked(query, _step, usual, "step")
    # Steps are whole ones, counted from 1970.
    first, last = start // step, -(-end // step)
    if last - first > _MOST_POINTS:
        raise BadParameter("step", query.get("step", ""), f"must leave at most {_MOST_POINTS} points in the time range")
    series = await find_series(
        request.app[STORE],
        metric,
        where,
        workspace=request[CALLER].workspace,
        start=first * step,
        end=last * step,
        step=step,
        limit=asked(query, whole(0, 10**9), 0, "maxSeries") or _MOST_SERIES,
    )
    steps = range(first * step, last * step, step)
    return json_response(
        {"series": [each for group in series for each in _series(metric, group, steps)], "metrics": {}, "status": "COMPLETE"}
    )


def _series(metric: Metric, group: SpanSeries, steps: range) -> list[dict[str, Any]]:
    labels: list[tuple[str, dict[str, Any]]] = [
        (word, {"stringValue": text or _NO_VALUE}) for word, text in zip(metric.by, group.group, strict=True)
    ]
    if metric.quantiles:
        return [
            _one([*labels, ("p", {"doubleValue": quantile})], {time: numbers[index] for time, numbers in group.points.items()})
            for index, quantile in enumerate(metric.quantiles)
        ]
    points = {time: numbers[0] for time, numbers in group.points.items()}
    if metric.field is None:
        points = {time: points.get(time, 0.0) for time in steps}
    return [_one(labels or [("__name__", {"stringValue": metric.function})], points)]


def _one(labels: list[tuple[str, dict[str, Any]]], points: dict[int, float]) -> dict[str, Any]:
    texts = ", ".join(f"{key}={json.dumps(str(next(iter(value.values()))))}" for key, value in labels)
    return {
        "labels": [{"key": key, "value": value} for key, value in labels],
        "promLabels": f"{{{texts}}}",
        "samples": [{"timestampMs": str(time // 10**6), "value": value} for time, value in sorted(points.items())],
    }


ROUTES: Final = (web.get(f"{PREFIX}/metrics/query_range", query_range),)
