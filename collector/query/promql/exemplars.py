"""Spans that show what series are made of: of each stretch of time the slowest that has failed, and the slowest of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from collector.query.promql.call_exemplars import find_calls, slowest_told
from collector.query.promql.expressions import NAME, Aggregation, Binary, Call, Expression, Matcher, Negated, Selector, Subquery
from collector.query.promql.families import LE, Metric
from collector.query.promql.loading import compared, le_texts, matching_condition, metrics_of
from collector.query.promql.matchers import fits
from collector.query.promql.vectors import Labels, labels_of
from collector.query.rollups import CALLS
from collector.query.store import DURATION, ERROR, STATUS_CODES, SpanStore, Statement, time_range

STRETCHES: Final = 100
"""Into which the time is divided."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A span, as a point beside a series.

    Attributes:
        time: when the span starts, nanoseconds since 1970.
        value: its duration in the metric's unit where that is what the metric tells, else 1.
    """

    trace_id: str
    span_id: str
    time: int
    value: float


def selectors_of(expression: Expression) -> Iterator[Selector]:
    """All selectors that an expression has in it."""
    match expression:
        case Selector():
            yield expression
        case Subquery(of=of) | Negated(of):
            yield from selectors_of(of)
        case Call(arguments=arguments):
            for argument in arguments:
                yield from selectors_of(argument)
        case Aggregation(of=of, parameter=parameter):
            yield from selectors_of(of)
            if parameter is not None:
                yield from selectors_of(parameter)
        case Binary(left=left, right=right):
            yield from selectors_of(left)
            yield from selectors_of(right)


def exemplars_statement(
    store: SpanStore, metric: Metric, matchers: Sequence[Matcher], *, start: int, end: int, workspace: str
) -> Statement:
    """A row for each span: its labels as `Labels`, and `TraceId`, `SpanId`, `Start` and `Length` in nanoseconds."""
    condition, parameters = matching_condition(metric, matchers)
    within, times = time_range(start, end)
    conditions = ["Workspace = {workspace:String}", within, "TraceId != ''", condition]
    beyond = [matcher for matcher in matchers if matcher.label not in (NAME, LE, *metric.labels)]
    for number, matcher in enumerate(beyond):
        # Labels beyond those are attributes, of the resource where the span has none.
        parameters[f"label{number}"] = matcher.label
        of_span, of_resource = (_attribute(f"{level}Attributes", f"label{number}") for level in ("Span", "Resource"))
        text = f"if({of_span} != '', {of_span}, {of_resource})"
        found, values = compared(text, matcher, f"beyond{number}")
        conditions.append(found)
        parameters |= values
    labels = ", ".join(f"toString({expression})" for expression in metric.labels.values())
    return Statement(
        f"SELECT tupleElement(Slowest, 1) AS Labels, tupleElement(Slowest, 2) AS TraceId, tupleElement(Slowest, 3) AS SpanId,"  # noqa: S608 - names are checked, values are bound
        " tupleElement(Slowest, 4) AS Start, tupleElement(Slowest, 5) AS Length FROM (SELECT"
        f" argMax(([{labels}], TraceId, SpanId, toUnixTimestamp64Nano(Timestamp), {DURATION}), {DURATION}) AS Slowest"
        f" FROM {store.spans_table} WHERE {' AND '.join(conditions)}"
        f" GROUP BY intDiv(toUnixTimestamp64Nano(Timestamp) - {{start:Int64}}, {{stretch:Int64}}),"
        f" StatusCode = '{STATUS_CODES[ERROR]}') ORDER BY Start, SpanId",
        {**parameters, **times, "workspace": workspace, "stretch": _stretch(start, end)},
    )


def _attribute(attributes: str, label: str) -> str:
    names = f"arrayMap(key -> replaceRegexpAll(key, '[^A-Za-z0-9_]', '_'), mapKeys({attributes}))"
    return f"mapValues({attributes})[indexOf({names}, {{{label}:String}})]"


async def find_exemplars(
    store: SpanStore, expression: Expression, *, start: int, end: int, workspace: str
) -> dict[Labels, list[Exemplar]]:
    """Spans that start in [start, end), nanoseconds, by the series that count them; each series' by time.

    For metrics of calls see `call_exemplars.py`.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    found: dict[Labels, list[Exemplar]] = {}
    for matchers in dict.fromkeys(selector.matchers for selector in selectors_of(expression)):
        # Metrics with the same labels tell of the same spans.
        alike: dict[tuple[str, ...], list[Metric]] = {}
        for metric in metrics_of(matchers):
            alike.setdefault(tuple(metric.labels), []).append(metric)
        for names, metrics in alike.items():
            find = _of_calls if metrics[0].rollups is CALLS else _of_spans
            for metric, labels, span, length in await find(store, metrics, matchers, start, end, workspace):
                value, le = _told(metric, length)
                if not le or all(fits(matcher, le) for matcher in matchers if matcher.label == LE):
                    series = labels_of({**dict(zip(names, labels, strict=True)), LE: le, NAME: metric.name})
                    found.setdefault(series, []).append(replace(span, value=value))
    for of_series in found.values():
        of_series.sort(key=lambda exemplar: exemplar.time)
    return found


_Found = tuple[Metric, Sequence[str], Exemplar, int]
"""A metric, the texts of its labels, a span of which it tells, and how long that takes, in nanoseconds."""


async def _of_spans(
    store: SpanStore, metrics: Sequence[Metric], matchers: Sequence[Matcher], start: int, end: int, workspace: str
) -> list[_Found]:
    statement = exemplars_statement(store, metrics[0], matchers, start=start, end=end, workspace=workspace)
    rows = list((await store.fetch(statement)).rows())
    return [
        (metric, row["Labels"], Exemplar(row["TraceId"], row["SpanId"], row["Start"], 1.0), row["Length"])
        for metric in metrics
        for row in rows
    ]


async def _of_calls(
    store: SpanStore, metrics: Sequence[Metric], matchers: Sequence[Matcher], start: int, end: int, workspace: str
) -> list[_Found]:
    stretch = _stretch(start, end)
    calls = await find_calls(store, metrics[0], matchers, start=start, end=end, stretch=stretch, workspace=workspace)
    return [
        (metric, told.labels, Exemplar(told.trace_id, told.span_id, told.time, 1.0), told.length)
        for metric in metrics
        for told in slowest_told(metric, calls)
    ]


def _stretch(start: int, end: int) -> int:
    """Nanoseconds of each of the STRETCHES."""
    return max(-(-(end - start) // STRETCHES), 1)


def _told(metric: Metric, length: int) -> tuple[float, str]:
    """What a metric tells of a span that takes so many nanoseconds, and in which of its buckets; '' without any."""
    if metric.unit == 1:
        return 1.0, ""
    value = length / metric.unit
    return value, next((bound for bound in le_texts(metric) if value <= float(bound)), "")
