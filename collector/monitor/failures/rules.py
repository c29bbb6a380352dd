"""Failure rules: what is to go wrong on purpose, for which requests, and until when."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from collector.control.objects import Kind, ObjectModel
from collector.monitor.alerts.rules import Glob, Label
from collector.monitor.recurrence import Recurrence
from config.values import Duration, Share

_SECOND: Final = 10**9
_LONGEST_DELAY: Final = 300 * _SECOND
_LONGEST_DAYS: Final = 31


def _delay(value: Duration) -> Duration:
    if value > _LONGEST_DELAY:
        raise ValueError("must be at most 5m")
    return value


class TimeOut(ObjectModel):
    """No answer comes."""

    type: Literal["timeout"] = "timeout"
    after: Duration = Duration(30 * _SECOND)
    """How long whoever waits is kept waiting, at most 5m; who gives up sooner, gives up sooner."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _delay(self.after)
        return self


class ErrorAnswer(ObjectModel):
    """An answer that tells of an error, though nothing was asked of the service."""

    type: Literal["error"] = "error"
    status: Annotated[int, Field(ge=400, le=599)] = 500
    """Of HTTP. Over gRPC it is the code that the mapping of HTTP statuses to gRPC gives."""
    message: Annotated[str, Field(max_length=1000)] = "failed on purpose"
    """The body of the answer, or the message of a gRPC status."""


class Unavailable(ObjectModel):
    """As if nobody listened: a connection is refused, or a gRPC call ends as UNAVAILABLE."""

    type: Literal["unavailable"] = "unavailable"


class ConnectionReset(ObjectModel):
    """As if the connection broke while the answer was awaited."""

    type: Literal["reset"] = "reset"


class AddedLatency(ObjectModel):
    """The answer comes, but later."""

    type: Literal["latency"] = "latency"
    distribution: Literal["constant", "uniform", "normal", "exponential"] = "constant"
    """Of the time that is added."""
    mean: Duration
    """The time that is added, on average (before bounds)."""
    spread: Duration = Duration(0)
    """Of `uniform`: half of the width of the range around the mean. Of `normal`: the standard deviation. Else it must be 0."""
    at_most: Duration = Duration(_LONGEST_DELAY)
    """Longer times are cut to this; at most 5m."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _delay(self.at_most)
        if not 0 < self.mean <= self.at_most:
            raise ValueError("mean must be longer than 0 and at most atMost")
        if self.spread and self.distribution in ("constant", "exponential"):
            raise ValueError(f"spread means nothing for the distribution {self.distribution}; leave it out")
        if self.distribution == "uniform" and self.spread > self.mean:
            raise ValueError("spread must be at most mean, because times are not negative")
        return self


Failure = Annotated[TimeOut | ErrorAnswer | Unavailable | ConnectionReset | AddedLatency, Field(discriminator="type")]
"""What goes wrong."""


class Match(ObjectModel):
    """Which requests of a service are meant: those that fit all that is said. Nothing means all of them."""

    paths: Annotated[tuple[Glob, ...], Field(max_length=100)] = ()
    """Globs, one of which the path of the URL (without its query) or the full method of a gRPC call must match."""
    operations: Annotated[tuple[Glob, ...], Field(max_length=100)] = ()
    """Globs, one of which the name of the span must match."""
    attributes: Annotated[dict[Label, Glob], Field(max_length=30, default_factory=dict)]
    """Attribute of the span → glob that its value, as text, must match."""
    headers: Annotated[dict[Label, Glob], Field(max_length=30, default_factory=dict)]
    """Header of the request, in either case → glob that its value must match."""


class FailureRule(ObjectModel):
    """That requests of services fail on purpose, for a while."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """By which people know it."""
    enabled: bool = True
    """Whether it counts."""
    service: Annotated[Glob, Field(min_length=1)]
    """The name of the service, or a glob in which `*` stands for any characters and `?` for one."""
    failure: Failure
    """What goes wrong."""
    probability: Share = 1.0
    """The share of the traces in which it does, from 0 to 1."""
    match: Annotated[Match, Field(default_factory=Match)]
    """Which requests are meant."""
    starts_at: AwareDatetime | None = None
    """From when; at once, if left out."""
    ends_at: AwareDatetime
    """When it ends by itself: at most 31 days after it starts or is changed."""
    schedule: Recurrence | None = None
    """When it counts between start and end; all the time, if left out."""
    comment: Annotated[str, Field(max_length=1000)] = ""
    """Why, for people."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.starts_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("endsAt must be later than startsAt")
        return self

    def holds(self, at: datetime) -> bool:
        """Whether it counts at a time."""
        started = self.starts_at is None or self.starts_at <= at
        return self.enabled and started and at < self.ends_at and (self.schedule is None or self.schedule.covers(at))

    def too_long(self, now: datetime) -> bool:
        """Whether it would go on for longer than a rule may, said at this time."""
        begins = now if self.starts_at is None else max(self.starts_at, now)
        return (self.ends_at - begins).total_seconds() > _LONGEST_DAYS * 86_400


class FailureSwitch(ObjectModel):
    """Whether anything fails on purpose in a workspace."""

    enabled: bool
    """False: no rule counts, whatever it says."""


def _name(rule: FailureRule) -> str:
    return rule.name


def _nameless(_: FailureSwitch) -> str:
    return "failure injection"


FAILURE_RULES: Final = Kind("failure_rule", FailureRule, _name)
FAILURE_SWITCHES: Final = Kind("failure_switch", FailureSwitch, _nameless)
SWITCH_ID: Final = uuid.UUID("b8a1f2d4-60f5-5b7e-8f1c-3c1d0a9a7e55")
"""Of the switch, one in each workspace."""
