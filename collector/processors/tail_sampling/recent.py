"""What was decided about traces of late, and why, for who asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from collector.processors.tail_sampling.decided import KEY_BYTES, Verdicts

MOST_TRACES: Final = 100_000
"""About so many of the newest decisions can be told of."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about a trace.

    Attributes:
        time_ns: when, in nanoseconds since 1970.
        kept: whether the spans were kept.
        decided_by: the policy or rule.
        late: the spans came after the trace was decided, and follow that decision.
        probability: the share of traces such as this one that is kept; None where it is not known.
        votes: policy → whether it was for the trace; None for late spans, and for what a former process decided.
    """

    time_ns: int
    kept: bool
    decided_by: str
    late: bool
    probability: float | None
    votes: Mapping[str, bool] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a trace.

    Attributes:
        pending: spans of it wait for a decision now.
        decisions: about it, the newest first.
    """

    pending: bool
    decisions: tuple[Decision, ...]


class Explainer(Protocol):
    """Who decides about traces, and can tell why."""

    async def explain(self, key: bytes) -> Explanation:
        """What is known of the trace with this key (`trace_key`)."""


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided at one time; `votes` have the columns `policies`."""

    time_ns: int
    verdicts: Verdicts
    policies: tuple[str, ...]
    votes: NDArray[np.bool_] | None


class RecentDecisions:
    """The newest decisions, up to about MOST_TRACES."""

    def __init__(self) -> None:
        self._decided: deque[_Decided] = deque()
        self._traces = 0

    def add(
        self, time_ns: int, verdicts: Verdicts, policies: tuple[str, ...] = (), votes: NDArray[np.bool_] | None = None
    ) -> None:
        """Take note of decisions.

        Args:
            policies: names of the columns of `votes`.
            votes: bool, shape (traces, policies): which policies were for which trace; None where that is not known.
        """
        self._decided.append(_Decided(time_ns, verdicts, policies, votes))
        self._traces += len(verdicts)
        while self._traces - len(self._decided[0].verdicts) >= MOST_TRACES:
            self._traces -= len(self._decided.popleft().verdicts)

    def of(self, key: bytes) -> Iterator[Decision]:
        """Decisions about the trace with this key, the newest first."""
        wanted = np.frombuffer(key, np.uint8, KEY_BYTES)
        for decided in reversed(self._decided):
            for row in np.flatnonzero((decided.verdicts.keys == wanted).all(axis=1)).tolist():
                yield _decision(decided, row)


def _decision(decided: _Decided, row: int) -> Decision:
    verdicts = decided.verdicts
    probability, late = float(verdicts.probabilities[row]), bool(verdicts.late[row])
    votes = None
    if decided.votes is not None and not late:
        votes = dict(zip(decided.policies, decided.votes[row].tolist(), strict=True))
    return Decision(
        time_ns=decided.time_ns,
        kept=bool(verdicts.kept[row]),
        decided_by=verdicts.names[verdicts.reasons[row]],
        late=late,
        probability=None if np.isnan(probability) else probability,
        votes=votes,
    )
