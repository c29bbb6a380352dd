"""When a load test ends before its time: what its last seconds and all of it say, against what its author wants to see."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import numpy as np

from collector import sketch
from collector.monitor.load.interval import Buckets, Summary
from collector.monitor.load.plan import StopConditions

_WINDOW_S: Final = 5.0
_FEWEST: Final = 20
"""Of fewer requests, shares and percentiles say nothing."""
_MILLISECOND: Final = 1e6


def quantile(buckets: Buckets, q: float) -> float | None:
    """The quantile of a sketch, in its own unit; None where it holds nothing."""
    keys = np.array(sorted(buckets), np.int64)
    return sketch.quantile(keys, np.array([buckets[key] for key in keys.tolist()], np.float64), q)


class Watch:
    """Looks at each interval of a running test."""

    def __init__(self, conditions: StopConditions) -> None:
        self._conditions = conditions
        self._recent: deque[Summary] = deque()
        self._failures = 0

    def reason_to_stop(self, latest: Summary) -> str:
        """Why the test has to end, as a sentence; empty when it may go on."""
        self._recent.append(latest)
        self._failures += latest.failed_count
        while sum(each.seconds for each in self._recent) - self._recent[0].seconds >= _WINDOW_S:
            self._recent.popleft()
        wanted = self._conditions
        if wanted.failures is not None and self._failures >= wanted.failures:
            return f"{self._failures} requests have failed; the test was to end at {wanted.failures}."
        failed = sum(each.failed_count for each in self._recent)
        ended = failed + sum(each.succeeded for each in self._recent)
        if wanted.error_share_above is not None and ended >= _FEWEST and failed > wanted.error_share_above * ended:
            share, most = failed / ended, wanted.error_share_above
            return f"{share:.1%} of the last {ended} requests failed; more than {most:.1%} end the test."
        if wanted.p99_above_ms is not None and sum(each.measured for each in self._recent) >= _FEWEST:
            merged: Counter[int] = Counter()
            for each in self._recent:
                merged.update(each.response)
            p99 = (quantile(merged, 0.99) or 0.0) / _MILLISECOND
            if p99 > wanted.p99_above_ms:
                return f"The 99th percentile was {p99:.1f} ms; above {wanted.p99_above_ms:g} ms the test ends."
        return ""
