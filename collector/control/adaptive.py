"""At what rate operations are sampled so that each sends a wanted number of traces a second, as Jaeger reckons it.

All functions are pure. Sources: Jaeger's adaptive sampling, its options and their defaults; the rule of each is at its function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from config.remote_sampling import AdaptiveSampling

_FASTEST_GROWTH: Final = 1.5
_EQUAL: Final = 1e-6
"""Probabilities that differ by less are the same: clients may have written them with six decimals."""


class Operation(NamedTuple):
    """What has a probability of its own."""

    workspace: str
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of an operation in one interval.

    Attributes:
        interval: its number; later ones have higher numbers.
        traces: sampled by probability; those that only a guaranteed minimum has let through do not count.
        probabilities: with which clients say that they have sampled.
    """

    interval: int
    traces: float
    probabilities: frozenset[float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is decided about an operation.

    Attributes:
        probability: to be handed out.
        obeyed: whether its clients sample with what was handed out.
    """

    probability: float
    obeyed: bool


def next_round(
    previous: Mapping[Operation, Chosen],
    seen: Mapping[Operation, Sequence[Seen]],
    latest: int,
    interval_s: float,
    settings: AdaptiveSampling,
) -> dict[Operation, Chosen]:
    """What is decided about each operation that was seen.

    Args:
        previous: what was decided last.
        seen: what came of each operation, in any order; at least one interval each.
        latest: the number of the interval that has just become final.
        interval_s: its length in seconds.
    """
    return {
        operation: _choose(previous.get(operation), _newest_first(intervals), latest, interval_s, settings)
        for operation, intervals in seen.items()
    }


def _newest_first(intervals: Sequence[Seen]) -> list[Seen]:
    return sorted(intervals, key=lambda seen: seen.interval, reverse=True)


def _choose(
    before: Chosen | None, newest_first: Sequence[Seen], latest: int, interval_s: float, settings: AdaptiveSampling
) -> Chosen:
    probability = before.probability if before is not None else settings.initial_sampling_probability
    newest = newest_first[0]
    if before is None or _same(probability, settings.initial_sampling_probability):
        obeyed = True  # what it samples with by itself, or was told as a service that nobody knew
    elif newest.interval == latest:
        obeyed = any(_same(probability, told) for told in newest.probabilities)
    else:
        obeyed = before.obeyed
    if not obeyed:
        return Chosen(probability, obeyed)
    rate = weighted_mean([each.traces / interval_s for each in newest_first[: settings.calculation_buckets]])
    return Chosen(next_probability(probability, rate, settings), obeyed)


def weighted_mean(newest_first: Sequence[float]) -> float:
    """The mean of rates in which the i-th oldest weighs i^4."""
    weights = [age**4 for age in range(len(newest_first), 0, -1)]
    return sum(weight * rate for weight, rate in zip(weights, newest_first, strict=True)) / sum(weights)


def next_probability(probability: float, rate: float, settings: AdaptiveSampling) -> float:
    """The probability with which an operation comes nearer to the wanted rate.

    Within the tolerance it stays. It grows by half at most, doubles where nothing came, and falls at once; its bounds are
    `min_sampling_probability` and 1.

    Args:
        probability: with which it was sampled.
        rate: sampled traces a second that this gave.
    """
    target = settings.target_samples_per_second
    if abs(rate - target) / target < settings.delta_tolerance:
        return probability
    wanted = 2 * probability if rate == 0 else min(probability * target / rate, probability * _FASTEST_GROWTH)
    return min(1.0, max(settings.min_sampling_probability, wanted))


def _same(one: float, other: float) -> bool:
    return abs(one - other) < _EQUAL


def by_operation(rows: Iterable[tuple[Operation, int, float, str]]) -> dict[Operation, list[Seen]]:
    """What came of each operation, from rows of operation, interval, traces and the probability that clients tell, as text."""
    gathered: dict[tuple[Operation, int], tuple[float, set[float]]] = {}
    for operation, interval, traces, told in rows:
        count, probabilities = gathered.get((operation, interval), (0.0, set()))
        with suppress(ValueError):  # a client that tells no number obeys nothing
            probabilities.add(float(told))
        gathered[operation, interval] = count + traces, probabilities
    found: dict[Operation, list[Seen]] = {}
    for (operation, interval), (traces, probabilities) in gathered.items():
        found.setdefault(operation, []).append(Seen(interval, traces, frozenset(probabilities)))
    return found
