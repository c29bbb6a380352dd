"""TraceQL metrics: numbers over time, made of the spans that a query finds."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from collector.api.asked import HOUR, SECOND, asked, ordered, whole
from collector.api.params import parse_duration, parse_time
from collector.api.problems import BadParameter
from collector.api.rendering import json_response
from collector.api.routing import CALLER, NOW, STORE
from collector.api.tempo.traces import PREFIX
from collector.query.span_series import Metric, SpanSeries, find_series
from collector.query.traceql.reading import MetricsQuery, read_metrics
from collector.query.traceql.stages import Kept, Ranked
from config.ottl_grammar import OttlError

_MOST_POINTS: Final = 10_000
_MOST_SERIES: Final = 1_000
_MOST_NUMBERS: Final = 1_000_000
"""Of all series together; of more there are fewer series."""
_USUAL_POINTS: Final = 240
_LONGEST: Final = 24 * HOUR
_NO_VALUE: Final = "nil"
_STEPS: Final = tuple(seconds * SECOND for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600))
"""Steps from which one is chosen where none is asked for, nanoseconds."""


_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Series(NamedTuple):
    """A series as it is shown: names and values of its labels, and numbers by the starts of steps, nanoseconds since 1970."""

    labels: list[tuple[str, dict[str, Any]]]
    points: dict[int, float]


def _read(text: str) -> MetricsQuery:
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
    start, end = _time_range(query, request.app[NOW]())
    usual = next((step for step in _STEPS if (end - start) // step <= _USUAL_POINTS), _STEPS[-1])
    step = asked(query, _step, usual, "step")
    # Steps are whole ones, counted from 1970.
    first, last = start // step, -(-end // step)
    if last - first > _MOST_POINTS:
        raise BadParameter("step", query.get("step", ""), f"must leave at most {_MOST_POINTS} points in the time range")
    most = min(
        asked(query, whole(0, 10**9), 0, "maxSeries") or _MOST_SERIES, _MOST_SERIES, max(_MOST_NUMBERS // (last - first), 1)
    )
    groups = await find_series(
        request.app[STORE],
        found.metric,
        found.where,
        workspace=request[CALLER].workspace,
        start=first * step,
        end=last * step,
        step=step,
        limit=most,
    )
    return await asyncio.to_thread(_answer, found, groups, range(first * step, last * step, step))


def _answer(found: MetricsQuery, groups: Sequence[SpanSeries], steps: range) -> web.Response:
    series = [each for group in groups for each in _series(found.metric, group, steps)]
    for stage in found.then:
        series = _ranked(series, stage) if isinstance(stage, Ranked) else _kept(series, stage)
    return json_response({"series": [_shown(each) for each in series], "metrics": {}, "status": "COMPLETE"})


def _series(metric: Metric, group: SpanSeries, steps: range) -> list[Series]:
    texts = zip(metric.by, group.group, strict=False)
    labels: list[tuple[str, dict[str, Any]]] = [(word, {"stringValue": text or _NO_VALUE}) for word, text in texts]
    if metric.quantiles:
        return [
            Series([*labels, ("p", {"doubleValue": quantile})], {time: numbers[index] for time, numbers in group.points.items()})
            for index, quantile in enumerate(metric.quantiles)
        ]
    points = {time: numbers[0] for time, numbers in group.points.items()}
    if metric.function == "histogram_over_time":
        return [Series([*labels, ("__bucket", {"doubleValue": float(group.group[-1])})], points)]
    if metric.field is None:
        points = {time: points.get(time, 0.0) for time in steps}
    return [Series(labels or [("__name__", {"stringValue": metric.function})], points)]


def _ranked(series: list[Series], stage: Ranked) -> list[Series]:
    """Each step's largest or smallest numbers; of equal ones those of the first series."""
    kept: list[dict[int, float]] = [{} for _ in series]
    largest = stage.function == "topk"
    for time in {time for each in series for time in each.points}:
        there = [(each.points[time], position) for position, each in enumerate(series) if time in each.points]
        there.sort(key=lambda item: (-item[0] if largest else item[0], item[1]))
        for value, position in there[: stage.count]:
            kept[position][time] = value
    return [Series(each.labels, points) for each, points in zip(series, kept, strict=True) if points]


def _kept(series: list[Series], stage: Kept) -> list[Series]:
    """The numbers that compare so."""
    fits = _COMPARISONS[stage.operator]
    kept = ({time: value for time, value in each.points.items() if fits(value, stage.value)} for each in series)
    return [Series(each.labels, points) for each, points in zip(series, kept, strict=True) if points]


def _shown(series: Series) -> dict[str, Any]:
    texts = ", ".join(f"{key}={json.dumps(str(next(iter(value.values()))))}" for key, value in series.labels)
    return {
        "labels": [{"key": key, "value": value} for key, value in series.labels],
        "promLabels": f"{{{texts}}}",
        "samples": [{"timestampMs": str(time // 10**6), "value": value} for time, value in sorted(series.points.items())],
    }


ROUTES: Final = (web.get(f"{PREFIX}/metrics/query_range", query_range),)
