"""What a tail sampler has decided about traces, as it is counted for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

AGE_BOUNDS_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the histogram of how old traces are when they are decided."""


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
        ages: traces by age, one number more than there are AGE_BOUNDS_S.
        age_s: their ages together.
        failures: policy → spans and events for which a condition of it could not be worked out.
    """

    opened: int
    votes: Mapping[tuple[str, str, bool], int]
    traces: Mapping[bool, int]
    spans: Mapping[tuple[str, bool], int]
    late: Mapping[bool, int]
    early: int
    ages: Sequence[int]
    age_s: float
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HeldReaders:
    """How to ask what a tail sampler holds: traces, spans, and the bytes of memory that these take."""

    traces: Callable[[], int]
    spans: Callable[[], int]
    nbytes: Callable[[], int]
