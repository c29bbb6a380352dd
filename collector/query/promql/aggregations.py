"""Series of a group made one, some of them chosen, or counted. Source: "Operators" in the manual of Prometheus 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from collector.query.promql.expressions import Aggregation
from collector.query.promql.vectors import (
    EvaluationError,
    Mask,
    Numbers,
    Vector,
    empty,
    groups,
    kept,
    labels_of,
)
from collector.query.promql.windows import quantile

_MOST_COUNTED: Final = 2_000_000
"""Numbers of a result of count_values."""


def aggregated(expression: Aggregation, vector: Vector, parameter: Numbers | str | None) -> Vector:
    """The series of each group made one, some of them chosen, or those with the same number counted.

    Args:
        parameter: the number or text that the operator takes, a number at each step.

    Raises:
        EvaluationError: too many numbers differ for each to be counted.
    """
    if isinstance(parameter, str):
        return _counted_by_value(expression, vector, parameter)
    of_group = groups([kept(labels, expression.labels, without=expression.without) for labels in vector.labels])
    if parameter is not None and expression.operator != "quantile":
        return _chosen(vector, list(of_group.values()), parameter, smallest=expression.operator == "bottomk")
    found = [_aggregate(expression.operator, vector.rows(rows), parameter) for rows in of_group.values()]
    if not found:
        return empty(vector.values.shape[1])
    return Vector(list(of_group), np.array([values for values, _ in found]), np.array([present for _, present in found]))


def _aggregate(name: str, vector: Vector, parameter: Numbers | None) -> tuple[Numbers, Mask]:
    there, count = vector.present, vector.present.sum(axis=0)
    with np.errstate(all="ignore"):
        match name:
            case "count":
                values = count.astype(np.float64)
            case "group":
                values = np.ones(len(count))
            case "min":
                values = np.fmin.reduce(np.where(there, vector.values, np.nan), axis=0)
            case "max":
                values = np.fmax.reduce(np.where(there, vector.values, np.nan), axis=0)
            case "quantile" if parameter is not None:
                values = quantile(parameter, vector.values.T, there.T)
            case _:
                values = np.where(there, vector.values, 0.0).sum(axis=0)
                if name != "sum":
                    values = values / count
                if name in ("stddev", "stdvar"):
                    values = np.where(there, (vector.values - values) ** 2, 0.0).sum(axis=0) / count
                if name == "stddev":
                    values = np.sqrt(values)
    return values, count > 0


def _chosen(vector: Vector, of_group: Sequence[Sequence[int]], parameter: Numbers, *, smallest: bool) -> Vector:
    """Of each group the series with the largest or smallest numbers, at each step anew; NaN counts least."""
    present = np.zeros_like(vector.present)
    most = np.clip(np.nan_to_num(parameter), 0, len(vector.labels)).astype(np.int64)
    for rows in of_group:
        values = vector.values[rows] if smallest else -vector.values[rows]
        # What is not there comes last, and before it what is not a number.
        order = np.lexsort((values, np.isnan(values), ~vector.present[rows]), axis=0)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(rows))[:, np.newaxis] * np.ones_like(order), axis=0)
        present[rows] = (ranks < most) & vector.present[rows]
    return _without_empty(Vector(vector.labels, vector.values, present))


def _without_empty(vector: Vector) -> Vector:
    """The series that are there at some step."""
    return vector.rows(np.flatnonzero(vector.present.any(axis=1)).tolist())


def _counted_by_value(expression: Aggregation, vector: Vector, label: str) -> Vector:
    """How many series of each group have the same number, which a label then tells."""
    bare = [tuple(pair for pair in labels if pair[0] != label) for labels in vector.labels]
    of_group = groups([kept(labels, expression.labels, without=expression.without) for labels in bare])
    group_of = np.empty(len(bare), np.int64)
    for number, members in enumerate(of_group.values()):
        group_of[members] = number
    rows, steps = np.nonzero(vector.present)
    values, value_of = np.unique(vector.values[rows, steps], return_inverse=True)
    pairs, pair_of = np.unique(np.stack([group_of[rows], value_of]), axis=1, return_inverse=True)
    count = vector.values.shape[1]
    if pairs.shape[1] * count > _MOST_COUNTED:
        raise EvaluationError(
            f"count_values of {pairs.shape[1]} different numbers at {count} steps is too much; round them first"
        )
    counts = np.zeros((pairs.shape[1], count))
    np.add.at(counts, (pair_of, steps), 1)
    labels = list(of_group)
    texts = [_text(value) for value in values.tolist()]
    told = [labels_of({**dict(labels[group]), label: texts[value]}) for group, value in pairs.T.tolist()]
    return Vector(told, counts, counts > 0)


def _text(value: float) -> str:
    """A number as a label tells it: all its digits, without an exponent."""
    if np.isfinite(value):
        return np.format_float_positional(value, trim="-")
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
