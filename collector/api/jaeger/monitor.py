"""The metrics of Jaeger's page Monitor, from the tables that the processor `red_metrics` fills."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from collector.api.asked import HOUR, MILLISECOND, asked, epoch, parsed, required, truth
from collector.api.jaeger.rendering import answer
from collector.api.jaeger.routes import PREFIX
from collector.api.parsing import choice
from collector.api.problems import BadParameter, Problem
from collector.api.rendering import number
from collector.api.routing import CALLER, NOW, STORE
from collector.query.red import Measures, RedQuery, Series, find_red, whole_steps
from collector.query.red_spans import RedSpans
from collector.query.rollups import MINUTE, SECOND
from collector.query.store import KINDS
from exporters.clickhouse.client import ClickHouseError

_DEFAULT_STEP: Final = 5 * SECOND
_MOST_POINTS: Final = 11_000
_MOST_SERIES: Final = 1_000
_UNKNOWN_TABLE: Final = 60
_NAN: Final = float("nan")

Reading = Callable[[Measures | None, int], float]
"""The value of a point from what is known of its step, whose length is given in nanoseconds."""


def _kind(text: str) -> str:
    return choice(KINDS)(text.removeprefix("SPAN_KIND_"))


def _quantile(text: str) -> float:
    try:
        quantile = float(text)
    except ValueError:
        quantile = _NAN
    if not 0 <= quantile <= 1:
        raise ValueError("must be a number from 0 to 1, such as 0.95")
    return quantile


async def latencies(request: web.Request) -> web.Response:
    """A quantile of the durations over time, in milliseconds."""
    quantile = parsed("quantile", required(request.query, "quantile", "a number from 0 to 1, such as 0.95,"), _quantile)

    def read(measures: Measures | None, _: int) -> float:
        return measures.percentiles[0] / MILLISECOND if measures else _NAN

    return await _family(request, "latencies", f"Quantile {quantile:g} of durations, in milliseconds", read, quantile)


async def calls(request: web.Request) -> web.Response:
    """Calls a second over time."""
    return await _family(
        request, "call_rate", "Calls a second", lambda measures, step: measures.spans * SECOND / step if measures else 0.0
    )


async def errors(request: web.Request) -> web.Response:
    """The share of calls that failed over time; zero where there are calls of which none did."""
    return await _family(
        request,
        "error_rate",
        "Share of calls that failed",
        lambda measures, _: measures.errors / measures.spans if measures else _NAN,
    )


async def _family(request: web.Request, name: str, help_text: str, read: Reading, quantile: float = 0.5) -> web.Response:
    query = request.query
    services = [service for service in query.getall("service", []) if service]
    if not services:
        raise BadParameter("service", "", "the name of a service is needed")
    by_operation = asked(query, truth, False, "groupByOperation")
    kinds = tuple(parsed("spanKind", text, _kind) for text in query.getall("spanKind", [])) or ("Server",)
    asked(query, epoch(MILLISECOND), 0, "ratePer")  # rates are those of each step
    now = request.app[NOW]()
    end = asked(query, epoch(MILLISECOND), now, "endTs")
    lookback = asked(query, epoch(MILLISECOND), HOUR, "lookback")
    # The tables know minutes.
    step = max(-(-asked(query, epoch(MILLISECOND), _DEFAULT_STEP, "step") // MINUTE), 1) * MINUTE
    start, last = whole_steps(max(end - lookback, 0), end, step)
    # A step that is not over would look as if calls became fewer.
    last = max(min(last, now // step * step), start)
    if (last - start) // step > _MOST_POINTS:
        raise BadParameter("step", query.get("step", ""), f"must leave at most {_MOST_POINTS} points in the time range")
    metrics = []
    for service in dict.fromkeys(services):
        found = await _series(
            request,
            RedQuery(
                RedSpans(request[CALLER].workspace, "operation" if by_operation else "service", service, kinds=kinds),
                start,
                last,
                step,
                limit=_MOST_SERIES,
                percentiles=(100 * quantile,),
            ),
        )
        for series in found:
            labels = {"service_name": service, **({"operation": series.name} if by_operation else {})}
            # As in Prometheus, which Jaeger asks, a point tells of the time before it, and none is later than what was asked for.
            points = [(min(time + step, end), read(series.points.get(time), step)) for time in range(start, last, step)]
            metrics.append(_metric(labels, points))
    prefix = "service_operation" if by_operation else "service"
    return answer({"name": f"{prefix}_{name}", "type": "GAUGE", "help": help_text, "metrics": metrics})


async def _series(request: web.Request, query: RedQuery) -> list[Series]:
    try:
        return await find_red(request.app[STORE], query)
    except ClickHouseError as error:
        if error.code == _UNKNOWN_TABLE:
            raise Problem(501, "No metrics", "metrics are not stored: add the processor red_metrics to the pipeline") from None
        raise


def _metric(labels: dict[str, str], points: list[tuple[int, float]]) -> dict[str, Any]:
    return {
        "labels": [{"name": name, "value": value} for name, value in labels.items()],
        "metricPoints": [
            {
                "gaugeValue": {"doubleValue": number(value)},
                "timestamp": datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for time, value in points
        ],
    }


ROUTES: Final = (
    web.get(f"{PREFIX}/metrics/latencies", latencies),
    web.get(f"{PREFIX}/metrics/calls", calls),
    web.get(f"{PREFIX}/metrics/errors", errors),
)
