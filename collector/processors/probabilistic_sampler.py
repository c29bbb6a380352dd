"""Keeps a share of the spans: the processor `probabilistic_sampler`.

The decision compares two 56-bit numbers, the span's randomness and a threshold. Both may come from its trace state, to which the
threshold is written for whoever comes behind. The same trace id gets the same answer everywhere, and one that is kept at a low
percentage is kept at each higher one.

Modes, priorities and the hash are those of the OpenTelemetry Collector's processor of the same name.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.base import Processed
from collector.processors.probability import NEVER, SMALLEST, probability, threshold
from collector.processors.trace_state import TraceState
from collector.processors.trace_states import Thresholds, TraceStates, with_trace_states
from collector.processors.values import read_double
from config.sampling import ProbabilisticSampler
from proto.attribute_search import find_attributes
from proto.distinct import distinct_strings
from proto.edit import Mask
from proto.spans import ABSENT, DOUBLE, INT, STRING, SpanBatch, take

_PRIORITY: Final = b"sampling.priority"

_REASONS: Final = {
    "trace_state": "the trace state is malformed",
    "threshold": "the threshold in the trace state says that this span was not sampled",
    "already_sampled": "the trace state has th or rv, since the span was sampled before; use mode proportional or equalizing",
}

_BUCKETS: Final = 1 << 14
_FNV_BASIS: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193

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
        states = TraceStates(batch)
        randomness, explicit, wrong = self._read(states)
        thresholds = self._thresholds(states.states)
        kept = randomness >= thresholds[states.codes]
        broken = np.logical_or.reduce(list(wrong.values()))
        kept[broken] = not self._fail_closed
        forced, forbidden = _priorities(batch)
        kept = (kept | forced) & ~forbidden

        becomes = np.where(forced, _AS_FORCED, _AS_SAMPLED).astype(np.int64)
        becomes[broken] = _UNTOUCHED
        becomes[wrong["threshold"]] = _ERASED
        rows = np.flatnonzero(kept)
        kinds = (states.codes * np.int64(4) + becomes)[rows]
        left = with_trace_states(batch, rows, kinds, partial(self._text, states.states, thresholds), randomness[rows])
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

    def _read(self, states: TraceStates) -> tuple[Thresholds, Mask, dict[str, Mask]]:
        """The randomness of spans, whether it is from their trace states, and for what reason some cannot be judged.

        Trace ids are never zero: such spans were refused.
        """
        none = np.zeros(len(states.codes), np.bool_)
        if self._hashes:
            sampled = states.has_threshold | states.has_randomness
            wrong = {"trace_state": states.malformed, "threshold": none, "already_sampled": sampled}
            return self._hashed(states.trace_ids), none, wrong
        return states.randomness, states.has_randomness, {"trace_state": states.malformed, "threshold": states.untrue}

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

    def _text(self, states: list[TraceState | None], thresholds: Thresholds, kind: int) -> bytes | None:
        """The new text of a trace state. A threshold is never lowered: what is gone stays gone."""
        code, change = divmod(kind, 4)
        state = states[code]
        if state is None or change == _UNTOUCHED:
            return None
        if change == _ERASED:
            return state.with_threshold(None)
        least = 0 if change == _AS_FORCED else int(thresholds[code])
        return state.with_threshold(max(state.threshold or 0, least), randomness_hole=self._hashes)


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


def _fnv(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    state = _FNV_BASIS
    for byte in data:
        state = (state ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return state
