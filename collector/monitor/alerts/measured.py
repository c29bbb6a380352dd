"""What was measured of spans, and what that means for a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.monitor.alerts.states import Seen

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LONGEST: Final = 31 * DAY
"""The longest time range that is measured, nanoseconds."""
_STATISTIC: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?|100)")


@dataclass(frozen=True, slots=True)
class Reading:
    """A time range that a condition needs measured, in nanoseconds.

    Attributes:
        length: from its start to its end.
        back: from its end to the time of the evaluation.
    """

    length: int
    back: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one group of spans in one time range.

    Attributes:
        spans, errors: how many, and how many with the status Error, each as many times as the spans that it stands for.
        duration: the sum of their durations in nanoseconds, weighted likewise.
        quantiles: from 0 to 1 → the quantile of the durations, nanoseconds.
        slower: nanoseconds → how many spans took longer.
    """

    spans: float
    errors: float = 0.0
    duration: float = 0.0
    quantiles: Mapping[float, float] = field(default_factory=dict)
    slower: Mapping[int, float] = field(default_factory=dict)

    def statistic(self, name: str) -> float:
        """`mean`, or a percentile such as `p99`, of the durations of some spans, in nanoseconds."""
        quantile = quantile_of(name)
        return self.duration / self.spans if quantile is None else self.quantiles[quantile]


NOTHING: Final = Measured(0.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition says of a group.

    Attributes:
        seen: how it stands.
        value: what is compared with the threshold; None where that cannot be said.
        spans: in the newest time range.
    """

    seen: Seen
    value: float | None
    spans: float


def quantile_of(statistic: str) -> float | None:
    """The quantile, from 0 to 1, that `p99` names; None for `mean` and what is no percentile."""
    named = _STATISTIC.fullmatch(statistic)
    return None if named is None else float(named[1]) / 100
