"""Decides about whole traces: the processor `tail_sampling`.

A sampler holds spans until their traces are decided. It knows no clock, no network and no disk: times come as arguments, and
the same calls in the same order give the same decisions. What is decided, and what follows, are told apart: `Verdicts` are what
was decided about traces, and `apply` takes the spans of those traces out of what is held. So decisions that were written down can
be applied anew to the same pieces, and give the same spans with the same marks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proto.spans import SpanBatch

KEY_BYTES = 24
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
    """Spans of one piece for which the same was decided.

    Attributes:
        piece: its number, as the caller gave it.
        spans: as they came.
        reason: the policy or rule that decided.
    """

    piece: int
    spans: SpanBatch
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What became final.

    Attributes:
        verdicts: about the traces.
        kept, dropped: their spans, by pieces in growing order.
        finished: numbers of the pieces of which nothing is held any more, in growing order.
        votes: bool, shape (traces, policies): which policies were for each trace; of late ones none.
    """

    verdicts: Verdicts
    kept: tuple[Part, ...]
    dropped: tuple[Part, ...]
    finished: tuple[int, ...]
    votes: NDArray[np.bool_]

    def batch(self) -> SpanBatch | None:
        """All kept spans in one batch of its own bytes, with what they stand for; None where none are kept."""
        raise NotImplementedError


def trace_key(workspace: str, trace_id: bytes) -> bytes:
    """The key of a trace."""
    raise NotImplementedError


class TailSampler:
    """Owned by one task.

    Attributes:
        policies: names of the policies, in their order: the columns of `Decided.votes`.
    """

    policies: tuple[str, ...]

    def add(self, batch: SpanBatch, piece: int, now_ns: int) -> None:
        """Take the spans of a piece, whose number is greater than any before.

        A piece without spans is not taken, and never comes as finished.
        """
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """Whether `add` may be called now; False only with `block_on_overflow`, until enough was decided."""
        raise NotImplementedError

    @property
    def next_deadline_ns(self) -> int | None:
        """When `decide` will have something to decide; in the past where it has already; None while nothing is held."""
        raise NotImplementedError

    def decide(self, now_ns: int) -> Decided | None:
        """Decide what is due: traces whose time is up, late spans, and the oldest traces where there are too many.

        Does so much that the caller is not held up for long; None once there is nothing (more) to decide now.
        """
        raise NotImplementedError

    def decide_all(self, now_ns: int) -> Decided | None:
        """The same, as if the time of all traces were up: to be called until it gives None."""
        raise NotImplementedError

    def apply(self, verdicts: Verdicts, through: int) -> Decided:
        """Carry out decisions that were made before: for the spans that are held, of pieces up to the number `through`.

        The decisions are remembered, so that spans in later pieces follow them as late ones.
        """
        raise NotImplementedError

    def restore(self, verdicts: Verdicts) -> None:
        """Remember decisions, the oldest first, as after a restart."""
        raise NotImplementedError

    @property
    def pending_spans(self) -> int:
        """Spans that are held."""
        raise NotImplementedError

    @property
    def pending_bytes(self) -> int:
        """Bytes of memory that they take."""
        raise NotImplementedError
