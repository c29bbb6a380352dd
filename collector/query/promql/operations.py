"""What is calculated of vectors and numbers. Source: "Operators" and "Functions" of the documentation of Prometheus 3."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from collector.query.promql.expressions import COMPARISONS, NAME, SETS, Binary, Matching
from collector.query.promql.families import LE
from collector.query.promql.vectors import (
    EvaluationError,
    Labels,
    Mask,
    Numbers,
    Vector,
    empty,
    groups,
    joined,
    kept,
    labels_of,
    merged,
    unnamed,
    within_bound,
)

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def calculated(name: str, left: Numbers, right: Numbers) -> Numbers:
    """An operation on numbers, as IEEE 754 has it; of a comparison 0 or 1."""
    with np.errstate(all="ignore"):
        return np.asarray(_OPERATORS[name](left, right), np.float64)


def scalar(vector: Vector) -> Numbers:
    """The number of the only series that is there; NaN where there is none, or several."""
    values = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    return np.where(vector.present.sum(axis=0) == 1, values, np.nan)


def combined(expression: Binary, left: Vector | Numbers, right: Vector | Numbers) -> Vector:
    """An operation of which at least one side is a vector."""
    name = expression.operator
    if isinstance(left, Vector) and isinstance(right, Vector):
        return _of_sets(name, expression.matching, left, right) if name in SETS else _of_vectors(expression, left, right)
    vector, numbers = (left, right) if isinstance(left, Vector) else (right, left)
    assert isinstance(vector, Vector)  # noqa: S101 - the reader sees to it
    sides = (vector.values, numbers) if vector is left else (numbers, vector.values)
    values = calculated(name, *sides)
    if name in COMPARISONS and not expression.as_number:
        return Vector(vector.labels, vector.values, vector.present & (values != 0))
    return unnamed(Vector(vector.labels, values, vector.present))


def _signature(labels: Labels, matching: Matching) -> Labels:
    return kept(labels, matching.labels, without=matching.ignoring)


def _of_sets(name: str, matching: Matching, left: Vector, right: Vector) -> Vector:
    """Series of the left side for which there is one on the right, or is none; or those, and the others of the right."""
    lefts, rights = ([_signature(labels, matching) for labels in side.labels] for side in (left, right))
    if name == "or":
        there = _presence(right, rights, lefts, left.present)
        return merged(
            [*left.labels, *right.labels], joined([left, Vector(right.labels, right.values, there)], left.present.shape[1])
        )
    matched = _matched(left.present.shape, lefts, right, rights)
    return Vector(left.labels, left.values, left.present & (matched if name == "and" else ~matched))


def _matched(shape: tuple[int, ...], wanted: Sequence[Labels], other: Vector, signatures: Sequence[Labels]) -> Mask:
    """Where the other side has a series with the signature of each."""
    found = np.zeros(shape, np.bool_)
    places = groups(signatures)
    for row, signature in enumerate(wanted):
        if signature in places:
            found[row] = other.present[places[signature]].any(axis=0)
    return found


def _presence(right: Vector, rights: Sequence[Labels], lefts: Sequence[Labels], left_present: Mask) -> Mask:
    """Where the right side's series have none on the left that matches them."""
    left = Vector(list(lefts), np.zeros(left_present.shape), left_present)
    return right.present & ~_matched(right.present.shape, rights, left, lefts)


def _of_vectors(expression: Binary, left: Vector, right: Vector) -> Vector:
    """An operation between the series that match; each of one side has one on the other, or several of many have the same one."""
    matching, name = expression.matching, expression.operator
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    ones = _unique(one, matching, "left" if swapped else "right")
    rows, partners = [], []
    for row, mine in enumerate(many.labels):
        partner = ones.get(_signature(mine, matching))
        if partner is not None:
            rows.append(row)
            partners.append(partner)
    if not rows:
        return empty(left.values.shape[1])
    many = many.rows(rows)
    other = np.array([values for _, values, _ in partners])
    present = many.present & np.array([there for _, _, there in partners])
    values = calculated(name, *((other, many.values) if swapped else (many.values, other)))
    is_filter = name in COMPARISONS and not expression.as_number
    if is_filter:
        present = present & (values != 0)
        values = other if swapped else many.values
    pairs = zip(many.labels, partners, strict=True)
    labels = list(within_bound(_result(mine, theirs, matching, keeps_name=is_filter) for mine, (theirs, _, _) in pairs))
    try:
        return merged(labels, Vector(many.labels, values, present))
    except EvaluationError:
        raise EvaluationError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            if not matching.many
            else "multiple matches for labels: grouping labels must ensure unique matches"
        ) from None


def _unique(vector: Vector, matching: Matching, side: str) -> dict[Labels, tuple[Labels, Numbers, Mask]]:
    """Signature → labels, numbers and presence of the series that has it."""
    found = {}
    for signature, rows in groups([_signature(labels, matching) for labels in vector.labels]).items():
        there = vector.present[rows]
        if (there.sum(axis=0) > 1).any():
            shown = ", ".join(f'{name}="{value}"' for name, value in signature)
            raise EvaluationError(
                f"found duplicate series for the match group {{{shown}}} on the {side} hand-side of the operation;"
                " many-to-many matching not allowed: matching labels must be unique on one side"
            )
        values = np.where(there, vector.values[rows], 0.0).sum(axis=0)
        found[signature] = (vector.labels[rows[0]], values, np.logical_or.reduce(there, axis=0))
    return found


def _result(mine: Labels, theirs: Labels, matching: Matching, *, keeps_name: bool) -> Labels:
    labels = dict(mine)
    if not keeps_name:
        labels.pop(NAME, None)
    if not matching.many:
        return tuple(pair for pair in labels_of(labels) if (pair[0] in matching.labels) != matching.ignoring)
    taken = dict(theirs)
    return labels_of(labels | {name: taken.get(name, "") for name in matching.included})


def histogram_quantile(quantile: Numbers, vector: Vector) -> Vector:
    """A quantile of each histogram whose buckets are there, as Prometheus takes it of classic ones: within a bucket evenly."""
    found = []
    for labels, rows in groups([kept(each, (LE,), without=True) for each in vector.labels]).items():
        bounds = {row: bound for row in rows if (bound := _bound(vector.labels[row])) is not None}
        order = sorted(bounds, key=bounds.__getitem__)
        if not order:
            continue
        buckets = vector.rows(order)
        edges = np.array([bounds[row] for row in order])
        value = _quantile_of_buckets(quantile, edges, np.where(buckets.present, buckets.values, 0.0))
        found.append(Vector([labels], value[np.newaxis], np.logical_or.reduce(buckets.present, axis=0, keepdims=True)))
    return joined(found, vector.values.shape[1])


def _bound(labels: Labels) -> float | None:
    try:
        return float(dict(labels).get(LE, ""))
    except ValueError:
        return None


def _quantile_of_buckets(quantile: Numbers, edges: Numbers, counts: Numbers) -> Numbers:
    """Args: edges: upper bounds, rising, shape (buckets,); counts: up to each of them, shape (buckets, steps)."""
    if len(edges) < 2 or not np.isposinf(edges[-1]):
        return np.full(counts.shape[1], np.nan)
    counts = np.maximum.accumulate(counts, axis=0)
    total = counts[-1]
    rank = quantile * total
    bucket = np.minimum((counts < rank).sum(axis=0), len(edges) - 1)
    below = np.where(bucket > 0, np.take_along_axis(counts, np.maximum(bucket - 1, 0)[np.newaxis], axis=0)[0], 0.0)
    within = np.take_along_axis(counts, bucket[np.newaxis], axis=0)[0] - below
    low = np.where(bucket > 0, edges[np.maximum(bucket - 1, 0)], np.minimum(edges[0], 0.0))
    high = edges[np.minimum(bucket, len(edges) - 2)]
    with np.errstate(all="ignore"):
        value = low + (high - low) * (rank - below) / within
    value = np.where(bucket == len(edges) - 1, edges[-2], value)
    return _beyond(quantile, total, value)


def quantile_of_estimates(quantile: Numbers, estimates: Numbers, counts: Numbers) -> Numbers:
    """The same of a sketch.

    Args:
        quantile: at each step, shape (steps,).
        estimates: the value that stands for each bucket, rising, shape (buckets,).
        counts: in each bucket, shape (buckets, steps).
    """
    cumulated = np.cumsum(np.maximum(counts, 0.0), axis=0)
    total = cumulated[-1]
    place = np.minimum((cumulated < quantile * total).sum(axis=0), len(estimates) - 1)
    return _beyond(quantile, total, estimates[place])


def _beyond(quantile: Numbers, total: Numbers, value: Numbers) -> Numbers:
    """The value, or what stands for one that there is not."""
    value = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, value))
    return np.where((total <= 0) | np.isnan(quantile), np.nan, value)
