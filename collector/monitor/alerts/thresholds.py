"""What all conditions of alert rules have: thresholds that are possible, and how a number is compared with them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from collector.control.objects import ObjectModel
from collector.monitor.alerts.events import Unit
from collector.monitor.alerts.measured import LONGEST, MINUTE, Measured, Reading, Verdict, quantile_of
from collector.monitor.alerts.states import Seen
from config.values import Duration


def _statistic(text: str) -> str:
    if text != "mean" and not quantile_of(text):
        raise ValueError("must be mean or a percentile above 0, such as p50, p99 or p99.9")
    return text


def _changing(text: str) -> str:
    if text not in ("errorRate", "throughput", "mean") and not quantile_of(text):
        raise ValueError("must be errorRate, throughput, mean, or a percentile above 0, such as p50, p99 or p99.9")
    return text


def _positive(value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError("must be a number greater than 0")
    return value


def _rate(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError("must be from 0 to less than 1, since a rate cannot be above 1")
    return value


def _objective(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError("must be between 0 and 1, such as 0.999; an objective of 1 leaves nothing to burn")
    return value


def _length(value: Duration) -> Duration:
    if not MINUTE <= value <= LONGEST or value % MINUTE:
        raise ValueError(f"must be whole minutes, from 1m to {Duration(LONGEST)}")
    return value


def _threshold(value: Duration) -> Duration:
    if not value:
        raise ValueError("must be longer than 0, or every span would do")
    return value


Statistic = Annotated[str, AfterValidator(_statistic)]
Positive = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_positive)]
Rate = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_rate)]
Objective = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_objective)]
Latencies = Annotated[Duration, AfterValidator(_threshold)]
Minutes = Annotated[Duration, AfterValidator(_length)]
ChangeOf = Annotated[str, AfterValidator(_changing)]


def judged(value: float, above: float | None, below: float | None, recover: float | None) -> Seen:
    """How a value stands to a threshold, of which there is one, and to the one at which it recovers."""
    if above is not None:
        return "breach" if value > above else "clear" if value <= (above if recover is None else recover) else "between"
    assert below is not None  # noqa: S101 - models have one of them
    return "breach" if value < below else "clear" if value >= (below if recover is None else recover) else "between"


def check_sides(above: float | None, below: float | None, recover: float | None) -> None:
    """Raise ValueError unless there is one threshold, and the one for recovery on its good side."""
    if (above is None) == (below is None):
        raise ValueError("needs either above or below")
    if recover is not None and above is not None and recover > above:
        raise ValueError(f"recover must be at most above, which is {above:g}, found {recover:g}")
    if recover is not None and below is not None and recover < below:
        raise ValueError(f"recover must be at least below, which is {below:g}, found {recover:g}")


def side(above: float | None, below: float | None) -> str:
    """The threshold that there is, in words."""
    return f"above {above:g}" if below is None else f"below {below:g}"


class Condition(ObjectModel, ABC):
    """What all conditions have."""

    unit: ClassVar[Unit] = "1"
    """Of values."""

    @property
    @abstractmethod
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""

    @property
    @abstractmethod
    def threshold(self) -> float | None:
        """At which the rule fires, in the unit of values; None where no number is compared."""

    @property
    def statistics(self) -> tuple[str, ...]:
        """Those of durations that have to be measured, such as `p99`."""
        return ()

    @property
    def slow_above(self) -> int:
        """Spans that took longer have to be counted; nanoseconds, 0 for none."""
        return 0

    @property
    def misses_spans(self) -> bool:
        """Whether it is met where spans are missing."""
        return False

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The time ranges that have to be measured, the newest first."""
        return (Reading(window),)

    @abstractmethod
    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """What it means that this was measured of a group, one for each of `readings`.

        Where there are no spans in the newest of them, that is for the condition to say too.
        """
