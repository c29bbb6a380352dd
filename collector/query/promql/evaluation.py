"""Works out an expression at all steps of a query, in two goes: what it needs is read from the store, then all is calculated.

Sums of rates, of which most queries consist, are read as sums. Quantiles of histograms are read from their sketches, which are
finer than the buckets that the label `le` tells, unless something is made of the buckets first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector import sketch
from collector.query.promql import operations, relabelling
from collector.query.promql.aggregations import aggregated
from collector.query.promql.element_wise import DATES, ELEMENT_WISE, date, element_wise
from collector.query.promql.expressions import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Expression,
    Negated,
    Number,
    Selector,
    Subquery,
    Text,
)
from collector.query.promql.families import LE
from collector.query.promql.loading import Counted, Load, fetch
from collector.query.promql.needs import DAY, ENDS_AFTER, Growth, Steps, fine_growth_of, fixed, growth_of, loads_of, needed
from collector.query.promql.over_time import over_time
from collector.query.promql.value_types import type_of
from collector.query.promql.vectors import (
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
from collector.query.rollups import MINUTE, SECOND
from collector.query.store import SpanStore

MOST_NUMBERS: Final = 2_000_000
"""Numbers of a result."""
MOST_LOADS: Final = 40
"""So many selections of metrics that differ may stand in one query."""
_MOST_AT_ONCE: Final = 5_000_000
"""Numbers of a part of a query, of which a result of fewer may be made."""

_AT_ONCE: Final = 4


async def evaluate(store: SpanStore, expression: Expression, steps: Steps, workspace: str) -> Vector | Numbers:
    """What an expression comes to: series, or a number for each step.

    Args:
        expression: of a vector or a scalar.

    Raises:
        EvaluationError: it cannot be worked out on the series that there are, or there are too many.
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    expression = fixed(expression, steps)
    loads = list(dict.fromkeys(needed(expression, steps)))
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
            case Call("pi"):
                return np.full(self._steps.count, np.pi)
            case _:  # time(), which is the only other one
                return self._times / SECOND

    def _vector(self, expression: Expression) -> Vector:
        vector = self._worked_out(expression)
        self._check(len(vector.labels))
        return vector

    def _check(self, series: int) -> None:
        """Raise EvaluationError for so many series that their numbers would take too much memory."""
        if series * self._steps.count > _MOST_AT_ONCE:
            raise EvaluationError(f"{series} series at {self._steps.count} steps are too many at once; ask for fewer")

    def _worked_out(self, expression: Expression) -> Vector:
        growth = growth_of(expression)
        if growth is not None:
            return self._grown(growth)
        match expression:
            case Selector():
                return self._standing(expression)
            case Call("histogram_quantile", (quantile, of)):
                fine = fine_growth_of(expression)
                q = self._scalar(quantile)
                return self._fine_quantile(q, fine) if fine is not None else operations.histogram_quantile(q, self._vector(of))
            case Call(function, arguments):
                return self._called(function, arguments)
            case Aggregation(of=of, parameter=Text(text)):
                return aggregated(expression, self._vector(of), text)
            case Aggregation(of=of, parameter=parameter):
                return aggregated(expression, self._vector(of), None if parameter is None else self._scalar(parameter))
            case Negated(of):
                return self._vector(of).mapped(np.negative)
            case Binary():
                return operations.combined(expression, self.value(expression.left), self.value(expression.right))
        raise AssertionError(f"{expression} is no vector")  # the types were checked when it was read

    def _called(self, function: str, arguments: Sequence[Expression]) -> Vector:
        match function, arguments:
            case "absent", (of,):
                return self._absent(self._vector(of), of)
            case "absent_over_time", (Subquery() as of,):
                return self._absent(self._over_time("present_over_time", of), of.of)
            case _, (Subquery() as of, *parameters) | (*parameters, Subquery() as of):
                return self._over_time(function, of, *map(self._scalar, parameters))
            case "label_replace", (of, Text(label), Text(replacement), Text(source), Text(pattern)):
                return relabelling.label_replaced(self._vector(of), label, replacement, source, pattern)
            case "label_join", (of, Text(label), Text(separator), *sources):
                names = [source.value for source in sources if isinstance(source, Text)]
                return relabelling.label_joined(self._vector(of), label, separator, names)
            case "vector", (of,):
                return self._everywhere(self._scalar(of))
            case "timestamp", (of,):
                times = self._looked_at(of) if isinstance(of, Selector) else self._times
                return self._vector(of).mapped(lambda values: np.broadcast_to(times / SECOND, values.shape))
            case "sort" | "sort_desc", (of,):
                # In which order series are told is up to whoever tells them.
                return self._vector(of)
            case _ if function in DATES:
                return date(function, self._vector(arguments[0]) if arguments else self._everywhere(self._times / SECOND))
        of, *parameters = arguments
        takes, _ = ELEMENT_WISE[function]
        # Without it, numbers are rounded to whole ones.
        numbers = [self._scalar(each) for each in parameters] or [np.ones(self._steps.count)] * takes
        return element_wise(function, self._vector(of), numbers)

    def _everywhere(self, numbers: Numbers) -> Vector:
        """A series without labels."""
        return Vector([()], numbers[np.newaxis], np.ones((1, self._steps.count), np.bool_))

    def _looked_at(self, of: Selector | Subquery) -> NDArray[np.int64]:
        """The time at which a part of an expression is looked at, for each step."""
        return np.broadcast_to(self._steps.at(of).times - of.offset_ns, self._times.shape)

    def _over_time(self, function: str, of: Subquery, parameters: Numbers | None = None) -> Vector:
        inner = self._steps.inner(of)
        vector = _Evaluation(inner, self._counted).value(of.of)
        assert isinstance(vector, Vector)  # noqa: S101 - the reader sees to it
        if vector.values.size > MOST_NUMBERS:
            raise EvaluationError(f"{len(vector.labels)} series at {inner.count} steps of a subquery are too many; ask for fewer")
        ends = self._looked_at(of)
        return over_time(function, vector, inner.times, ends, of.range_ns, parameters=parameters, steps=self._times)

    def _grown(self, growth: Growth) -> Vector:
        found = [
            self._of_series(growth, counted, counted.labels)
            for load in loads_of(growth, self._steps)
            for counted in self._counted[load]
        ]
        return unnamed(joined(found, self._steps.count))

    def _of_series(self, growth: Growth, counted: Counted, labels: list[Labels]) -> Vector:
        self._check(len(labels))
        ends = self._looked_at(growth.of)
        if growth.function == "irate":
            ends = ends // MINUTE * MINUTE
        starts = ends - growth.of.range_ns
        values = counted.at(ends) - counted.at(starts)
        if growth.function != "increase":
            values /= growth.of.range_ns / SECOND
        return Vector(labels, values, counted.any_between(np.minimum(starts, ends - ENDS_AFTER), ends))

    def _standing(self, selector: Selector) -> Vector:
        """Counters as they stand: what was counted since midnight, in UTC."""
        times = self._looked_at(selector)
        found = []
        for load in loads_of(Growth("", selector, labels=()), self._steps):
            for counted in self._counted[load]:
                self._check(len(counted.labels))
                values = counted.at(times) - counted.at(times // DAY * DAY)
                found.append(Vector(counted.labels, values, counted.any_between(times - ENDS_AFTER, times)))
        return joined(found, self._steps.count)

    def _fine_quantile(self, quantile: Numbers, growth: Growth) -> Vector:
        found = []
        for load in loads_of(growth, self._steps, of_sketches=True):
            for counted in self._counted[load]:
                each = self._of_series(growth, counted, counted.labels)
                labels = kept(counted.labels[0], (LE,), without=True)
                values = [sketch.estimate(bucket, load.merged) for bucket in counted.buckets.tolist()]
                estimates = np.array(values) / load.metric.unit
                value = operations.quantile_of_estimates(quantile, estimates, each.values)
                found.append(Vector([labels], value[np.newaxis], each.present[:1]))
        return unnamed(joined(found, self._steps.count))

    def _absent(self, found: Vector, of: Expression) -> Vector:
        """What stands for series where none is there, with the labels that tell one from others."""
        missing = ~np.logical_or.reduce(found.present, axis=0, keepdims=True)
        matchers = of.matchers if isinstance(of, Selector) else ()
        named = [matcher.label for matcher in matchers]
        labels = labels_of(
            (matcher.label, matcher.value)
            for matcher in matchers
            if matcher.operator == "=" and matcher.label != NAME and named.count(matcher.label) == 1
        )
        return Vector([labels], np.ones(missing.shape), missing) if missing.any() else empty(self._steps.count)
