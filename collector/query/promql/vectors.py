"""Numbers of several series at all steps of a query at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.query.promql.expressions import NAME

Labels = tuple[tuple[str, str], ...]
"""Names and values, in order of the names; no value is empty."""
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


_MOST_CHARACTERS: Final = 10_000_000
"""Of the labels of all series."""


class EvaluationError(Exception):
    """A query that can be read, but not worked out on the series that there are."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Series, each with a number at some of the steps.

    Attributes:
        labels: of each series; no two have the same.
        values: float64, shape (series, steps); of no meaning where a series is not there.
        present: where it is, shape (series, steps).
    """

    labels: list[Labels]
    values: Numbers
    present: Mask

    def rows(self, rows: Sequence[int]) -> Vector:
        """Some of the series."""
        return Vector([self.labels[row] for row in rows], self.values[rows], self.present[rows])

    def mapped(self, change: Callable[[Numbers], Numbers]) -> Vector:
        """The same series without their names, with other numbers."""
        return unnamed(Vector(self.labels, change(self.values), self.present))


def empty(steps: int) -> Vector:
    """No series."""
    return Vector([], np.empty((0, steps)), np.empty((0, steps), np.bool_))


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels in their order, without empty ones."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def kept(labels: Labels, names: Iterable[str], *, without: bool) -> Labels:
    """The labels of these names, or all `without` them and the name of the metric."""
    chosen = {*names, NAME} if without else set(names)
    return tuple(pair for pair in labels if (pair[0] in chosen) != without)


def within_bound(labels: Iterable[Labels]) -> Iterator[Labels]:
    """The same labels. Raises EvaluationError once they are too long together."""
    room = _MOST_CHARACTERS
    for each in labels:
        room -= sum(len(value) for _, value in each)
        if room < 0:
            raise EvaluationError(f"all labels have more than {_MOST_CHARACTERS} characters together; ask for fewer series")
        yield each


def unnamed(vector: Vector) -> Vector:
    """The series without the names of their metrics.

    Raises:
        EvaluationError: two would be the same at one step.
    """
    return merged([kept(labels, (), without=True) for labels in vector.labels], vector)


def merged(labels: Sequence[Labels], vector: Vector) -> Vector:
    """The series under other labels, those of equal labels as one.

    Raises:
        EvaluationError: two of equal labels are there at one step.
    """
    places = groups(labels)
    if len(places) == len(labels):
        return Vector(list(labels), vector.values, vector.present)
    values, present = [], []
    for rows in places.values():
        there = vector.present[rows]
        if (there.sum(axis=0) > 1).any():
            raise EvaluationError("vector cannot contain metrics with the same labelset")
        values.append(np.where(there, vector.values[rows], 0.0).sum(axis=0))
        present.append(there.any(axis=0))
    return Vector(list(places), np.array(values), np.array(present))


def groups(labels: Sequence[Labels]) -> dict[Labels, list[int]]:
    """Labels → places of those that are equal, in the order in which they come first."""
    found: dict[Labels, list[int]] = {}
    for place, each in enumerate(labels):
        found.setdefault(each, []).append(place)
    return found


def joined(vectors: Sequence[Vector], steps: int) -> Vector:
    """All series of several vectors, which have none in common."""
    if not vectors:
        return empty(steps)
    return Vector(
        [labels for vector in vectors for labels in vector.labels],
        np.concatenate([vector.values for vector in vectors]),
        np.concatenate([vector.present for vector in vectors]),
    )
