"""The trace states of a batch as columns of what they say about sampling, and new ones for the spans that a sampler has kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collector.processors.probability import DIGITS, NEVER
from collector.processors.trace_state import RANDOMNESS_HOLE, TraceState, read_trace_state
from proto.adjusted_count import adjusted_counts
from proto.distinct import Codes, distinct
from proto.edit import Data, Mask
from proto.spans import SpanBatch, take
from proto.texts import Texts

Thresholds = NDArray[np.uint64]
"""Numbers of 56 bits: thresholds, and the randomness that is compared with them."""

_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


class TraceStates:
    """What the trace states of a batch say, each of those that differ read once.

    Attributes:
        codes: int32, shape (spans,): which of `states` a span has.
        states: those that differ; None for one that is malformed.
    """

    def __init__(self, batch: SpanBatch) -> None:
        self._batch = batch
        lengths = batch.spans["trace_state_length"]
        self.codes: Codes = np.zeros(len(batch), np.int32)
        self.states: list[TraceState | None] = [TraceState()]
        if lengths.any():
            self.codes, texts = distinct(Texts(batch.data, batch.spans["trace_state_offset"], lengths))
            self.states = [read_trace_state(text) for text in texts]

    @cached_property
    def malformed(self) -> Mask:
        """Spans whose trace state cannot be read."""
        return self._mask(lambda state: state is None)

    @cached_property
    def has_threshold(self) -> Mask:
        """Spans that were sampled before."""
        return self._mask(lambda state: state is not None and state.threshold is not None)

    @cached_property
    def has_randomness(self) -> Mask:
        """Spans whose randomness is not that of their trace id."""
        return self._mask(lambda state: state is not None and state.randomness is not None)

    @cached_property
    def trace_ids(self) -> NDArray[np.uint8]:
        """The trace id of each span, shape (spans, 16)."""
        return self._batch.data[self._batch.spans["trace_id_offset"][:, None] + np.arange(16)]

    @cached_property
    def randomness(self) -> Thresholds:
        """The randomness of each span: what its trace state says, else the last 56 bits of its trace id."""
        explicit = np.array([state.randomness or 0 if state else 0 for state in self.states], np.uint64)[self.codes]
        data = self._batch.data
        # Whatever eight bytes begin at each place, as a number: those of an id are found in one step.
        words = np.ndarray(max(len(data) - 7, 0), ">u8", data, strides=(1,))
        own = words[self._batch.spans["trace_id_offset"] + 8].astype(np.uint64) & np.uint64(NEVER - 1)
        return np.where(self.has_randomness, explicit, own)

    @cached_property
    def untrue(self) -> Mask:
        """Spans that cannot be here if their own threshold is true."""
        arrived = np.array([state.threshold or 0 if state else 0 for state in self.states], np.uint64)[self.codes]
        return self.has_threshold & (self.randomness < arrived)

    def _mask(self, holds: Callable[[TraceState | None], bool]) -> Mask:
        mask: Mask = np.array([holds(state) for state in self.states], np.bool_)[self.codes]
        return mask


def with_trace_states(
    batch: SpanBatch,
    rows: NDArray[np.intp],
    kinds: NDArray[np.int64],
    text_of: Callable[[int], bytes | None],
    randomness: Thresholds | None = None,
) -> SpanBatch:
    """The spans that were kept, with new trace states.

    Args:
        rows: of the spans in the batch.
        kinds: shape (rows,): spans of one kind get the same text.
        text_of: the text for a kind; None leaves the trace states as they are.
        randomness: shape (rows,): what is written where a text has RANDOMNESS_HOLE.
    """
    offsets = np.empty(len(rows), np.int64)
    lengths = np.zeros(len(rows), np.int32)
    written = np.zeros(len(rows), np.bool_)
    texts: list[NDArray[np.uint8]] = []
    size = 0
    # Spans of one kind lie together, so that each text is made once.
    order = np.argsort(kinds, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        text = text_of(int(kinds[group[0]])) if len(group) else None
        if text is None:
            continue
        hole = text.find(RANDOMNESS_HOLE)
        copies = 1 if hole < 0 else len(group)
        block = np.tile(np.frombuffer(text, np.uint8), (copies, 1))
        if hole >= 0 and randomness is not None:
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
    sampled = replace(batch, data=data.view, spans=spans, origin=None, adjusted_count=None)
    if batch.adjusted_count is None:
        return sampled
    return replace(sampled, adjusted_count=_reweighed(batch.select(rows), sampled))


def _reweighed(before: SpanBatch, after: SpanBatch) -> NDArray[np.float64]:
    """Adjusted counts that did not come from trace states, after sampling has changed these; shape (spans,)."""
    return adjusted_counts(before) * adjusted_counts(after) / adjusted_counts(replace(before, adjusted_count=None))


def _hexadecimal(numbers: Thresholds) -> NDArray[np.uint8]:
    """14 digits each, shape (numbers, 14)."""
    shifts = np.arange(4 * (DIGITS - 1), -1, -4, dtype=np.uint64)
    digits: NDArray[np.uint8] = _HEX[(numbers[:, None] >> shifts & np.uint64(15)).astype(np.intp)]
    return digits
