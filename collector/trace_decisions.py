"""What a tail sampler has decided about traces, as it is counted for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

AGE_BOUNDS_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the histograms of how old traces are when they are decided, and of how late spans are."""
_NS: Final = 1_000_000_000


class Ages(NamedTuple):
    """Ages by size.

    Attributes:
        counts: how many are in each bucket, one number more than there are AGE_BOUNDS_S.
        total_s: their sum.
    """

    counts: Sequence[int]
    total_s: float

    @classmethod
    def of(cls, ages_ns: NDArray[np.integer[Any]]) -> Self:
        """Of ages in nanoseconds."""
        seconds = ages_ns / _NS
        counts = np.bincount(np.searchsorted(AGE_BOUNDS_S, seconds), minlength=len(AGE_BOUNDS_S) + 1)
        return cls(counts.tolist(), float(seconds.sum()))


@dataclass(frozen=True, slots=True)
class TraceDecisions:
    """What was decided about some traces.

    Attributes:
        opened: traces that came for the first time since the last decision.
        votes: (policy, what it said, whether that is for keeping) → traces.
        traces: whether kept → traces that were decided for the first time.
        spans: (policy or rule that decided, whether kept) → spans.
        late: whether kept → traces of which spans came after they had been decided.
        early: traces that were decided before their time, since too much was held.
        ages: of traces, from their first span to their decision.
        late_ages: of spans, from the decision about their trace to when they came.
        failures: policy → spans and events for which a condition of it could not be worked out; `internal_error` → traces that
            were kept because policies failed by a fault of their own.
        took_s: policy → how long it took to ask it about all traces that were decided for the first time.
    """

    opened: int
    votes: Mapping[tuple[str, str, bool], int]
    traces: Mapping[bool, int]
    spans: Mapping[tuple[str, bool], int]
    late: Mapping[bool, int]
    early: int
    ages: Ages
    late_ages: Ages
    failures: Mapping[str, int]
    took_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HeldReaders:
    """How to ask what a tail sampler holds: traces, spans, and the bytes of memory that these take."""

    traces: Callable[[], int]
    spans: Callable[[], int]
    nbytes: Callable[[], int]
