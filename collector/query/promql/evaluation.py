"""Works out an expression at all steps of a query, in two goes: what it needs is read from the store, then all is calculated.

Sums of rates, of which most queries consist, are read as sums. Quantiles of histograms are read from their sketches, which are
finer than the buckets that the label `le` tells, unless something is made of the buckets first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector import sketch
from collector.query.promql import operations
from collector.query.promql.expressions import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Negated,
    Number,
    Selector,
)
from collector.query.promql.families import LE
from collector.query.promql.loading import MOST_CELLS, Counted, Grid, Load, fetch, metrics_of
from collector.query.promql.reading import type_of
from collector.query.promql.vectors import (
    NAME,
    EvaluationError,
    Labels,
    Numbers,
    Vector,
    empty,
    joined,
    kept,
    labels_of,
    unnamed,
)
from collector.query.rollups import HOUR, MINUTE, RED, SECOND
from collector.query.store import SpanStore

ENDS_AFTER: Final = HOUR
"""A series is there from the first span until so many nanoseconds after the last."""
MOST_NUMBERS: Final = 2_000_000
"""Numbers of a result."""
MOST_LOADS: Final = 40
"""So many selections of metrics that differ may stand in one query."""
MERGED: Final = 4
"""So many buckets of sketches are read as one where there are many steps: quantiles are then off by 4.4 % at most."""

_AT_ONCE: Final = 4
_MOST_FINE_CELLS: Final = 64
_DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Steps:
    """The times at which an expression is worked out, nanoseconds since 1970: `first`, and then every `length`."""

    first: int
    length: int = MINUTE
    count: int = 1

    @property
    def times(self) -> NDArray[np.int64]:
        return self.first + self.length * np.arange(self.count, dtype=np.int64)


async def evaluate(store: SpanStore, expression: Expression, steps: Steps, workspace: str) -> Vector | Numbers:
    """What an expression comes to: series, or a number for each step.

    Args:
        expression: of a vector or a scalar.

    Raises:
        EvaluationError: it cannot be worked out on the series that there are, or there are too many.
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    loads = list(dict.fromkeys(_needed(expression, steps)))
    if len(loads) > MOST_LOADS:
        raise EvaluationError(f"the query reads {len(loads)} different selections of metrics; at most {MOST_LOADS} are served")
    room = asyncio.Semaphore(_AT_ONCE)

    async def read(load: Load) -> Sequence[Counted]:
        async with room:
            return await fetch(store, load, workspace)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(load)) for load in loads]
    except ExceptionGroup as errors:
        # One is enough to say why there is no answer.
        raise errors.exceptions[0] from None
    counted = {load: task.result() for load, task in zip(loads, tasks, strict=True)}
    found = await asyncio.to_thread(_Evaluation(steps, counted).value, expression)
    if isinstance(found, Vector) and found.values.size > MOST_NUMBERS:
        raise EvaluationError(f"{len(found.labels)} series at {steps.count} steps are too many; ask for fewer")
    return found


@dataclass(frozen=True, slots=True)
class _Growth:
    """A rate or an increase, or the sum of those by labels."""

    function: str
    of: Selector
    labels: tuple[str, ...] = (NAME,)
    without: bool = True

    @property
    def keeps_bounds(self) -> bool:
        return (LE in self.labels) != self.without


def _growth(expression: Expression) -> _Growth | None:
    """The rate that an expression is, or is a sum of."""
    match expression:
        case Call("rate" | "increase" as function, (Selector() as selector,)):
            return _Growth(function, selector)
        case Aggregation("sum", Call("rate" | "increase" as function, (Selector() as selector,)), None, labels, without) if (
            sum(1 for _ in metrics_of(selector.matchers)) == 1
        ):
            # The name is gone before anything is summed up.
            return _Growth(function, selector, (*labels, NAME) if without else tuple(set(labels) - {NAME}), without)
    return None


def _fine_growth(expression: Call) -> _Growth | None:
    """The rate of whole histograms of which an expression is a quantile; None where something else is made of buckets."""
    growth = _growth(expression.arguments[1])
    if growth is None or not growth.keeps_bounds or any(matcher.label == LE for matcher in growth.of.matchers):
        return None
    return growth if all(metric.is_bucket for metric in metrics_of(growth.of.matchers)) else None


def _needed(expression: Expression, steps: Steps) -> Iterator[Load]:
    growth = _growth(expression)
    if growth is not None:
        yield from _loads(growth, steps)
        return
    match expression:
        case Selector():
            yield from _loads(_Growth("", expression, labels=()), steps)
        case Call("histogram_quantile", (quantile, _)) if (fine := _fine_growth(expression)) is not None:
            yield from _needed(quantile, steps)
            yield from _loads(fine, steps, of_sketches=True)
        case Call():
            for argument in expression.arguments:
                yield from _needed(argument, steps)
        case Aggregation():
            yield from _needed(expression.of, steps)
            if expression.parameter is not None:
                yield from _needed(expression.parameter, steps)
        case Negated():
            yield from _needed(expression.of, steps)
        case Binary():
            yield from _needed(expression.left, steps)
            yield from _needed(expression.right, steps)


def _loads(growth: _Growth, steps: Steps, *, of_sketches: bool = False) -> Iterator[Load]:
    selector = growth.of
    grid = _grid(selector, steps)
    merged = 0
    if of_sketches:
        merged = 1 if len(grid.boundaries) <= _MOST_FINE_CELLS else MERGED
    matchers = tuple(matcher for matcher in selector.matchers if matcher.label != NAME)
    for metric in metrics_of(selector.matchers):
        yield Load(metric, matchers, grid, growth.labels, growth.without, merged)


def _grid(selector: Selector, steps: Steps) -> Grid:
    """Cells in which a selector's counters are read: with few steps between the times that matter, else of the longest steps that
    tables have and that are no longer than those of the query and the range."""
    first = max(steps.first - selector.offset_ns, 0)
    last = first + steps.length * (steps.count - 1)
    seen_from = max(first - max(selector.range_ns, ENDS_AFTER), 0)
    counted_from = max(first - selector.range_ns, 0) if selector.range_ns else first // _DAY * _DAY
    if steps.count == 1:
        wanted = (seen_from, counted_from, first)
        return Grid(
            tuple(sorted({edge for time in wanted for edge in (time // MINUTE * MINUTE, -(-(time + 1) // MINUTE) * MINUTE)}))
        )
    longest = min(steps.length, selector.range_ns or steps.length)
    cell = next((rollup.step for rollup in RED if rollup.step <= longest), MINUTE)
    start = min(seen_from, counted_from) // cell * cell
    # More cells than a few, all of the same length.
    count = max(-(-(last - start) // cell), 16)
    if count > MOST_CELLS:
        raise EvaluationError(f"the range would be read in {count} steps of {cell // SECOND} s; ask for longer steps")
    return Grid(tuple(start + cell * np.arange(count + 1, dtype=np.int64).astype(object)))


class _Evaluation:
    """Works out expressions of what was read.

    Args:
        counted: what each of the loads that are needed has found.
    """

    def __init__(self, steps: Steps, counted: Mapping[Load, Sequence[Counted]]) -> None:
        self._steps = steps
        self._times = steps.times
        self._counted = counted

    def value(self, expression: Expression) -> Vector | Numbers:
        """What an expression of a vector or a scalar comes to."""
        return self._scalar(expression) if type_of(expression) == "scalar" else self._vector(expression)

    def _scalar(self, expression: Expression) -> Numbers:
        match expression:
            case Number(value):
                return np.full(self._steps.count, value)
            case Negated(of):
                return -self._scalar(of)
            case Binary(operator, left, right):
                return operations.calculated(operator, self._scalar(left), self._scalar(right))
            case Call("scalar", (of,)):
                return operations.scalar(self._vector(of))
            case _:  # time(), which is the only other one
                return self._times / SECOND

    def _vector(self, expression: Expression) -> Vector:
        growth = _growth(expression)
        if growth is not None:
            return self._grown(growth)
        match expression:
            case Selector():
                return self._standing(expression)
            case Call("histogram_quantile", (quantile, of)):
                fine = _fine_growth(expression)
                q = self._scalar(quantile)
                return self._fine_quantile(q, fine) if fine is not None else operations.histogram_quantile(q, self._vector(of))
            case Call("absent", (of,)):
                return self._absent(of)
            case Call("vector", (of,)):
                value = self._scalar(of)[np.newaxis]
                return Vector([()], value, np.ones(value.shape, np.bool_))
            case Aggregation():
                parameter = self._scalar(expression.parameter) if expression.parameter is not None else None
                return operations.aggregated(expression, self._vector(expression.of), parameter)
            case Negated(of):
                return self._vector(of).mapped(np.negative)
            case Binary():
                return operations.combined(expression, self.value(expression.left), self.value(expression.right))
        raise AssertionError(f"{expression} is no vector")  # the types were checked when it was read

    def _grown(self, growth: _Growth) -> Vector:
        found = [
            self._of_series(growth, counted, counted.labels)
            for load in _loads(growth, self._steps)
            for counted in self._counted[load]
        ]
        return unnamed(joined(found, self._steps.count))

    def _of_series(self, growth: _Growth, counted: Counted, labels: list[Labels]) -> Vector:
        ends = self._times - growth.of.offset_ns
        starts = ends - growth.of.range_ns
        values = counted.at(ends) - counted.at(starts)
        if growth.function == "rate":
            values /= growth.of.range_ns / SECOND
        return Vector(labels, values, counted.any_between(np.minimum(starts, ends - ENDS_AFTER), ends))

    def _standing(self, selector: Selector) -> Vector:
        """Counters as they stand: what was counted since midnight, in UTC."""
        times = self._times - selector.offset_ns
        found = []
        for load in _loads(_Growth("", selector, labels=()), self._steps):
            for counted in self._counted[load]:
                values = counted.at(times) - counted.at(times // _DAY * _DAY)
                found.append(Vector(counted.labels, values, counted.any_between(times - ENDS_AFTER, times)))
        return joined(found, self._steps.count)

    def _fine_quantile(self, quantile: Numbers, growth: _Growth) -> Vector:
        found = []
        for load in _loads(growth, self._steps, of_sketches=True):
            for counted in self._counted[load]:
                each = self._of_series(growth, counted, counted.labels)
                labels = kept(counted.labels[0], (LE,), without=True)
                values = [sketch.estimate(bucket, load.merged) for bucket in counted.buckets.tolist()]
                estimates = np.array(values) / load.metric.unit
                value = operations.quantile_of_estimates(quantile, estimates, each.values)
                found.append(Vector([labels], value[np.newaxis], each.present[:1]))
        return unnamed(joined(found, self._steps.count))

    def _absent(self, of: Expression) -> Vector:
        missing = ~np.logical_or.reduce(self._vector(of).present, axis=0, keepdims=True)
        matchers = of.matchers if isinstance(of, Selector) else ()
        named = [matcher.label for matcher in matchers]
        labels = labels_of(
            (matcher.label, matcher.value)
            for matcher in matchers
            if matcher.operator == "=" and matcher.label != NAME and named.count(matcher.label) == 1
        )
        return Vector([labels], np.ones(missing.shape), missing) if missing.any() else empty(self._steps.count)
