"""Keeps a share of the spans: the processor `probabilistic_sampler`.

The decision compares two 56-bit numbers, the span's randomness and a threshold. Both may come from its trace state, to which the
threshold is written for whoever comes behind. The same trace id gets the same answer everywhere, and one that is kept at a low
percentage is kept at each higher one.

Modes, priorities and the hash are those of the OpenTelemetry Collector's processor of the same name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.processors.probability import DIGITS, NEVER, SMALLEST, probability, threshold
from collector.processors.trace_state import RANDOMNESS_HOLE, TraceState, read_trace_state
from collector.processors.values import read_double
from config.sampling import ProbabilisticSampler
from proto.adjusted_count import adjusted_counts
from proto.attribute_search import find_attributes
from proto.distinct import distinct, distinct_strings
from proto.edit import Data, Mask
from proto.spans import ABSENT, DOUBLE, INT, STRING, SpanBatch, take
from proto.texts import Texts

Thresholds = NDArray[np.uint64]

_PRIORITY: Final = b"sampling.priority"

_REASONS: Final = {
    "trace_state": "the trace state is malformed",
    "threshold": "the threshold in the trace state says that this span was not sampled",
    "already_sampled": "the trace state has th or rv, since the span was sampled before; use mode proportional or equalizing",
}

_BUCKETS: Final = 1 << 14
_FNV_BASIS: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)

# What a span's trace state becomes.
_AS_SAMPLED, _AS_FORCED, _ERASED, _UNTOUCHED = range(4)


class Sampler:
    """See the module."""

    def __init__(self, settings: ProbabilisticSampler) -> None:
        self._hashes = settings.mode == "hash_seed"
        self._proportional = settings.mode == "proportional"
        self._fail_closed = settings.fail_closed
        self._precision = settings.sampling_precision
        self._seeded = _fnv(settings.hash_seed.to_bytes(4, "little"))
        # The Collector reckons in 32 bits.
        percentage = min(np.float32(settings.sampling_percentage), np.float32(100))
        self._ratio = max(float(percentage) / 100, SMALLEST) if percentage else 0.0
        if self._hashes:
            self._threshold = (_BUCKETS - int(percentage * np.float32(_BUCKETS / 100))) << 42
        else:
            self._threshold = threshold(self._ratio, self._precision) if self._ratio else NEVER

    def process(self, batch: SpanBatch) -> Processed:
        """What the trace ids leave of a batch, with thresholds in their trace states."""
        if not len(batch):
            return Processed(batch)
        codes, states = _trace_states(batch)
        randomness, explicit, wrong = self._read(batch, codes, states)
        kept = randomness >= self._thresholds(states)[codes]
        broken = np.logical_or.reduce(list(wrong.values()))
        kept[broken] = not self._fail_closed
        forced, forbidden = _priorities(batch)
        kept = (kept | forced) & ~forbidden

        becomes = np.where(forced, _AS_FORCED, _AS_SAMPLED).astype(np.int64)
        becomes[broken] = _UNTOUCHED
        becomes[wrong["threshold"]] = _ERASED
        rows = np.flatnonzero(kept)
        left = self._write(batch, rows, codes[rows], states, becomes[rows], randomness[rows])
        failed = broken & ~kept & ~forbidden
        dropped = ~kept & ~failed
        failures = {rule: int(mask.sum()) for rule, mask in wrong.items() if mask.any()}
        return Processed(
            left,
            batch.select(dropped) if dropped.any() else None,
            failures,
            batch.select(failed) if failed.any() else None,
            {rule: _REASONS[rule] for rule in failures},
            self._decisions(kept, forced | forbidden, explicit),
        )

    def _decisions(self, kept: Mask, by_priority: Mask, explicit: Mask) -> dict[tuple[str, bool], int]:
        """How many spans each policy has kept and dropped."""
        own = "trace_id_hash" if self._hashes else "trace_id_w3c"
        policies = {
            "sampling_priority": by_priority,
            "sampling_randomness": explicit & ~by_priority,
            own: ~(explicit | by_priority),
        }
        counts = {
            (policy, sampled): int((mask & (kept == sampled)).sum())
            for policy, mask in policies.items()
            for sampled in (True, False)
        }
        return {decision: count for decision, count in counts.items() if count}

    def _read(
        self, batch: SpanBatch, codes: NDArray[np.int32], states: list[TraceState | None]
    ) -> tuple[Thresholds, Mask, dict[str, Mask]]:
        """The randomness of spans, whether it is from their trace states, and for what reason some cannot be judged.

        Trace ids are never zero: such spans were refused.
        """
        malformed = np.array([state is None for state in states])[codes]
        has_threshold = np.array([state is not None and state.threshold is not None for state in states])[codes]
        has_randomness = np.array([state is not None and state.randomness is not None for state in states])[codes]
        explicit = np.array([state.randomness or 0 if state else 0 for state in states], np.uint64)[codes]
        ids = batch.data[batch.spans["trace_id_offset"][:, None] + np.arange(16)]
        if self._hashes:
            wrong = {
                "trace_state": malformed,
                "threshold": np.zeros(len(batch), np.bool_),
                "already_sampled": has_threshold | has_randomness,
            }
            return self._hashed(ids), np.zeros(len(batch), np.bool_), wrong
        own = ids[:, 8:].copy().view(">u8")[:, 0].astype(np.uint64) & np.uint64(NEVER - 1)
        randomness = np.where(has_randomness, explicit, own)
        arrived = np.array([state.threshold or 0 if state else 0 for state in states], np.uint64)[codes]
        return randomness, has_randomness, {"trace_state": malformed, "threshold": has_threshold & (randomness < arrived)}

    def _hashed(self, ids: NDArray[np.uint8]) -> Thresholds:
        """Randomness from the FNV-1a hash of each id, shape (ids, 16): 14 bits of it decide, as in the Collector."""
        hashes = np.full(len(ids), self._seeded, np.uint32)
        for column in ids.T:
            hashes ^= column
            hashes *= np.uint32(_FNV_PRIME)
        hashed = hashes.astype(np.uint64)
        bucket = hashed & np.uint64(_BUCKETS - 1)
        upper = hashed >> np.uint64(18)
        mixed = upper ^ upper << np.uint64(10)
        randomness: Thresholds = (np.uint64(_BUCKETS - 1) - bucket) << np.uint64(42) | mixed << np.uint64(14) | bucket
        return randomness

    def _thresholds(self, states: list[TraceState | None]) -> Thresholds:
        """The threshold for spans of each trace state."""
        if not self._proportional or not self._ratio:
            return np.full(len(states), self._threshold, np.uint64)
        return np.array([self._in_proportion(state.threshold if state else None) for state in states], np.uint64)

    def _in_proportion(self, arrived: int | None) -> int:
        wanted = self._ratio if arrived is None else self._ratio * probability(arrived)
        return threshold(wanted, self._precision) if wanted >= SMALLEST else NEVER

    def _write(
        self,
        batch: SpanBatch,
        rows: NDArray[np.intp],
        codes: NDArray[np.int32],
        states: list[TraceState | None],
        becomes: NDArray[np.int64],
        randomness: Thresholds,
    ) -> SpanBatch:
        """The kept spans, with their new trace states; all arrays but `states` have the shape (rows,)."""
        decided = self._thresholds(states)
        offsets = np.empty(len(rows), np.int64)
        lengths = np.zeros(len(rows), np.int32)
        written = np.zeros(len(rows), np.bool_)
        texts: list[NDArray[np.uint8]] = []
        size = 0
        # Spans that come and go with the same text lie together, so that each text is made once.
        kinds = codes * 4 + becomes
        order = np.argsort(kinds, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
            if not len(group):
                continue
            code, change = divmod(int(kinds[group[0]]), 4)
            state = states[code]
            if state is None or change == _UNTOUCHED:
                continue
            text = self._text(state, change, int(decided[code]))
            hole = text.find(RANDOMNESS_HOLE)
            copies = 1 if hole < 0 else len(group)
            block = np.tile(np.frombuffer(text, np.uint8), (copies, 1))
            if hole >= 0:
                block[:, hole : hole + DIGITS] = _hexadecimal(randomness[group])
            texts.append(block.ravel())
            offsets[group] = size + (np.arange(len(group)) * len(text) if hole >= 0 else 0)
            lengths[group] = len(text)
            written[group] = True
            size += block.size
        if not written.any():
            return batch if len(rows) == len(batch) else batch.select(rows)
        data = Data(batch.data)
        start = data.append(np.concatenate(texts))
        spans = take(batch.spans, rows)
        spans["trace_state_offset"][written] = start + offsets[written]
        spans["trace_state_length"][written] = lengths[written]
        sampled = replace(batch, data=data.view, spans=spans, request_size=0, adjusted_count=None)
        if batch.adjusted_count is None:
            return sampled
        return replace(sampled, adjusted_count=_reweighed(batch.select(rows), sampled))

    def _text(self, state: TraceState, change: int, decided: int) -> bytes:
        """The new text of a trace state. A threshold is never lowered: what is gone stays gone."""
        if change == _ERASED:
            return state.with_threshold(None)
        least = 0 if change == _AS_FORCED else decided
        return state.with_threshold(max(state.threshold or 0, least), randomness_hole=self._hashes)


def _reweighed(before: SpanBatch, after: SpanBatch) -> NDArray[np.float64]:
    """Adjusted counts that did not come from trace states, after sampling has changed these; shape (spans,)."""
    return adjusted_counts(before) * adjusted_counts(after) / adjusted_counts(replace(before, adjusted_count=None))


def _trace_states(batch: SpanBatch) -> tuple[NDArray[np.int32], list[TraceState | None]]:
    """The trace states that differ, read once each, None where one is malformed; and which of them each span has."""
    lengths = batch.spans["trace_state_length"]
    if not lengths.any():
        return np.zeros(len(batch), np.int32), [TraceState()]
    codes, texts = distinct(Texts(batch.data, batch.spans["trace_state_offset"], lengths))
    return codes, [read_trace_state(text) for text in texts]


def _priorities(batch: SpanBatch) -> tuple[Mask, Mask]:
    """Which spans `sampling.priority` keeps, and which it drops, whatever else is said of them."""
    found = find_attributes(batch, batch.spans, [_PRIORITY])[0]
    priorities = np.full(len(batch), np.nan)
    rows = np.flatnonzero(found != ABSENT)
    if len(rows):
        priorities[rows] = _as_numbers(batch, found[rows])
    return priorities > 0, priorities == 0


def _as_numbers(batch: SpanBatch, attributes: NDArray[Any]) -> NDArray[np.float64]:
    values = take(batch.attributes, attributes)
    numbers = np.full(len(values), np.nan)
    kinds = values["type"]
    numbers[kinds == INT] = values["number"][kinds == INT]
    numbers[kinds == DOUBLE] = values["number"][kinds == DOUBLE].view(np.float64)
    strings = kinds == STRING
    codes, texts = distinct_strings(batch.data, values[strings])
    read = [read_double(text) for text in texts]
    numbers[strings] = np.array([np.nan if number is None else number for number in read], np.float64)[codes]
    return numbers


def _hexadecimal(numbers: Thresholds) -> NDArray[np.uint8]:
    """14 digits each, shape (numbers, 14)."""
    shifts = np.arange(4 * (DIGITS - 1), -1, -4, dtype=np.uint64)
    digits: NDArray[np.uint8] = _HEX[(numbers[:, None] >> shifts & np.uint64(15)).astype(np.intp)]
    return digits


def _fnv(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    state = _FNV_BASIS
    for byte in data:
        state = (state ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return state
