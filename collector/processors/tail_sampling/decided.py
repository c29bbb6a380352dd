"""What a tail sampler decides, and the spans that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.tail_sampling.held_traces import workspace_digest
from collector.processors.tail_sampling.marking import weighed, with_policies
from proto.compact import compact
from proto.join import concatenate
from proto.spans import SpanBatch
from proto.trace_table import KEY_WORDS

KEY_BYTES: Final = 8 * KEY_WORDS
"""A trace's key: its id of 16 bytes, and 8 bytes that stand for its workspace, since two workspaces may have the same id."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was decided about traces, a row each, in the order in which they were decided.

    Attributes:
        keys: uint8, shape (traces, KEY_BYTES), as `trace_key` makes them.
        kept: bool, shape (traces,).
        reasons: int32, shape (traces,): the place in `names` of the policy that decided, or of the rule.
        names: of policies and rules, such as `errors`, `not_sampled`, `maximum_trace_size_bytes`.
        probabilities: float64, shape (traces,): the share of traces such as this one that is kept; NaN where it is not known.
        thresholds_stay: bool, shape (traces,): what the trace states say about sampling still holds; otherwise it is erased.
        late: bool, shape (traces,): the trace had been decided before, and these are spans that came later.
    """

    keys: NDArray[np.uint8]
    kept: NDArray[np.bool_]
    reasons: NDArray[np.int32]
    names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    thresholds_stay: NDArray[np.bool_]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class Part:
    """Spans of one piece that were kept, or dropped, for one reason.

    Attributes:
        piece: its number, as the caller gave it.
        spans: as they came.
        reason: the policy or rule that decided.
        traces: int32, shape (spans,): the row of each span's trace in the verdicts.
    """

    piece: int
    spans: SpanBatch
    reason: str
    traces: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became final.

    Attributes:
        verdicts: about the traces.
        kept, dropped: their spans, by pieces in growing order.
        finished: numbers of the pieces of which nothing is held any more, in growing order.
        votes: bool, shape (traces, policies): which policies were for each trace; of late ones none.
        early: traces that were decided before their time, since too much was held.
        opened: traces that came for the first time since the last decision.
        ages_ns: of traces that were decided for the first time, how long ago their first span came, int64; empty where decisions
            are applied anew.
        late_ages_ns: of spans that came since the last decision, after that about their trace, how late they were, int64.
        failures: name of a policy → spans and events for which a condition of it failed since the last decision; under
            `internal_error` traces that were kept because policies failed by a fault of their own.
        reasons: name of a policy → why.
        fault: of policies; None where there was none.
        took_s: name of a policy → how long it took to ask it about all of the traces.
        recorded: write into kept spans which policy decided; of a policy within another the names of both. None writes nothing.
    """

    verdicts: Verdicts
    kept: tuple[Part, ...]
    dropped: tuple[Part, ...]
    finished: tuple[int, ...]
    votes: NDArray[np.bool_]
    early: int = 0
    opened: int = 0
    ages_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    late_ages_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    failures: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    fault: Exception | None = None
    took_s: Mapping[str, float] = field(default_factory=dict)
    recorded: Mapping[str, tuple[str, str]] | None = None

    def batch(self) -> SpanBatch | None:
        """All kept spans in one batch of its own bytes, with what they stand for; None where none are kept.

        Raises:
            ValueError: they take 2 GiB or more.
        """
        if not self.kept:
            return None
        batch = concatenate([compact(part.spans) for part in self.kept])
        traces = np.concatenate([part.traces for part in self.kept])
        verdicts = self.verdicts
        batch = weighed(batch, verdicts.probabilities[traces], verdicts.thresholds_stay[traces])
        if self.recorded is not None:
            names = [self.recorded.get(name, (name, "")) for name in verdicts.names]
            batch = with_policies(batch, verdicts.reasons[traces], names, verdicts.late[traces])
        return batch


def trace_key(workspace: str, trace_id: bytes) -> bytes:
    """The key of a trace."""
    return trace_id + workspace_digest(workspace)
