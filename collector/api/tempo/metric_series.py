"""Series of TraceQL's metrics: made of groups of spans, thinned out, calculated with, and shown."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from collector.query.span_contrast import Contrast, ContrastedKey
from collector.query.span_series import Exemplar, Metric, SpanSeries
from collector.query.traceql.constants import COMPARISONS
from collector.query.traceql.reading import Combined, MetricsQuery, Narrowed, Result
from collector.query.traceql.stages import Kept, Ranked

_NO_VALUE: Final = "nil"
_NAME: Final = "__name__"
"""The label of a series that has no others."""

_CALCULATIONS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Series:
    """A series as it is shown.

    Attributes:
        labels: names and values.
        points: numbers by the starts of steps, nanoseconds since 1970.
        exemplars: spans of which it is made, at most one of a step from each metric.
    """

    labels: list[tuple[str, dict[str, Any]]]
    points: dict[int, float]
    exemplars: Sequence[Exemplar] = ()

    def narrowed(self, points: dict[int, float]) -> Series:
        """The same with some of its numbers, and of its exemplars those at them."""
        return replace(self, points=points, exemplars=[each for each in self.exemplars if each.step in points])


Found = Sequence[SpanSeries] | Sequence[ContrastedKey]
"""What was found for one metric."""


def series_of(result: Result, groups: Sequence[Found], steps: range) -> list[Series]:
    """The series that a query asks for.

    Args:
        result: of the query.
        groups: what was found for each of its metrics, in the order of `metrics_in`.
        steps: where steps start, nanoseconds since 1970.
    """
    value = _evaluated(result, iter(groups).__next__, steps)
    return value if isinstance(value, list) else []


def shown_labels(series: Series) -> list[dict[str, Any]]:
    """The labels of a series, as they stand in answers."""
    return [{"key": key, "value": value} for key, value in series.labels]


def shown_exemplars(series: Sequence[Series], most: int) -> list[list[dict[str, Any]]]:
    """Exemplars of each series, over all of the time: at most so many of all together."""
    left = most
    shown = []
    for number, each in enumerate(series):
        # What one series has no use for is left to the next ones.
        share = -(-left // (len(series) - number))
        stretch = max(-(-len(each.exemplars) // max(share, 1)), 1)
        chosen = sorted(each.exemplars, key=lambda exemplar: exemplar.time)[::stretch] if share else []
        left -= len(chosen)
        shown.append([_shown(exemplar, each.points[exemplar.step]) for exemplar in chosen])
    return shown


def _shown(exemplar: Exemplar, number: float) -> dict[str, Any]:
    ids = {"trace:id": exemplar.trace_id, "span:id": exemplar.span_id}
    return {
        "labels": [{"key": key, "value": {"stringValue": text}} for key, text in ids.items()],
        # Where spans are counted it stands at the number of its step.
        "value": number if exemplar.value is None else exemplar.value,
        "timestampMs": str(exemplar.time // 10**6),
    }


def _evaluated(result: Result, found: Callable[[], Found], steps: range) -> list[Series] | float:
    match result:
        case MetricsQuery():
            return [each for group in found() for each in _of(result.metric, group, steps)]
        case Narrowed():
            series = _evaluated(result.of, found, steps)
            assert isinstance(series, list)  # noqa: S101 - what is read has a metric
            for stage in result.then:
                series = _ranked(series, stage) if isinstance(stage, Ranked) else _kept(series, stage)
            return series
        case Combined():
            left = _evaluated(result.left, found, steps)
            right = _evaluated(result.right, found, steps)
            return _combined(result.operator, left, right)
    return result


def _of(metric: Metric | Contrast, found: SpanSeries | ContrastedKey, steps: range) -> list[Series]:
    if isinstance(found, ContrastedKey):
        return _of_key(found)
    assert isinstance(metric, Metric)  # noqa: S101 - only metrics find groups
    return _of_group(metric, found, steps)


def _of_key(found: ContrastedKey) -> list[Series]:
    """How often each value occurs among the selected spans and the others, and how many of each have the key."""

    def series(what: str, value: str, points: dict[int, float]) -> Series:
        return Series([("__meta_type", {"stringValue": what}), (found.key, {"stringValue": value})], points)

    sides = (("baseline", found.baseline), ("selection", found.selection))
    return [
        *(series(name, value, points) for name, side in sides for value, points in side.values),
        *(series(f"{name}_total", _NO_VALUE, side.total) for name, side in sides if side.total),
    ]


def _of_group(metric: Metric, group: SpanSeries, steps: range) -> list[Series]:
    texts = zip(metric.by, group.group, strict=False)
    labels: list[tuple[str, dict[str, Any]]] = [(word, {"stringValue": text or _NO_VALUE}) for word, text in texts]
    if metric.quantiles:
        # An exemplar has the largest number of its step: it belongs to the highest quantile.
        highest = max(metric.quantiles)
        return [
            Series(
                [*labels, ("p", {"doubleValue": quantile})],
                {time: numbers[index] for time, numbers in group.points.items()},
                group.exemplars if quantile == highest else (),
            )
            for index, quantile in enumerate(metric.quantiles)
        ]
    points = {time: numbers[0] for time, numbers in group.points.items()}
    if metric.function == "histogram_over_time":
        return [Series([*labels, ("__bucket", {"doubleValue": float(group.group[-1])})], points, group.exemplars)]
    if metric.field is None:
        points = {time: points.get(time, 0.0) for time in steps}
    return [Series(labels or [(_NAME, {"stringValue": metric.function})], points, group.exemplars)]


def _ranked(series: list[Series], stage: Ranked) -> list[Series]:
    """Each step's largest or smallest numbers; of equal ones those of the first series."""
    kept: list[dict[int, float]] = [{} for _ in series]
    largest = stage.function == "topk"
    for time in {time for each in series for time in each.points}:
        there = [(each.points[time], position) for position, each in enumerate(series) if time in each.points]
        there.sort(key=lambda item: (-item[0] if largest else item[0], item[1]))
        for value, position in there[: stage.count]:
            kept[position][time] = value
    return [each.narrowed(points) for each, points in zip(series, kept, strict=True) if points]


def _kept(series: list[Series], stage: Kept) -> list[Series]:
    """The numbers that compare so."""
    fits = COMPARISONS[stage.operator]
    kept = ({time: value for time, value in each.points.items() if fits(value, stage.value)} for each in series)
    return [each.narrowed(points) for each, points in zip(series, kept, strict=True) if points]


def _combined(sign: str, left: list[Series] | float, right: list[Series] | float) -> list[Series] | float:
    """What is calculated of series with the same labels, at the steps that both have; a number, or the one series without labels
    on a side, goes with each of the other side."""
    if isinstance(left, float):
        if isinstance(right, float):
            return _calculated(sign, left, right)
        left = [_constant(left, each) for each in right]
    elif isinstance(right, float):
        right = [_constant(right, each) for each in left]
    elif _are_nameless(left) != _are_nameless(right):
        pairs = [(each, other) for each in left for other in right]
        return _paired(sign, pairs)
    partners = {_key(each): each for each in right}
    return _paired(sign, [(each, partners[_key(each)]) for each in left if _key(each) in partners])


def _paired(sign: str, pairs: Sequence[tuple[Series, Series]]) -> list[Series]:
    combined = []
    for left, right in pairs:
        values = {
            time: _calculated(sign, value, right.points[time]) for time, value in left.points.items() if time in right.points
        }
        # Where there is nothing to divide by, there is no number.
        points = {time: value for time, value in values.items() if math.isfinite(value)}
        exemplars = [replace(each, value=None) for each in (*left.exemplars, *right.exemplars)]
        if points:
            combined.append(Series(_combined_labels(left, sign, right), {}, exemplars).narrowed(points))
    return combined


def _calculated(sign: str, left: float, right: float) -> float:
    try:
        return _CALCULATIONS[sign](left, right)
    except ZeroDivisionError:
        return math.nan


def _constant(number: float, like: Series) -> Series:
    """The number as a series that goes with another."""
    labels = [(_NAME, {"stringValue": f"{number:g}"})] if _is_nameless(like) else like.labels
    return Series(labels, dict.fromkeys(like.points, number))


def _are_nameless(series: Sequence[Series]) -> bool:
    return len(series) == 1 and _is_nameless(series[0])


def _is_nameless(series: Series) -> bool:
    return series.labels[0][0] == _NAME


def _key(series: Series) -> tuple[tuple[str, str], ...]:
    """What two series must have in common."""
    return tuple(sorted((key, str(value)) for key, value in series.labels if key != _NAME))


def _combined_labels(left: Series, sign: str, right: Series) -> list[tuple[str, dict[str, Any]]]:
    for series in (left, right):
        if not _is_nameless(series):
            return series.labels
    names = (str(series.labels[0][1]["stringValue"]) for series in (left, right))
    return [(_NAME, {"stringValue": f" {sign} ".join(names)})]
