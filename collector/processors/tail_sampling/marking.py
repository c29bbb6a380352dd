"""What is written into spans that are kept: how many they stand for, and which policy decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.trace_states import TraceStates, with_trace_states
from proto.adjusted_count import adjusted_counts
from proto.edit import Edit, Mask
from proto.spans import BOOL, SpanBatch

_POLICY: Final = b"tailsampling.policy"
_COMPOSITE: Final = b"tailsampling.composite_policy"
_CACHED: Final = b"tailsampling.cached_decision"


def weighed(batch: SpanBatch, probabilities: NDArray[np.float64], thresholds_stay: Mask) -> SpanBatch:
    """The spans with what they stand for.

    A span stands for as many as it came for, divided by the probability; where that is not known, for as many as it came for. Its
    trace state goes on saying so only where it still speaks of every trace alike. One that could not be here if its own threshold
    was true came for itself.

    Args:
        probabilities: float64, shape (spans,); NaN where unknown.
        thresholds_stay: shape (spans,).
    """
    states = TraceStates(batch)
    said = adjusted_counts(batch)
    counts = np.where(states.untrue, 1, said)
    new = counts / np.where(np.isnan(probabilities), 1, probabilities)
    erased = states.has_threshold & (states.untrue | ~thresholds_stay)
    if erased.any():
        kinds = np.where(erased, states.codes, len(states.states)).astype(np.int64)
        texts = [None if state is None else state.with_threshold(None) for state in states.states]
        batch = with_trace_states(batch, np.arange(len(batch)), kinds, [*texts, None].__getitem__)
    if batch.adjusted_count is None and not erased.any() and np.array_equal(new, said):
        return batch
    return replace(batch, adjusted_count=new)


def with_policies(batch: SpanBatch, reasons: NDArray[np.int32], names: Sequence[tuple[str, str]], late: Mask) -> SpanBatch:
    """The spans with attributes that say which policy decided, and of which it was not this time that it did.

    Args:
        reasons: shape (spans,): places in `names`.
        names: of policies, and of policies within them; the latter may be empty.
        late: shape (spans,).
    """
    edit = Edit(batch, "spans", [_POLICY, _COMPOSITE, _CACHED])
    outer, inner = ([name.encode() for name in part] for part in zip(*names, strict=True))
    edit.put_texts(0, np.ones(len(batch), np.bool_), reasons, outer)
    within = np.array([name != b"" for name in inner], np.bool_)[reasons]
    edit.put_texts(1, within, reasons[within], inner)
    edit.put_numbers(2, late, BOOL, 1)
    return edit.finish()
