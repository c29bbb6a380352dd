"""Decides about whole traces: the processor `tail_sampling`.

A sampler holds spans until their traces are decided. It knows no clock, no network and no disk: times come as arguments, and
the same calls in the same order give the same decisions. What is decided, and what follows, are told apart: `Verdicts` are what
was decided about traces, and `apply` takes the spans of those traces out of what is held. So decisions that were written down can
be applied anew to the same pieces, and give the same spans with the same marks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import INTERNAL_ERROR
from collector.processors.tail_sampling.combining import Policies
from collector.processors.tail_sampling.decided import KEY_BYTES, Decided, Part, Verdicts
from collector.processors.tail_sampling.held_spans import Held, HeldSpans, Taken
from collector.processors.tail_sampling.held_traces import FAULTY, TOO_LARGE, HeldTraces
from collector.processors.tail_sampling.remembered import DECISION, UNKNOWN_TIME, Decisions, Remembered
from collector.processors.tail_sampling.singling_out import single_out
from collector.trace_decisions import Ages, TraceDecisions
from config.tail_sampling import TailSamplingProcessor
from proto.edit import Mask
from proto.spans import SpanBatch
from proto.trace_table import UNKNOWN, Keys, Slots

TRACE_TOO_LARGE: Final = "maximum_trace_size_bytes"
"""Why a trace was dropped that was larger than the configuration allows."""
SHUTDOWN: Final = "drop_pending_traces_on_shutdown"
"""Why a trace was dropped that was not decided when the daemon stopped."""

_MOST_SPANS: Final = 32_768
"""So many spans are decided at a time, unless one trace has more."""
_ALL_PIECES: Final = 2**63 - 1


class TailSampler:
    """Owned by one task.

    Attributes:
        policies: names of the policies, in their order: the columns of `Decided.votes`.
    """

    def __init__(self, settings: TailSamplingProcessor) -> None:
        self._settings = settings
        self._policies = Policies(settings.policies, first_match=settings.sample_on_first_match)
        self.policies = self._policies.voters
        self._recorded = self._policies.inner if settings.record_policy else None
        self._names = [*self._policies.names, TRACE_TOO_LARGE, SHUTDOWN, INTERNAL_ERROR]
        self._spans = HeldSpans()
        self._traces = HeldTraces(settings, self._policies)
        self._remembered = Remembered(*settings.remembered)

    # What comes in.

    def add(self, batch: SpanBatch, piece: int, now_ns: int) -> None:
        """Take the spans of a piece, whose number is greater than any before.

        A piece without spans is not taken, and never comes as finished.
        """
        if len(batch):
            slots = self._traces.add(batch, now_ns, self._remembered)
            self._spans.add(piece, batch, now_ns, slots)

    @property
    def has_room(self) -> bool:
        """Whether `add` may be called now; False only with `block_on_overflow`, until enough was decided."""
        return not self._settings.block_on_overflow or not self._is_overfull

    @property
    def _is_overfull(self) -> bool:
        return self._traces.count > self._settings.num_traces or self._spans.nbytes > self._settings.max_bytes

    @property
    def pending_spans(self) -> int:
        """Spans that are held."""
        return self._spans.spans

    def holds(self, key: bytes) -> bool:
        """Whether spans of the trace with this key (`trace_key`) are held."""
        slots = self._traces.table.find(_as_words(np.frombuffer(key, np.uint8).reshape(1, KEY_BYTES)))
        return bool(slots[0] != UNKNOWN)

    @property
    def pending_traces(self) -> int:
        """Traces of which spans are held."""
        return self._traces.count

    @property
    def pending_bytes(self) -> int:
        """Bytes of memory that the spans take that are held."""
        return self._spans.nbytes

    # What is decided.

    @property
    def next_deadline_ns(self) -> int | None:
        """When `decide` will have something to decide; in the past where it has already; None while nothing is held."""
        if not self._settings.block_on_overflow and self._is_overfull:
            return 0
        return self._traces.next_deadline_ns

    def decide(self, now_ns: int) -> Decided | None:
        """Decide what is due: traces whose time is up, late spans, and the oldest traces where there are too many.

        Does so much that the caller is not held up for long; None once there is nothing (more) to decide now.
        """
        slots = self._traces.due(now_ns, _MOST_SPANS)
        early = 0
        if not len(slots) and not self._settings.block_on_overflow:
            slots = self._overflowing()
            early = len(slots)
        return replace(self._decide(slots, now_ns), early=early) if len(slots) else None

    def decide_all(self, now_ns: int) -> Decided | None:
        """The same, as if the time of all traces were up: to be called until it gives None."""
        slots = self._traces.earliest(_MOST_SPANS, self._traces.count)
        return self._decide(slots, now_ns, at_end=True) if len(slots) else None

    def apply(self, verdicts: Verdicts, through: int, decided_ns: int = UNKNOWN_TIME) -> Decided:
        """Carry out decisions that were made before: for the spans that are held, of pieces up to the number `through`.

        The decisions are remembered, so that spans in later pieces follow them as late ones.
        """
        keys = _as_words(verdicts.keys)
        slots = self._traces.table.find(keys)
        here = np.flatnonzero(slots != UNKNOWN)
        marks = self._traces.marks
        marks[slots[here]] = here + 1
        taken, finished = self._spans.take(marks, through)
        marks[slots[here]] = 0
        of_spans = np.concatenate([np.empty(0, np.int32), *(each.marks for each in taken)]) - 1
        decisions = self._as_decisions(verdicts, decided_ns)
        counts = np.bincount(of_spans, minlength=len(verdicts))[here]
        self._traces.release(slots[here], counts, decisions[here])
        self._remembered.put(keys[~verdicts.late], decisions[~verdicts.late])
        parts = {kept: tuple(_parts(taken, verdicts, kept=kept)) for kept in (True, False)}
        votes = np.zeros((len(verdicts), len(self.policies)), np.bool_)
        return Decided(verdicts, parts[True], parts[False], tuple(finished), votes, recorded=self._recorded)

    def counted(self, decided: Decided) -> TraceDecisions:
        """What has been decided, in numbers."""
        verdicts = decided.verdicts
        spans: Counter[tuple[str, bool]] = Counter()
        for parts, kept in ((decided.kept, True), (decided.dropped, False)):
            for part in parts:
                spans[part.reason, kept] += len(part.spans)
        return TraceDecisions(
            opened=decided.opened,
            votes=self._policies.count_votes(decided.votes[~verdicts.late]),
            traces=_count_by_kept(verdicts.kept[~verdicts.late]),
            spans=spans,
            late=_count_by_kept(verdicts.kept[verdicts.late]),
            early=decided.early,
            ages=Ages.of(decided.ages_ns),
            late_ages=Ages.of(decided.late_ages_ns),
            failures=decided.failures,
            took_s=decided.took_s,
        )

    # When other settings come.

    def successor(self, settings: TailSamplingProcessor) -> TailSampler:
        """A sampler by other settings, which knows what this one has decided; it holds nothing until it is given that, too."""
        successor = TailSampler(settings)
        places = successor._places_of(tuple(self._names))
        for keys, decisions in self._remembered.all():
            decisions["reason"] = places[decisions["reason"]]
            successor._remembered.put(keys, decisions)
        return successor

    def held(self) -> list[Held]:
        """What a successor is to be given, by pieces, to be added at the times when they came."""
        return self._spans.held()

    def handed_over(self, predecessor: TailSampler) -> None:
        """All is added that a predecessor held: what is new about it is what that one has not told of."""
        self._traces.note_as(predecessor._traces)

    def restore(self, verdicts: Verdicts) -> None:
        """Remember decisions, the oldest first, as after a restart."""
        self._remembered.put(_as_words(verdicts.keys), self._as_decisions(verdicts, UNKNOWN_TIME))

    def _overflowing(self) -> Slots:
        """Traces that must be decided so that there is not too much; the oldest."""
        if self._spans.nbytes > self._settings.max_bytes:
            self._spans.squeeze()
        if not self._is_overfull:
            return np.empty(0, np.int32)
        traces = self._traces.count - self._settings.num_traces
        excess = self._spans.nbytes - self._settings.max_bytes
        # Before they are decided, nobody knows what their spans take; a little more, lest it be repeated for every piece.
        spans = int(1.05 * self._spans.spans * excess / self._spans.nbytes) + 1 if excess > 0 else 0
        if traces > 0:
            return self._traces.earliest(_MOST_SPANS, traces)
        return self._traces.earliest(min(spans, _MOST_SPANS), self._traces.count)

    def _decide(self, slots: Slots, now_ns: int, *, at_end: bool = False) -> Decided:
        decisions, is_decided = self._traces.earlier_decisions(slots)
        is_too_large = self._traces.has_mark(slots, TOO_LARGE) & ~is_decided
        decisions["reason"][is_too_large] = self._names.index(TRACE_TOO_LARGE)
        undecided = ~(is_decided | is_too_large)
        votes = np.zeros((len(slots), len(self.policies)), np.bool_)
        took_s: Counter[str] = Counter()
        faulty = np.empty(0, np.intp)
        fault: Exception | None = None
        if at_end and self._settings.drop_pending_traces_on_shutdown:
            decisions["reason"][undecided] = self._names.index(SHUTDOWN)
        elif undecided.any():
            faulty, fault = self._ask(slots, np.flatnonzero(undecided), now_ns, decisions, votes, took_s)
        verdicts = Verdicts(
            keys=self._traces.table.keys[slots].view(np.uint8).reshape(-1, KEY_BYTES),
            kept=decisions["kept"],
            reasons=decisions["reason"],
            names=tuple(self._names),
            probabilities=decisions["probability"],
            thresholds_stay=decisions["thresholds_stay"],
            late=is_decided,
        )
        ages_ns = self._traces.ages_ns(slots[~is_decided], now_ns)
        failures, reasons, earlier_fault = self._traces.take_failures()
        if len(faulty):
            failures = {**failures, INTERNAL_ERROR: len(faulty)}
        decided = self.apply(verdicts, _ALL_PIECES, now_ns)
        return replace(
            decided,
            votes=votes,
            ages_ns=ages_ns,
            opened=self._traces.take_opened(),
            late_ages_ns=self._traces.take_late_ages_ns(),
            failures=failures,
            reasons=reasons,
            fault=fault or earlier_fault,
            took_s=took_s,
        )

    def _ask(
        self,
        slots: Slots,
        undecided: NDArray[np.intp],
        now_ns: int,
        decisions: Decisions,
        votes: NDArray[np.bool_],
        took_s: Counter[str],
    ) -> tuple[NDArray[np.intp], Exception | None]:
        """Ask the policies about some of the traces in `slots`, and fill in what they say.

        A trace about which they fail by a fault of their own is kept: what is kept in vain costs room, what is dropped in vain is
        lost. What was taken from a rate before they failed stays taken.

        Args:
            slots: of traces.
            undecided: rows of those that are to be decided.
            now_ns: when that is.
            decisions, votes: of all traces in `slots`; the rows of those that are decided here are filled.
            took_s: for how long each policy was asked; added to.

        Returns:
            The rows of traces about which they failed, and the fault, if it was now.
        """

        def ask(part: slice) -> None:
            rows = asked[part]
            outcome = self._policies.decide(self._traces.facts(slots[rows], now_ns))
            decisions["kept"][rows] = outcome.kept
            decisions["reason"][rows] = outcome.deciders
            decisions["probability"][rows] = outcome.probabilities
            decisions["thresholds_stay"][rows] = outcome.unconditional
            votes[rows] = outcome.votes
            took_s.update(dict(zip(self.policies, outcome.took_s.tolist(), strict=True)))

        is_faulty = self._traces.has_mark(slots[undecided], FAULTY)
        asked = undecided[~is_faulty]
        at_fault, fault = single_out(ask, len(asked))
        faulty = np.concatenate([undecided[is_faulty], *(asked[part] for part in at_fault)])
        decisions["kept"][faulty] = decisions["thresholds_stay"][faulty] = True
        decisions["reason"][faulty] = self._names.index(INTERNAL_ERROR)
        decisions["probability"][faulty] = 1
        return faulty, fault

    def _places_of(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The places that this sampler has for names, some of which may be new to it."""
        self._names += [name for name in dict.fromkeys(names) if name not in self._names]
        return np.array([self._names.index(name) for name in names], np.int32)

    def _as_decisions(self, verdicts: Verdicts, decided_ns: int) -> Decisions:
        """Verdicts as they are remembered, with this sampler's places of names."""
        places = self._places_of(verdicts.names)
        decisions = np.zeros(len(verdicts), DECISION)
        decisions["decided_ns"] = decided_ns
        decisions["kept"] = verdicts.kept
        decisions["reason"] = places[verdicts.reasons]
        decisions["probability"] = verdicts.probabilities
        decisions["thresholds_stay"] = verdicts.thresholds_stay
        return decisions


def _count_by_kept(kept: Mask) -> Mapping[bool, int]:
    return {True: int(np.count_nonzero(kept)), False: int(np.count_nonzero(~kept))}


def _as_words(keys: NDArray[np.uint8]) -> Keys:
    return np.ascontiguousarray(keys).view(np.uint64)


def _parts(taken: list[Taken], verdicts: Verdicts, *, kept: bool) -> list[Part]:
    """The spans that were kept, or those that were not, by piece and reason."""
    parts = []
    for piece, batch, rows, marks in taken:
        traces = marks - 1
        chosen = verdicts.kept[traces] == kept
        reasons = verdicts.reasons[traces]
        for reason in np.unique(reasons[chosen]).tolist():
            alike = chosen & (reasons == reason)
            parts.append(Part(piece, batch.select(rows[alike]), verdicts.names[reason], traces[alike]))
    return parts
