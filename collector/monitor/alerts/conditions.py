"""Conditions of alert rules: what is measured, and when that is too much or too little.

A condition says which time ranges it needs measured, and judges what was measured of one group of spans. It is met beyond
`above` or `below`, and clear at or on the other side of `recover`, which is the same threshold where it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from collector.control.objects import ObjectModel
from collector.monitor.alerts.events import Unit
from collector.monitor.alerts.measured import DAY, HOUR, MINUTE, SECOND, Measured, Reading, Verdict
from collector.monitor.alerts.states import Seen
from collector.monitor.alerts.thresholds import (
    ChangeOf,
    Condition,
    Latencies,
    Minutes,
    Objective,
    Positive,
    Rate,
    Statistic,
    check_sides,
    judged,
    side,
)
from config.values import Duration


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
        return Verdict(judged(value, self.threshold, None, recover), value, now.spans)


class ErrorRate(Condition):
    """Too many spans fail."""

    measure: Literal["errorRate"]
    above: Rate
    """The rule fires when a larger share of the spans has the status Error."""
    recover: Rate | None = None
    """It recovers when the share is this at most."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_sides(self.above, None, self.recover)
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
        return Verdict(judged(value, self.above, None, self.recover), value, now.spans)


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
        check_sides(self.above, self.below, self.recover)
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        return "spans a second", side(self.above, self.below)

    @property
    def threshold(self) -> float | None:
        """Spans a second."""
        return self.above if self.below is None else self.below

    @property
    def misses_spans(self) -> bool:
        """With `below`."""
        return self.below is not None

    def readings(self, window: int) -> tuple[Reading, ...]:
        """The window, and where spans may be missed the time before it."""
        return (Reading(window),) if self.below is None else (Reading(window), Reading(self.known_for, window))

    def judge(self, measured: Sequence[Measured], window: int) -> Verdict:
        """See Condition."""
        now = measured[0]
        value = now.spans * SECOND / window
        return Verdict(judged(value, self.above, self.below, self.recover), value, now.spans)


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

    @property
    def misses_spans(self) -> bool:
        """It is about nothing else."""
        return True

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
        check_sides(self.above, self.below, self.recover)
        if self.above is not None and self.above <= 1:
            raise ValueError(f"above must be greater than 1, where nothing has changed, found {self.above:g}")
        if self.below is not None and self.below >= 1:
            raise ValueError(f"below must be less than 1, where nothing has changed, found {self.below:g}")
        return self

    @property
    def words(self) -> tuple[str, str]:
        """What is measured, and when the rule fires."""
        what = {"errorRate": "error rate", "throughput": "spans a second"}.get(self.of, f"{self.of} of durations")
        return f"{what}, against {self.against} before", f"{side(self.above, self.below)} times"

    @property
    def threshold(self) -> float | None:
        """A multiple."""
        return self.above if self.below is None else self.below

    @property
    def misses_spans(self) -> bool:
        """With `below`, of the throughput."""
        return self.below is not None and self.of == "throughput"

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
        seen = judged(value, self.above, self.below, self.recover)
        return Verdict(seen, None if math.isinf(value) else value, now.spans)

    def _number(self, measured: Measured) -> float:
        if self.of == "errorRate":
            return measured.errors / measured.spans
        return measured.spans if self.of == "throughput" else measured.statistic(self.of)


AnyCondition: TypeAlias = Annotated[
    Latency | ErrorRate | Throughput | Absence | BurnRate | Change, Field(discriminator="measure")
]
