"""How many spans each span stands for, itself among them, since samplers have dropped the others: its adjusted count.

Source: the OpenTelemetry specification, "TraceState: Probability Sampling". With a threshold T in its trace state (`ot=th:T`), a
span was kept with the probability (2**56 - T) / 2**56, and stands for as many as the inverse says; without one, for itself.

The table of the spans has the same rule as the default of its column `AdjustedCount`.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.distinct import distinct
from proto.spans import SpanBatch
from proto.texts import Texts

_RANDOMNESSES: Final = 1 << 56
_THRESHOLD_DIGITS: Final = 14
_THRESHOLD: Final = re.compile(
    rb"(?:^|,)[ \t]*ot=(?:[a-z][a-z0-9]*:[A-Za-z0-9._-]*;)*th:([0-9a-f]{1,14})(?:;[a-z][a-z0-9]*:[A-Za-z0-9._-]*)*[ \t]*,"
)
"""The threshold in a trace state with a comma at its end, if the list member around it is well formed."""


def adjusted_counts(batch: SpanBatch) -> NDArray[np.float64]:
    """The adjusted count of each span, at least 1, shape (spans,)."""
    known = batch.adjusted_count
    if known is None:
        return _by_trace_states(batch)
    unknown = np.isnan(known)
    return np.where(unknown, _by_trace_states(batch), known) if unknown.any() else known


def _by_trace_states(batch: SpanBatch) -> NDArray[np.float64]:
    lengths = batch.spans["trace_state_length"]
    if not lengths.any():
        return np.ones(len(batch), np.float64)
    codes, states = distinct(Texts(batch.data, batch.spans["trace_state_offset"], lengths))
    return np.array([adjusted_count(state) for state in states], np.float64)[codes]


def adjusted_count(trace_state: bytes) -> float:
    """The adjusted count of a span with this trace state: 1 where it has no threshold, or a malformed one."""
    found = _THRESHOLD.search(trace_state + b",")
    threshold = int(found[1].ljust(_THRESHOLD_DIGITS, b"0"), 16) if found else 0
    return _RANDOMNESSES / (_RANDOMNESSES - threshold)
