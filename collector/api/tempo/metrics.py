"""TraceQL metrics: numbers over time, made of the spans that a query finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api.asked import HOUR, SECOND, asked, ordered, whole
from collector.api.parsing import parse_duration, parse_time
from collector.api.problems import BadParameter
from collector.api.rendering import json_response
from collector.api.routing import CALLER, NOW, STORE
from collector.api.tempo.metric_series import Found, Series, series_of, shown_exemplars, shown_labels
from collector.api.tempo.traces import PREFIX
from collector.query.span_contrast import Contrast, find_contrast
from collector.query.span_series import find_series
from collector.query.stepped import SteppedSpans
from collector.query.traceql.constants import duration_of
from collector.query.traceql.reading import MetricsQuery, Result, exemplars_hint, is_extrapolated, metrics_in, read_metrics
from config.ottl_grammar import OttlError

_MOST_POINTS: Final = 10_000
_MOST_SERIES: Final = 1_000
_MOST_NUMBERS: Final = 1_000_000
"""Of all series together; of more there are fewer series."""
_MOST_EXEMPLARS: Final = 100
_PARTIAL: Final = "There are more series: these are of the groups, or attributes, that most spans have."
_USUAL_POINTS: Final = 240
_LONGEST: Final = 24 * HOUR
_STEPS: Final = tuple(seconds * SECOND for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600))
"""Steps from which one is chosen where none is asked for, nanoseconds."""


def _read(text: str) -> Result:
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
    start = asked(query, parse_time, max(end - asked(query, duration_of, HOUR, "since"), 0), "start")
    start, end = ordered(start, end, "start", query.get("start", ""))
    if end - start > _LONGEST:
        raise BadParameter("start", query.get("start", ""), "the time range must not be longer than 24 hours")
    return start, end


def _asked_result(query: MultiMapping[str]) -> Result:
    found = asked(query, _read, None, "q", "query")
    if found is None:
        raise BadParameter("q", "", "a TraceQL query with a metric is needed, such as {} | rate()")
    return found


async def query_range(request: web.Request) -> web.Response:
    """Series in steps."""
    query = request.query
    result = _asked_result(query)
    start, end = _time_range(query, request.app[NOW]())
    usual = next((step for step in _STEPS if (end - start) // step <= _USUAL_POINTS), _STEPS[-1])
    step = asked(query, _step, usual, "step")
    # Steps are whole ones, counted from 1970.
    first, last = start // step, -(-end // step)
    if last - first > _MOST_POINTS:
        raise BadParameter("step", query.get("step", ""), f"must leave at most {_MOST_POINTS} points in the time range")
    return await _answer(request, result, range(first * step, last * step, step), _in_steps, _exemplars(query))


def _exemplars(query: MultiMapping[str]) -> int:
    """How many are told of: as the query's hint says, else as the parameter does; 0 of that is as good as none."""
    asked_for = asked(query, whole(0, 10**9), 0, "exemplars") or _MOST_EXEMPLARS
    hint = asked(query, exemplars_hint, None, "q", "query")
    return min(asked_for if hint is None or hint is True else int(hint), _MOST_EXEMPLARS)


async def query_instant(request: web.Request) -> web.Response:
    """One number of each series, over all of the time range."""
    result = _asked_result(request.query)
    start, end = _time_range(request.query, request.app[NOW]())
    return await _answer(request, result, range(start, end, end - start), _at_once, 0)


async def _answer(
    request: web.Request, result: Result, steps: range, shown: Callable[[Series], dict[str, Any]], exemplars: int
) -> web.Response:
    """The series of a query; `shown` gives the numbers of one."""
    asked_for = asked(request.query, whole(0, 10**9), 0, "maxSeries") or _MOST_SERIES
    most = min(asked_for, _MOST_SERIES, max(_MOST_NUMBERS // len(steps), 1))
    groups = [await _find(request, each, steps, most, exemplars=exemplars > 0) for each in metrics_in(result)]
    complete = all(are_all for _, are_all in groups)
    status = {} if complete else {"message": _PARTIAL}

    def work() -> web.Response:
        found = series_of(result, [some for some, _ in groups], steps)
        series = [
            {"labels": shown_labels(each)} | shown(each) | ({"exemplars": spans} if spans else {})
            for each, spans in zip(found, shown_exemplars(found, exemplars), strict=True)
        ]
        return json_response({"series": series, "metrics": {}, "status": "COMPLETE" if complete else "PARTIAL", **status})

    return await asyncio.to_thread(work)


async def _find(request: web.Request, query: MetricsQuery, steps: range, most: int, *, exemplars: bool) -> tuple[Found, bool]:
    """What makes so many series at most, and whether that is all there is."""
    store, metric = request.app[STORE], query.metric
    weighted = asked(request.query, is_extrapolated, False, "q", "query")
    spans = SteppedSpans(request[CALLER].workspace, query.where, steps, weighted)
    if isinstance(metric, Contrast):
        # Those of values on both sides, and two of all.
        return await find_contrast(store, metric, spans, max(most // (2 * metric.values + 2), 1))
    return await find_series(store, metric, spans, most, exemplars=exemplars)


def _in_steps(series: Series) -> dict[str, Any]:
    points = sorted(series.points.items())
    return {"samples": [{"timestampMs": str(time // 10**6), "value": value} for time, value in points]}


def _at_once(series: Series) -> dict[str, Any]:
    (value,) = series.points.values()
    return {"value": value}


ROUTES: Final = (
    web.get(f"{PREFIX}/metrics/query_range", query_range),
    web.get(f"{PREFIX}/metrics/query", query_instant),
)
