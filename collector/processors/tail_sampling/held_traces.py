"""What is known of the traces of which spans are held: gathered from their spans as these come, in a slot for each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.tail_sampling.combining import Policies
from collector.processors.tail_sampling.deadlines import NEVER, Deadlines
from collector.processors.tail_sampling.policies import Traces
from collector.processors.tail_sampling.remembered import DECISION, UNKNOWN_TIME, Decisions, Remembered
from collector.processors.tail_sampling.singling_out import single_out
from collector.processors.tail_sampling.span_rules import Bits
from config.tail_sampling import TailSamplingProcessor
from proto.edit import Mask
from proto.spans import SpanBatch
from proto.trace_table import TRACE, KeyTable, Slots, gather, trace_keys

ROOT: Final = 1
"""Mark of a trace whose root has come."""
LATE: Final = 2
"""Mark of a trace that was decided before: its spans follow that decision."""
TOO_LARGE: Final = 4
"""Mark of a trace that is larger than the configuration allows."""
FAULTY: Final = 8
"""Mark of a trace with a span about which policies failed by a fault of their own."""

_MORE_SLOTS: Final = 1 << 16
"""So many traces more than may be held fit in, since those of a batch are taken before others are given up."""
_MOST_TRACE_BYTES: Final = 1 << 30
"""A larger trace could not be joined into one batch."""
_LONGEST_TICK_NS: Final = 1_000_000_000
_SHORTEST_TICK_NS: Final = 10_000_000
_TICKS: Final = 30
"""Deadlines are kept to within this part of the wait, so that many traces are decided together."""


@lru_cache(maxsize=1024)
def workspace_digest(workspace: str) -> bytes:
    """Eight bytes that stand for a workspace."""
    return hashlib.blake2b(workspace.encode(), digest_size=8).digest()


class HeldTraces:
    """Traces by their slots.

    Attributes:
        table: the slots by keys.
        marks: room for a number for each slot, int32, shape (slots + 1,); all are zero between any two uses.
    """

    def __init__(self, settings: TailSamplingProcessor, policies: Policies) -> None:
        self._wait_ns = int(settings.decision_wait)
        self._wait_after_root_ns = int(settings.decision_wait_after_root_received)
        shortest = min(self._wait_ns, self._wait_after_root_ns or self._wait_ns)
        self._tick_ns = min(max(shortest // _TICKS, _SHORTEST_TICK_NS), _LONGEST_TICK_NS)
        self._most_bytes = min(settings.maximum_trace_size_bytes or _MOST_TRACE_BYTES, _MOST_TRACE_BYTES)
        self._policies = policies
        capacity = settings.num_traces + _MORE_SLOTS
        self.table = KeyTable(capacity)
        # Slots that were never in use take no memory.
        self._traces = np.zeros(capacity, TRACE)
        self._met: Bits = np.zeros((capacity, policies.rules.words), np.uint64)
        self._decisions: Decisions = np.zeros(capacity, DECISION)
        self.marks: NDArray[np.int32] = np.zeros(capacity + 1, np.int32)
        self._deadlines = Deadlines(self._traces)
        self._opened = 0
        self._late_ages_ns: list[NDArray[np.int64]] = []
        self._failures: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        self._fault: Exception | None = None

    @property
    def count(self) -> int:
        """How many traces there are."""
        return self.table.used

    # What comes in.

    def add(self, batch: SpanBatch, now_ns: int, remembered: Remembered) -> Slots:
        """Learn from the spans of a batch, which came at that time; the slot of each span's trace, shape (spans,)."""
        matched, marks = self._match(batch)
        if self.count + len(batch) > self.table.capacity:
            self._grow(2 * self.table.capacity + len(batch))
        slots, fresh = self.table.enter(trace_keys(batch, _digests(batch.workspaces)))
        late, decisions = remembered.recall(self.table.keys[fresh])
        self._open(fresh, late, decisions, now_ns)
        self._opened += int(np.count_nonzero(~late))
        gather(self._traces, self._met, slots, batch.spans, marks, matched)
        self._hasten(slots, marks & np.uint32(ROOT) != 0, now_ns)
        self._note_late(slots, now_ns)
        return slots

    def _match(self, batch: SpanBatch) -> tuple[Bits, NDArray[np.uint32]]:
        """The rules that spans meet, as in `Matched`, and what spans mark their traces with, shape (spans,)."""
        rules = self._policies.rules
        bits = np.zeros((len(batch), rules.words), np.uint64)
        marks = np.zeros(len(batch), np.uint32)

        def match(part: slice) -> None:
            matched = rules.match(batch if part == slice(0, len(batch)) else batch.select(part))
            self._failures.update(matched.failures)
            self._reasons.update(matched.reasons)
            bits[part] = matched.bits
            marks[part] = matched.is_root * np.uint32(ROOT)

        at_fault, error = single_out(match, len(batch))
        for part in at_fault:
            marks[part] = FAULTY
        self._fault = error or self._fault
        return bits, marks

    def _note_late(self, slots: Slots, now_ns: int) -> None:
        """Note how late spans are whose traces were decided before."""
        decided_ns = self._decisions["decided_ns"][slots[self.has_mark(slots, LATE)]]
        decided_ns = decided_ns[decided_ns != UNKNOWN_TIME]
        if len(decided_ns):
            self._late_ages_ns.append(now_ns - decided_ns)

    def _open(self, fresh: Slots, late: Mask, decisions: Decisions, now_ns: int) -> None:
        """Begin with new traces, some of which were decided before."""
        traces = self._traces
        traces["start_time_unix_nano"][fresh] = np.iinfo(np.uint64).max
        for field in ("end_time_unix_nano", "wire_bytes", "spans"):
            traces[field][fresh] = 0
        traces["first_ns"][fresh] = now_ns
        traces["marks"][fresh] = np.where(late, LATE, 0)
        self._met[fresh] = 0
        self._decisions[fresh] = decisions
        self._deadlines.put(fresh[~late], self._tick(now_ns + self._wait_ns))
        self._deadlines.put(fresh[late], self._soon(now_ns))

    def _hasten(self, slots: Slots, is_root: Mask, now_ns: int) -> None:
        """Bring forward the decision about traces for which nothing more need be waited for."""
        traces = self._traces
        too_large = traces["wire_bytes"][slots] > self._most_bytes
        if too_large.any():
            large = np.unique(slots[too_large])
            traces["marks"][large] |= TOO_LARGE
            self._bring_forward(large, self._soon(now_ns))
        if self._wait_after_root_ns:
            self._bring_forward(np.unique(slots[is_root]), self._tick(now_ns + self._wait_after_root_ns))
        if self._policies.can_settle:
            touched = np.unique(slots)
            touched = touched[self.has_mark(touched, ROOT)]
            self._bring_forward(touched[self._settled(touched, now_ns)], self._soon(now_ns))

    def _settled(self, slots: Slots, now_ns: int) -> Mask:
        """Traces that are kept for certain; others about which policies fail are decided when their time is up."""
        settled = np.zeros(len(slots), np.bool_)

        def ask(part: slice) -> None:
            settled[part] = self._policies.settled(self.facts(slots[part], now_ns))

        _, error = single_out(ask, len(slots))
        self._fault = error or self._fault
        return settled

    def _bring_forward(self, slots: Slots, tick: int) -> None:
        self._deadlines.put(slots[self._traces["deadline"][slots] > tick], tick)

    def _tick(self, time_ns: int) -> int:
        """The first tick that is not before a time."""
        return -(-time_ns // self._tick_ns)

    def _soon(self, now_ns: int) -> int:
        """The next tick, so that what comes until then is decided together."""
        return now_ns // self._tick_ns + 1

    def _grow(self, capacity: int) -> None:
        self.table.grow(capacity)
        self._traces = _grown(self._traces, capacity)
        self._met = _grown(self._met, capacity)
        self._decisions = _grown(self._decisions, capacity)
        self.marks = np.zeros(capacity + 1, np.int32)
        self._deadlines.traces = self._traces

    # What is known.

    @property
    def next_deadline_ns(self) -> int | None:
        """When something will be due, or earlier; None without traces."""
        earliest = self._deadlines.earliest
        return earliest * self._tick_ns if earliest is not None and self.count else None

    def due(self, now_ns: int, most_spans: int) -> Slots:
        """Traces whose time is up, which are not due any more then: as few as have so many spans."""
        return self._deadlines.take(most_spans, self.count, now_ns // self._tick_ns)

    def earliest(self, most_spans: int, most_traces: int) -> Slots:
        """The same, whether their time is up or not: as few as have so many spans, or are so many."""
        return self._deadlines.take(most_spans, most_traces)

    def has_mark(self, slots: Slots, mark: int) -> Mask:
        """Which traces have a mark."""
        marked: Mask = self._traces["marks"][slots] & np.uint32(mark) != 0
        return marked

    def earlier_decisions(self, slots: Slots) -> tuple[Decisions, Mask]:
        """What was decided about traces when they were decided before, zeros where they were not; and whether they were."""
        late = self.has_mark(slots, LATE)
        decisions = self._decisions[slots]
        decisions[~late] = 0
        return decisions, late

    def facts(self, slots: Slots, now_ns: int) -> Traces:
        """What policies ask about traces."""
        traces = self._traces[slots]
        starts, ends = traces["start_time_unix_nano"], traces["end_time_unix_nano"]
        return Traces(
            ids=self.table.keys[slots].view(np.uint8)[:, :16],
            spans=traces["spans"].astype(np.int64),
            wire_bytes=traces["wire_bytes"].copy(),
            duration_ns=np.where(ends > starts, ends - starts, 0).astype(np.uint64),
            met=self._met[slots],
            now_ns=now_ns,
        )

    def ages_ns(self, slots: Slots, now_ns: int) -> NDArray[np.int64]:
        """How long ago the first span of each trace came."""
        ages: NDArray[np.int64] = now_ns - self._traces["first_ns"][slots]
        return ages

    def take_opened(self) -> int:
        """Traces that came for the first time since this was last asked."""
        opened, self._opened = self._opened, 0
        return opened

    def take_late_ages_ns(self) -> NDArray[np.int64]:
        """How late spans were that came after their traces' decisions since this was last asked."""
        taken, self._late_ages_ns = self._late_ages_ns, []
        return np.concatenate([np.empty(0, np.int64), *taken])

    def take_failures(self) -> tuple[Mapping[str, int], Mapping[str, str], Exception | None]:
        """Name of a policy → spans and events for which a condition of it could not be worked out since this was last asked,
        and → why; and a fault by which policies failed."""
        taken = self._failures, self._reasons, self._fault
        self._failures, self._reasons, self._fault = Counter(), {}, None
        return taken

    def note_as(self, others: HeldTraces) -> None:
        """Take what nobody has asked others yet for what nobody has asked here."""
        self._opened, self._late_ages_ns = others.take_opened(), [others.take_late_ages_ns()]

    # What is decided.

    def release(self, slots: Slots, spans: NDArray[np.int64], decisions: Decisions) -> None:
        """Forget traces of which so many spans are no longer held; those that have more go on as late ones."""
        left = self._traces["spans"][slots] - spans
        gone, others = slots[left == 0], slots[left > 0]
        self._traces["deadline"][gone] = NEVER
        self.table.remove(gone)
        self._traces["spans"][others] = left[left > 0]
        self._traces["marks"][others] = LATE
        self._decisions[others] = decisions[left > 0]
        self._deadlines.put(others, 0)


def _digests(workspaces: Sequence[str]) -> NDArray[np.uint64]:
    return np.frombuffer(bytearray().join(map(workspace_digest, workspaces)), np.uint64)


def _grown(array: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.zeros((capacity, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
