"""What a query needs of the tables of derived rows, read as numbers by cells of time.

A counter's number at a time is what was counted until then. The tables know how much that was at the ends of steps; within one,
counters are taken to grow evenly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from collector import sketch
from collector.query.call_rows import OF_WORKSPACE, call_rows, fetch_calls
from collector.query.promql.expressions import NAME, Matcher
from collector.query.promql.families import LE, METRICS, Metric
from collector.query.promql.matchers import fits
from collector.query.promql.vectors import EvaluationError, Labels, Mask, Numbers, kept, labels_of
from collector.query.rollups import RED, SECOND, Part, Rollup, of_step, parts, rows_of
from collector.query.store import SpanStore, Statement
from config.histogram import BUCKETS
from config.red_metrics import label_of
from exporters.clickhouse.client import QueryResult

MOST_NUMBERS: Final = 1_000_000
"""That one selector may read."""
MOST_CELLS: Final = 20_000
_FEW: Final = 16
"""Up to so many boundaries, cells may be of any lengths."""
_BOUNDS: Final = tuple(map(int, BUCKETS))


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of time.

    Attributes:
        boundaries: nanoseconds, whole minutes, rising. Of more than a few, all cells between them have the same length.
    """

    boundaries: tuple[int, ...]

    def parts(self, rollups: Sequence[Rollup]) -> list[Part]:
        """Where the rows of these times are."""
        if len(self.boundaries) > _FEW:
            first, second, *_ = self.boundaries
            return [Part(of_step(rollups, second - first), first, self.boundaries[-1])]
        return [part for start, end in pairwise(self.boundaries) for part in parts(rollups, start, end)]

    @property
    def cell(self) -> str:
        """In which cell a row is, counted from 0, in SQL."""
        first, second, *_ = seconds = [boundary // SECOND for boundary in self.boundaries]
        if len(seconds) > _FEW:
            return f"intDiv(toUInt32(Time) - {first}, {second - first})"
        return f"arrayFirstIndex(boundary -> boundary > toUInt32(Time), {seconds}) - 2"


@dataclass(frozen=True, slots=True)
class Load:
    """What one selector needs of one metric.

    Attributes:
        matchers: of labels other than the name.
        labels: those that are needed: only these or, `without`, all but these.
        merged: of a histogram, how many buckets of its sketch are needed as one; 0 for those that the label `le` tells.
    """

    metric: Metric
    matchers: tuple[Matcher, ...]
    grid: Grid
    labels: tuple[str, ...] = ()
    without: bool = True
    merged: int = 0

    def __hash__(self) -> int:
        # Names stand for metrics, which hold what cannot be hashed.
        return hash((self.metric.name, self.matchers, self.grid, self.labels, self.without, self.merged))


@dataclass(frozen=True)
class Counted:
    """How much counters have grown in each cell.

    Attributes:
        boundaries: of the cells, nanoseconds, int64, shape (cells + 1,).
        labels: of each series.
        growth: float64, shape (series, cells).
        filled: where something was counted, be it in another bucket of the same histogram; shape (series, cells).
        buckets: of the sketch, merged as was asked for, one for each series; where that was asked for.
    """

    boundaries: NDArray[np.int64]
    labels: list[Labels]
    growth: Numbers
    filled: Mask
    buckets: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @cached_property
    def _until(self) -> Numbers:
        return np.concatenate([np.zeros((len(self.labels), 1)), np.cumsum(self.growth, axis=1)], axis=1)

    @cached_property
    def _filled_until(self) -> NDArray[np.int64]:
        zeros = np.zeros((len(self.labels), 1), np.int64)
        return np.concatenate([zeros, np.cumsum(self.filled, axis=1, dtype=np.int64)], axis=1)

    def at(self, times: NDArray[np.int64]) -> Numbers:
        """What was counted from the first boundary until each of these times, shape (series, times)."""
        last = len(self.boundaries) - 2
        cell = np.clip(np.searchsorted(self.boundaries, times, "right") - 1, 0, last)
        length = self.boundaries[cell + 1] - self.boundaries[cell]
        share = np.clip((times - self.boundaries[cell]) / length, 0, 1)
        found: Numbers = self._until[:, cell] + share * self.growth[:, cell]
        return found

    def any_between(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Mask:
        """Whether something was counted after each start and until the end, shape (series, times)."""
        first = np.searchsorted(self.boundaries[1:], starts, "right")
        last = np.searchsorted(self.boundaries[:-1], ends, "left")
        return self._filled_until[:, np.maximum(last, first)] > self._filled_until[:, first]


def load_statement(store: SpanStore, load: Load, workspace: str, *, is_settled: bool) -> Statement:
    """A row for each set of labels, with the cells in which something was counted, and how much.

    Args:
        is_settled: of calls, as `call_rows.find_is_settled` says.
    """
    metric = load.metric
    condition, values = matching_condition(metric, load.matchers)
    parameters: dict[str, object] = {"workspace": workspace, "most": MOST_NUMBERS + 1, **values}
    known = _known(load)
    names = [f"Label{number}" for number in range(len(known))]
    columns = [f"toString({metric.labels[label]}) AS {name}" for label, name in zip(known, names, strict=True)]
    if _needs_dimensions(load):
        columns.append("toString(rollup.Dimensions) AS Dimensions")
        names.append("Dimensions")
    columns.append(f"{metric.value} AS Value")
    found = load.grid.parts(metric.rollups)
    if metric.rollups is RED:
        source = rows_of(store, found, columns, f"{OF_WORKSPACE} AND {condition}")
    else:
        source = call_rows(store, found, columns, condition, is_settled=is_settled)
    by = "".join(f"{name}, " for name in names)
    if metric.is_bucket:
        place = f"toInt16(ceil(Bucket / {load.merged}))"
        if not load.merged:
            limits = [sketch.last_bucket_within(bound) for bound in _BOUNDS]
            place = f"if(Bucket > {limits[-1]}, {len(limits)}, arrayFirstIndex(limit -> Bucket <= limit, {limits}) - 1)"
        numbers = (
            f"SELECT {by}Cell, {place} AS Place, sum(Weight) AS Number FROM"  # noqa: S608 - all of it is the program's own, values are bound
            f" (SELECT {by}{load.grid.cell} AS Cell, {sketch.MERGE}(Value) AS Sketch FROM ({source}) GROUP BY {by}Cell)"
            f" ARRAY JOIN mapKeys(Sketch) AS Bucket, mapValues(Sketch) AS Weight GROUP BY {by}Cell, Place"
        )
    else:
        numbers = f"SELECT {by}{load.grid.cell} AS Cell, 0 AS Place, sum(Value) AS Number FROM ({source}) GROUP BY {by}Cell"  # noqa: S608 - as above
    return Statement(
        f"SELECT {by}groupArray(Cell) AS Cells, groupArray(Place) AS Places, groupArray(Number) AS Numbers"  # noqa: S608 - as above
        f" FROM ({numbers} HAVING Number != 0 LIMIT {{most:UInt64}}) {f'GROUP BY {by[:-2]}' if by else ''}",
        parameters,
    )


async def fetch_rows(
    store: SpanStore, metric: Metric, statement: Callable[[bool], Statement], start: int, end: int, workspace: str
) -> QueryResult:
    """The answer to a statement about the rows of a metric in [start, end), nanoseconds, as `call_rows.fetch_calls`.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    if metric.rollups is RED:
        return await store.fetch(statement(True))
    return await fetch_calls(store, store.fetch, statement, start, end, workspace)


async def fetch(store: SpanStore, load: Load, workspace: str) -> list[Counted]:
    """What was counted: all series together, or those of each sketch apart.

    Raises:
        EvaluationError: it is too much.
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
    """
    start, *_, end = load.grid.boundaries

    def statement(is_settled: bool) -> Statement:
        return load_statement(store, load, workspace, is_settled=is_settled)

    rows = list((await fetch_rows(store, load.metric, statement, start, end, workspace)).rows())
    if sum(len(row["Cells"]) for row in rows) > MOST_NUMBERS:
        raise EvaluationError(
            f"query processing would load too many samples into memory: {load.metric.name} has more than {MOST_NUMBERS} in this"
            " time range; ask for fewer series or a shorter time, or sum them up by labels right around rate"
        )
    # That takes a while where there is much: not on the event loop.
    return await asyncio.to_thread(_counted, load, rows)


def _counted(load: Load, rows: Sequence[Mapping[str, Any]]) -> list[Counted]:
    sparse = _by_labels(load, rows)
    boundaries = np.array(load.grid.boundaries, np.int64)
    if load.merged:
        return [_fine(boundaries, labels, *numbers) for labels, numbers in sparse.items()]
    return [_plain(load, boundaries, sparse)]


Sparse = tuple[NDArray[np.int64], NDArray[np.int64], Numbers]
"""Cells, places in a histogram, and numbers there."""


def _by_labels(load: Load, rows: Sequence[Mapping[str, Any]]) -> dict[Labels, Sparse]:
    known = _known(load)
    beyond = [matcher for matcher in load.matchers if matcher.label not in load.metric.labels and matcher.label != LE]
    found: dict[Labels, list[Sparse]] = {}
    for row in rows:
        if not row["Cells"]:
            continue
        texts = {label: row[f"Label{number}"] for number, label in enumerate(known)}
        dimensions = orjson.loads(row["Dimensions"]) if row.get("Dimensions") else {}
        texts |= {label_of(key): value for key, value in dimensions.items()}
        if all(fits(matcher, texts.get(matcher.label, "")) for matcher in beyond):
            labels = kept(labels_of({**texts, NAME: load.metric.name}), load.labels, without=load.without)
            if load.without and NAME not in load.labels:
                labels = labels_of([*labels, (NAME, load.metric.name)])
            numbers = np.array(row["Cells"], np.int64), np.array(row["Places"], np.int64), np.array(row["Numbers"], np.float64)
            found.setdefault(labels, []).append(numbers)
    return {
        labels: tuple(np.concatenate(each) for each in zip(*some, strict=True))  # type: ignore[misc]  # three of them
        for labels, some in found.items()
    }


def _plain(load: Load, boundaries: NDArray[np.int64], sparse: Mapping[Labels, Sparse]) -> Counted:
    metric, cells = load.metric, len(boundaries) - 1
    places = len(_BOUNDS) + 1 if metric.is_bucket else 1
    if len(sparse) * places * cells > 5 * MOST_NUMBERS:
        raise EvaluationError(
            f"{len(sparse)} series of {metric.name} in {cells} steps are too many; ask for fewer, or for less time"
        )
    growth = np.zeros((len(sparse), places, cells))
    for row, (cell, place, numbers) in enumerate(sparse.values()):
        np.add.at(growth[row], (place, cell), numbers)
    filled = np.logical_or.reduce(growth, axis=1)
    if not metric.is_bucket:
        return Counted(boundaries, list(sparse), growth[:, 0] / metric.unit, filled)
    bounds = le_texts(metric)
    chosen = [place for place, bound in enumerate(bounds) if all(fits(m, bound) for m in load.matchers if m.label == LE)]
    # A bucket counts those below it as well.
    cumulated = np.cumsum(growth, axis=1)[:, chosen]
    if (LE in load.labels) == load.without:
        return Counted(boundaries, list(sparse), cumulated.sum(axis=1), filled)
    labels = [labels_of([*each, (LE, bounds[place])]) for each in sparse for place in chosen]
    return Counted(boundaries, labels, cumulated.reshape(len(labels), cells), np.repeat(filled, len(chosen), axis=0))


def _fine(
    boundaries: NDArray[np.int64], labels: Labels, cells: NDArray[np.int64], places: NDArray[np.int64], numbers: Numbers
) -> Counted:
    buckets, rows = np.unique(places, return_inverse=True)
    growth = np.zeros((len(buckets), len(boundaries) - 1))
    np.add.at(growth, (rows, cells), numbers)
    filled = np.broadcast_to(np.logical_or.reduce(growth, axis=0), growth.shape)
    return Counted(boundaries, [labels] * len(buckets), growth, filled, buckets)


def metrics_of(matchers: Sequence[Matcher]) -> Iterator[Metric]:
    """The metrics whose names fit."""
    of_name = [matcher for matcher in matchers if matcher.label == NAME]
    return (metric for name, metric in METRICS.items() if all(fits(matcher, name) for matcher in of_name))


def le_texts(metric: Metric) -> list[str]:
    """What the label `le` of its buckets says, rising; nothing where it has no buckets."""
    return [*(f"{bound / metric.unit:g}" for bound in _BOUNDS), "+Inf"] if metric.is_bucket else []


def matching_condition(metric: Metric, matchers: Sequence[Matcher]) -> tuple[str, dict[str, object]]:
    """What the matchers of labels that have columns ask of a row, in SQL, and its parameters."""
    conditions, parameters = ["true"], dict[str, object]()
    for number, matcher in enumerate(matchers):
        if matcher.label in metric.labels:
            condition, values = compared(f"toString({metric.labels[matcher.label]})", matcher, f"value{number}")
            conditions.append(condition)
            parameters |= values
    return " AND ".join(conditions), parameters


def compared(text: str, matcher: Matcher, name: str) -> tuple[str, dict[str, object]]:
    """What a matcher asks of an expression in SQL, and the parameter of that name with which it is compared."""
    if matcher.operator in ("=", "!="):
        return f"{text} {matcher.operator} {{{name}:String}}", {name: matcher.value}
    negation = "NOT " if matcher.operator == "!~" else ""
    return f"{negation}match({text}, {{{name}:String}})", {name: f"^(?s:{matcher.value})$"}


def _known(load: Load) -> list[str]:
    """Labels that have columns, as far as they are needed."""
    return [label for label in load.metric.labels if (label in load.labels) != load.without]


def _needs_dimensions(load: Load) -> bool:
    beyond = {NAME, LE, *load.metric.labels}
    return load.metric.has_dimensions and (
        load.without or any(label not in beyond for label in (*load.labels, *(matcher.label for matcher in load.matchers)))
    )
