"""What an expression needs read from the store: which metrics by which labels, and in which cells of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.promql.expressions import NAME, Aggregation, At, Binary, Call, Expression, Negated, Selector, Subquery
from collector.query.promql.families import LE
from collector.query.promql.loading import MOST_CELLS, Grid, Load, metrics_of
from collector.query.promql.vectors import EvaluationError
from collector.query.rollups import HOUR, MINUTE, RED, SECOND

ENDS_AFTER: Final = HOUR
"""A series is there from the first span until so many nanoseconds after the last."""
MERGED: Final = 4
"""So many buckets of sketches are read as one where there are many steps: quantiles are then off by 4.4 % at most."""
MOST_STEPS: Final = 11_000
"""Of a subquery, as of a query."""
DAY: Final = 24 * HOUR
_MOST_FINE_CELLS: Final = 64


@dataclass(frozen=True, slots=True)
class Steps:
    """The times at which an expression is worked out, nanoseconds since 1970: `first`, and then every `length`."""

    first: int
    length: int = MINUTE
    count: int = 1

    @property
    def times(self) -> NDArray[np.int64]:
        return self.first + self.length * np.arange(self.count, dtype=np.int64)

    @property
    def last(self) -> int:
        return self.first + self.length * (self.count - 1)

    def at(self, of: Selector | Subquery) -> Steps:
        """The times at which a part of an expression is looked at, its offset not taken off."""
        return self if of.at is None else Steps(_known(of.at))

    def inner(self, of: Subquery) -> Steps:
        """The times at which a subquery is worked out.

        Raises:
            EvaluationError: they are too many.
        """
        outer = self.at(of)
        first = max((outer.first - of.offset_ns - of.range_ns) // of.step_ns * of.step_ns + of.step_ns, 0)
        last = (outer.last - of.offset_ns) // of.step_ns * of.step_ns
        count = (last - first) // of.step_ns + 1
        if count > MOST_STEPS:
            step = f"{of.step_ns / SECOND:g} s"
            raise EvaluationError(f"a subquery has {count} steps of {step}; ask for longer ones, {MOST_STEPS} at most")
        return Steps(first, of.step_ns, count) if count > 0 else Steps(max(last, 0), of.step_ns)


def _known(at: At) -> int:
    assert isinstance(at, int)  # noqa: S101 - see fixed
    return at


def fixed(expression: Expression, steps: Steps) -> Expression:
    """An expression with times in place of `start()` and `end()` of a query."""

    def time_of(at: At) -> At:
        return {"start": steps.first, "end": steps.last}[at] if isinstance(at, str) else at

    match expression:
        case Selector(at=at):
            return replace(expression, at=time_of(at))
        case Subquery(of=of, at=at):
            return replace(expression, of=fixed(of, steps), at=time_of(at))
        case Call(arguments=arguments):
            return replace(expression, arguments=tuple(fixed(each, steps) for each in arguments))
        case Aggregation(of=of, parameter=parameter):
            return replace(expression, of=fixed(of, steps), parameter=None if parameter is None else fixed(parameter, steps))
        case Negated(of):
            return Negated(fixed(of, steps))
        case Binary(left=left, right=right):
            return replace(expression, left=fixed(left, steps), right=fixed(right, steps))
    return expression


@dataclass(frozen=True, slots=True)
class Growth:
    """A rate or an increase, or the sum of those by labels.

    Attributes:
        function: one of GROWTHS; `irate` is the rate of the last whole minute. Empty for a counter as it stands.
    """

    function: str
    of: Selector
    labels: tuple[str, ...] = (NAME,)
    without: bool = True

    @property
    def keeps_bounds(self) -> bool:
        """Whether the buckets of a histogram stay apart."""
        return (LE in self.labels) != self.without


def growth_of(expression: Expression) -> Growth | None:
    """The rate that an expression is, or is a sum of."""
    match expression:
        case Call("rate" | "increase" | "irate" as function, (Selector() as selector,)):
            return Growth(function, _range_of(function, selector))
        case Aggregation(
            "sum", Call("rate" | "increase" | "irate" as function, (Selector() as selector,)), None, labels, without
        ) if sum(1 for _ in metrics_of(selector.matchers)) == 1:
            # The name is gone before anything is summed up.
            of = _range_of(function, selector)
            return Growth(function, of, (*labels, NAME) if without else tuple(set(labels) - {NAME}), without)
    return None


def _range_of(function: str, selector: Selector) -> Selector:
    """The selector with the range that is looked at."""
    return replace(selector, range_ns=MINUTE) if function == "irate" else selector


def fine_growth_of(expression: Call) -> Growth | None:
    """The rate of whole histograms of which an expression is a quantile; None where something else is made of buckets."""
    growth = growth_of(expression.arguments[1])
    if growth is None or not growth.keeps_bounds or any(matcher.label == LE for matcher in growth.of.matchers):
        return None
    return growth if all(metric.is_bucket for metric in metrics_of(growth.of.matchers)) else None


def needed(expression: Expression, steps: Steps) -> Iterator[Load]:
    """What is to be read for an expression without `start()` and `end()`; the same may come several times.

    Raises:
        EvaluationError: it is too much.
    """
    growth = growth_of(expression)
    if growth is not None:
        yield from loads_of(growth, steps)
        return
    match expression:
        case Selector():
            yield from loads_of(Growth("", expression, labels=()), steps)
        case Call("histogram_quantile", (quantile, _)) if (fine := fine_growth_of(expression)) is not None:
            yield from needed(quantile, steps)
            yield from loads_of(fine, steps, of_sketches=True)
        case Subquery():
            yield from needed(expression.of, steps.inner(expression))
        case Call():
            for argument in expression.arguments:
                yield from needed(argument, steps)
        case Aggregation():
            yield from needed(expression.of, steps)
            if expression.parameter is not None:
                yield from needed(expression.parameter, steps)
        case Negated():
            yield from needed(expression.of, steps)
        case Binary():
            yield from needed(expression.left, steps)
            yield from needed(expression.right, steps)


def loads_of(growth: Growth, steps: Steps, *, of_sketches: bool = False) -> Iterator[Load]:
    """What is to be read for a rate: one for each metric that it may be of."""
    selector = growth.of
    grid = _grid(selector, steps.at(selector))
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
    last = first + steps.last - steps.first
    seen_from = max(first - max(selector.range_ns, ENDS_AFTER), 0)
    counted_from = max(first - selector.range_ns, 0) if selector.range_ns else first // DAY * DAY
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
