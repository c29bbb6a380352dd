"""Conditions of alert rules: what is measured, and when that is too much or too little.

A condition says which time ranges it needs measured, and judges what was measured of one group of spans. It is met beyond
`above` or `below`, and clear at or on the other side of `recover`, which is the same threshold where it is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from collector.control.objects import ObjectModel
from collector.monitor.events import Unit
from collector.monitor.states import Seen
from config.values import Duration

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


def _judged(value: float, above: float | None, below: float | None, recover: float | None) -> Seen:
    if above is not None:
        return "breach" if value > above else "clear" if value <= (above if recover is None else recover) else "between"
    assert below is not None  # noqa: S101 - models have one of them
    return "breach" if value < below else "clear" if value >= (below if recover is None else recover) else "between"


def _check_sides(above: float | None, below: float | None, recover: float | None) -> None:
    if (above is None) == (below is None):
        raise ValueError("needs either above or below")
    if recover is not None and above is not None and recover > above:
        raise ValueError(f"recover must be at most above, which is {above:g}, found {recover:g}")
    if recover is not None and below is not None and recover < below:
        raise ValueError(f"recover must be at least below, which is {below:g}, found {recover:g}")


def _side(above: float | None, below: float | None) -> str:
    return f"above {above:g}" if below is None else f"below {below:g}"


class Condition(ObjectModel):
    """What all conditions have."""

    unit: ClassVar[Unit] = "1"
    """Of values."""

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        raise NotImplementedError

    @property
    def threshold(self) -> float | None:
        """At which the rule fires, in the unit of values; None where no number is compared."""
        raise NotImplementedError

    @property
    def statistics(self) -> tuple[str, ...]:
        """Those of durations that have to be measured, such as `p99`."""
        return ()

    @property
    def slow_above(self) -> int:
        """Spans that took longer have to be counted; nanoseconds, 0 for none."""
        return 0

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The time ranges that have to be measured, the newest first."""
        return (Reading(window),)

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """What it means that this was measured of a group, one for each of `readings`.

        Where there are no spans in the newest of them, that is for the condition to say too.
        """
        raise NotImplementedError


class Latency(Condition):
    """Spans take too long."""

    unit: ClassVar[Unit] = "s"

    measure: Literal["latency"]
    of: Statistic = "p99"
    """`mean`, or a percentile such as `p50`, `p99` or `p99.9`."""
    above: Latencies
    """The rule fires when it is longer."""
    recover: Latencies | None = None
    """It recovers when it is as long as this at most."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.recover is not None and self.recover > self.above:
            raise ValueError(f"recover must be at most above, which is {self.above}, found {self.recover}")
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        return f"{self.of} of durations", f"above {self.above}"

    @property
    def threshold(self) -> float:
        """Seconds."""
        return self.above.seconds

    @property
    def statistics(self) -> tuple[str, ...]:
        """The one that is compared."""
        return (self.of,)

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition."""
        now = measured[0]
        if not now.spans:
            return Verdict("nothing", None, 0.0)
        value = now.statistic(self.of) / SECOND
        recover = None if self.recover is None else self.recover.seconds
        return Verdict(_judged(value, self.threshold, None, recover), value, now.spans)


class ErrorRate(Condition):
    """Too many spans fail."""

    measure: Literal["errorRate"]
    above: Rate
    """The rule fires when a larger share of the spans has the status Error."""
    recover: Rate | None = None
    """It recovers when the share is this at most."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_sides(self.above, None, self.recover)
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        return "error rate", f"above {self.above:g}"

    @property
    def threshold(self) -> float:
        """A share."""
        return self.above

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition."""
        now = measured[0]
        if not now.spans:
            return Verdict("nothing", None, 0.0)
        value = now.errors / now.spans
        return Verdict(_judged(value, self.above, None, self.recover), value, now.spans)


class Throughput(Condition):
    """There are too many or too few spans."""

    unit: ClassVar[Unit] = "1/s"

    measure: Literal["throughput"]
    above: Positive | None = None
    """The rule fires when there are more spans a second."""
    below: Positive | None = None
    """Or when there are fewer; where there are none at all that is fewer, too."""
    recover: Positive | None = None
    """It recovers at this rate, or on its far side."""
    known_for: Minutes = Duration(DAY)
    """Of services, operations and other groups, those that have had spans within this time are missed with `below`."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_sides(self.above, self.below, self.recover)
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        return "spans a second", _side(self.above, self.below)

    @property
    def threshold(self) -> float | None:
        """Spans a second."""
        return self.above if self.below is None else self.below

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The window, and where spans may be missed the time before it."""
        return (Reading(window),) if self.below is None else (Reading(window), Reading(self.known_for, window))

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition."""
        now = measured[0]
        value = now.spans * SECOND / window
        return Verdict(_judged(value, self.above, self.below, self.recover), value, now.spans)


class Absence(Condition):
    """There are no spans."""

    measure: Literal["absence"]
    known_for: Minutes = Duration(DAY)
    """Of services, operations and other groups, those that have had spans within this time are missed."""

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        return "spans", "absent"

    @property
    def threshold(self) -> None:
        """No number is compared."""
        return

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The window, and the time before it."""
        return Reading(window), Reading(self.known_for, window)

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition."""
        spans = measured[0].spans
        return Verdict("clear" if spans else "breach", spans, spans)


class BurnWindow(ObjectModel):
    """How fast the budget of errors may burn over a while.

    Source: Google, "The Site Reliability Workbook", 2018, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".
    """

    long: Minutes
    """Over this time the budget burns faster."""
    short: Minutes
    """And over this time, too, so that the alert ends soon after the trouble; a twelfth of `long` is usual."""
    rate: Positive
    """At 1 the budget of errors is used up exactly at the end of the period of the objective."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.short >= self.long:
            raise ValueError(f"short must be shorter than long, which is {self.long}, found {self.short}")
        return self


class BurnRate(Condition):
    """The budget of errors of a service level objective burns too fast."""

    measure: Literal["burnRate"]
    objective: Objective
    """The share of the spans that are to be good, such as 0.999."""
    slower_than: Latencies | None = None
    """Spans that take longer are bad; without it, those with the status Error are."""
    windows: Annotated[tuple[BurnWindow, ...], Field(min_length=1, max_length=4)] = (
        BurnWindow(long=Duration(HOUR), short=Duration(5 * MINUTE), rate=14.4),
        BurnWindow(long=Duration(6 * HOUR), short=Duration(30 * MINUTE), rate=6.0),
    )
    """The rule fires when one of these is met; by default as is usual for a page on an objective of 30 days."""
    recover: Positive | None = None
    """It recovers when the burn rate over all the short windows is this at most; without it, when none of the windows is met."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        fastest = 1 / (1 - self.objective)
        for window in self.windows:
            if window.rate >= fastest * (1 - 1e-9):
                raise ValueError(f"rate must be below {fastest:g}, at which every span is bad, found {window.rate:g}")
        if self.recover is not None and self.recover > min(window.rate for window in self.windows):
            raise ValueError(f"recover must be at most the lowest rate of windows, found {self.recover:g}")
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        windows = " or ".join(f"above {each.rate:g} over {each.long} and {each.short}" for each in self.windows)
        return f"burn rate of the objective {self.objective:g}", windows

    @property
    def threshold(self) -> float:
        """The lowest burn rate."""
        return min(window.rate for window in self.windows)

    @property
    def slow_above(self) -> int:
        """Those that are bad."""
        return self.slower_than or 0

    def readings(self, window: int) -> tuple[Reading, ...]:
        """All windows by their lengths; that of the rule is not looked at."""
        lengths = {int(length) for each in self.windows for length in (each.long, each.short)}
        return tuple(map(Reading, sorted(lengths)))

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition. The value is the burn rate over the short window of the pair that is met, or is nearest to it."""
        rates = dict(zip((each.length for each in self.readings(window)), map(self._rate, measured), strict=True))
        pairs = [(min(rates[each.long], rates[each.short]) / each.rate, rates[each.short]) for each in self.windows]
        nearest, value = max(pairs)
        # Without any span in all that time there is nothing to say; without any in the last minutes, nothing burns.
        if not measured[-1].spans:
            return Verdict("nothing", None, 0.0)
        if nearest > 1:
            seen: Seen = "breach"
        else:
            is_clear = self.recover is None or all(rates[each.short] <= self.recover for each in self.windows)
            seen = "clear" if is_clear else "between"
        return Verdict(seen, value, measured[0].spans)

    def _rate(self, measured: Measured) -> float:
        if not measured.spans:
            return 0.0
        bad = measured.slower[self.slower_than] if self.slower_than else measured.errors
        return bad / measured.spans / (1 - self.objective)


class Change(Condition):
    """Something is a multiple, or a fraction, of what it was at the same time before."""

    measure: Literal["change"]
    of: ChangeOf
    """`errorRate`, `throughput`, `mean`, or a percentile such as `p99`."""
    against: Minutes = Duration(7 * DAY)
    """So long before; a week, since weeks are alike."""
    above: Positive | None = None
    """The rule fires when it is more than so many times what it was; above 1."""
    below: Positive | None = None
    """Or when it is less than so many times what it was; below 1."""
    recover: Positive | None = None
    """It recovers at this multiple, or on its far side."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_sides(self.above, self.below, self.recover)
        if self.above is not None and self.above <= 1:
            raise ValueError(f"above must be greater than 1, where nothing has changed, found {self.above:g}")
        if self.below is not None and self.below >= 1:
            raise ValueError(f"below must be less than 1, where nothing has changed, found {self.below:g}")
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        what = {"errorRate": "error rate", "throughput": "spans a second"}.get(self.of, f"{self.of} of durations")
        return f"{what}, against {self.against} before", f"{_side(self.above, self.below)} times"

    @property
    def threshold(self) -> float | None:
        """A multiple."""
        return self.above if self.below is None else self.below

    @property
    def statistics(self) -> tuple[str, ...]:
        """The one that is compared, where it is one of durations."""
        return () if self.of in ("errorRate", "throughput") else (self.of,)

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The window, and the one so long before."""
        return Reading(window), Reading(window, self.against)

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition. Where it was 0 before, any other number is infinitely many times that."""
        now, before = measured
        # That nothing comes any more is a change of throughput, and of nothing else.
        if not before.spans or (not now.spans and self.of != "throughput"):
            return Verdict("nothing", None, now.spans)
        new, old = (self._number(each) for each in (now, before))
        value = new / old if old else math.inf if new else 1.0
        seen = _judged(value, self.above, self.below, self.recover)
        return Verdict(seen, None if math.isinf(value) else value, now.spans)

    def _number(self, measured: Measured) -> float:
        if self.of == "errorRate":
            return measured.errors / measured.spans
        return measured.spans if self.of == "throughput" else measured.statistic(self.of)


AnyCondition: TypeAlias = Annotated[
    Latency | ErrorRate | Throughput | Absence | BurnRate | Change, Field(discriminator="measure")
]
