"""When a batch goes, and where it is cut: numbers in, decisions out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large and how old a batch becomes.

    Attributes:
        min_spans: a batch goes once it has so many spans; 0 leaves the decision to the others.
        max_spans: what is larger is cut; 0 cuts by bytes only.
        max_bytes: a batch goes once it takes so many bytes of memory, and is cut where its rows would take more.
        timeout_s: a batch goes so many seconds after its first span came; 0 sends at once.
    """

    min_spans: int
    max_spans: int
    max_bytes: int
    timeout_s: float

    @property
    def wanted_spans(self) -> float:
        """Spans that make a batch go."""
        return self.min_spans or math.inf

    @property
    def most_spans(self) -> float:
        """Spans that a batch may have."""
        return self.max_spans or math.inf

    def is_due(self, spans: int, nbytes: int, age_s: float) -> bool:
        """Whether so many spans and bytes, the first of which came so many seconds ago, should go now."""
        return spans >= self.wanted_spans or nbytes >= self.max_bytes or age_s >= self.timeout_s

    def cuts(self, weights: NDArray[np.int64]) -> Iterator[slice]:
        """Consecutive runs of spans that keep within `max_spans` and `max_bytes`; a heavier span is alone.

        Args:
            weights: bytes that each span will take, all positive; shape (spans,).
        """
        ends = np.cumsum(weights)
        start = 0
        while start < len(weights):
            before = ends[start] - weights[start]
            stop = int(np.searchsorted(ends, before + self.max_bytes, side="right"))
            stop = max(start + 1, int(min(stop, start + self.most_spans)))
            yield slice(start, stop)
            start = stop
