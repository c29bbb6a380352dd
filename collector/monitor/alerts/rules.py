"""Alert rules: what people want to be told of, of which spans, and how patiently."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from collector.control.objects import Kind, ObjectModel
from collector.monitor.alerts.conditions import AnyCondition
from collector.monitor.alerts.events import Severity
from collector.monitor.alerts.measured import DAY, HOUR, MINUTE, Reading
from collector.monitor.alerts.states import NoData, Policy
from collector.monitor.alerts.thresholds import Minutes
from collector.monitor.fields import printable
from collector.query.language import read_query
from collector.query.predicates import EVERY_SPAN, Predicate
from collector.query.store import KINDS
from config.ottl_grammar import OttlError
from config.patterns import is_glob
from config.values import Duration

LONGEST_OF_SPANS: Final = 6 * HOUR
"""The longest time range over which spans themselves are read, nanoseconds: rows of rates are far fewer."""

COLUMNS: Final = ("service", "operation", "kind")
"""What spans are told apart by in the tables of rates; all else are attributes."""


def _query(text: str) -> str:
    try:
        query = read_query(text) if text else None
    except OttlError as error:
        raise ValueError(f"must be a search for spans: {error}") from None
    if query is not None and query.traces:
        raise ValueError("must be about single spans; conditions on whole traces, such as trace.duration, cannot be measured")
    return text


def _wait(value: Duration) -> Duration:
    if value > 31 * DAY:
        raise ValueError(f"must be at most {Duration(31 * DAY)}")
    return value


def _interval(value: Duration) -> Duration:
    if value > DAY:
        raise ValueError("must be whole minutes, from 1m to 24h")
    return value


Glob = Annotated[str, Field(max_length=256), AfterValidator(printable)]
"""A name, or a glob in which `*` stands for any characters and `?` for one; empty for any name."""
Text = Annotated[str, Field(max_length=1000)]
Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(printable)]
Wait = Annotated[Duration, AfterValidator(_wait)]
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]


class Scope(ObjectModel):
    """Which spans are measured."""

    service: Glob = ""
    """The name of a service, or a glob; each service that a glob stands for is measured for itself."""
    operation: Glob = ""
    """The name of an operation, or a glob; each of them is measured for itself as well."""
    kind: SpanKind | None = None
    """The kind of the spans."""
    where: Annotated[str, Field(max_length=2000), AfterValidator(_query)] = ""
    """What else spans must be like, in the language of searches: `http.route = "/pay" and tenant != "test"`. It is looked for in
    the spans themselves, since tables of rates do not know their attributes."""


class Flapping(ObjectModel):
    """When an alert comes and goes too often."""

    changes: Annotated[int, Field(ge=0, le=100)] = 6
    """So many times it became active or resolved; 0 never minds."""
    within: Wait = Duration(HOUR)
    """In this time, a day at most. A flapping alert stays active until it has been quiet for so long."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if 0 < self.changes < 3:
            raise ValueError("changes must be 0 or at least 3, since every alert becomes active and is resolved")
        if not 0 < self.within <= DAY:
            raise ValueError(f"within must be longer than 0 and at most 24h, found {self.within}")
        return self


class AlertRule(ObjectModel):
    """What people want to be told of."""

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
    """By which people know it."""
    enabled: bool = True
    """Whether it is evaluated; alerts of a rule that is not end."""
    condition: AnyCondition
    """What is measured, and when that is too much or too little."""
    scope: Scope = Scope()
    """Of which spans."""
    by: Annotated[tuple[Label, ...], Field(max_length=5)] = ()
    """What is measured apart: `service`, `operation`, `kind`, or keys of attributes."""
    alert_by: Annotated[tuple[Label, ...], Field(max_length=5)] | None = None
    """What has an alert of its own, of what is measured apart: with by `service, operation` and this `service`, there is one
    alert for each service, which names its operations. Everything, if left out."""
    window: Minutes = Duration(5 * MINUTE)
    """The time that is measured, up to now."""
    every: Annotated[Minutes, AfterValidator(_interval)] = Duration(MINUTE)
    """How often."""
    pending_for: Annotated[Wait, Field(alias="for")] = Duration(0)
    """The condition must be met so long before the alert is active."""
    recover_for: Wait = Duration(0)
    """It must be clear so long before the alert is resolved."""
    repeat: Wait = Duration(4 * HOUR)
    """People are told again of an active alert after so long, until somebody acknowledges it; 0 never."""
    min_spans: Annotated[int, Field(ge=0, le=10**12)] = 0
    """With fewer spans there is nothing to say. Throughput and absence are always said."""
    no_data: NoData = "keep"
    """What it means that there are no spans, or too few: `keep` what was, `clear`, or `breach`."""
    flapping: Flapping = Flapping()
    """When an alert comes and goes too often."""
    severity: Severity = "warning"
    """How bad it is."""
    channels: Annotated[tuple[uuid.UUID, ...], Field(max_length=20)] = ()
    """Ids of the channels through which people are told."""
    labels: Annotated[dict[Label, Text], Field(max_length=30, default_factory=dict)]
    """For whoever sorts notifications, and for silences."""
    annotations: Annotated[dict[Label, Text], Field(max_length=30, default_factory=dict)]
    """Texts for people: a summary, what to do, a link."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if repeated := sorted({name for names in (self.by, self.alert_by or ()) for name in names if names.count(name) > 1}):
            raise ValueError(f"by and alertBy must name everything once, found {', '.join(repeated)} again")
        if unmeasured := [name for name in self.alert_by or () if name not in self.measured_by]:
            raise ValueError(f"alertBy must be of what is measured apart: {', '.join(unmeasured)} is not in by")
        longest = max(reading.length for reading in self.readings)
        if self.reads_spans and longest > LONGEST_OF_SPANS:
            raise ValueError(
                f"time ranges must be at most {Duration(LONGEST_OF_SPANS)} where attributes are asked for, which only the spans"
                f" themselves have; found {Duration(longest)}"
            )
        if 0 < self.repeat < self.every:
            raise ValueError(f"repeat must be 0 or at least every, which is {self.every}, found {self.repeat}")
        return self

    @cached_property
    def measured_by(self) -> tuple[str, ...]:
        """What is measured apart, what globs stand for included."""
        globs = [name for name in ("service", "operation") if is_glob(getattr(self.scope, name))]
        return tuple(dict.fromkeys((*self.by, *globs)))

    @cached_property
    def alerts_by(self) -> tuple[str, ...]:
        """What has an alert of its own."""
        return self.measured_by if self.alert_by is None else self.alert_by

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What spans have to be told apart by, to measure this: what is measured apart, and by what they are chosen."""
        scope = self.scope
        chosen = [name for name, wanted in zip(COLUMNS, (scope.service, scope.operation, scope.kind), strict=True) if wanted]
        attributes = [name for name in self.measured_by if name not in COLUMNS]
        return (*(name for name in COLUMNS if name in {*self.by, *chosen}), *sorted(attributes))

    @cached_property
    def where(self) -> Predicate:
        """What spans must be like besides service, operation and kind."""
        return read_query(self.scope.where).where if self.scope.where else EVERY_SPAN

    @cached_property
    def reads_spans(self) -> bool:
        """Whether tables of rates do not know what it asks for."""
        return bool(self.scope.where) or any(name not in COLUMNS for name in self.columns)

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """The time ranges that have to be measured, the newest first."""
        return self.condition.readings(self.window)

    @cached_property
    def policy(self) -> Policy:
        """How patient it is."""
        return Policy(self.pending_for, self.recover_for, self.repeat, self.no_data, self.flapping.changes, self.flapping.within)

    @cached_property
    def kind_as_stored(self) -> str:
        """The kind of spans as tables have it; empty for any."""
        return next((kind for kind in KINDS if kind.lower() == self.scope.kind), "")


def _label(rule: AlertRule) -> str:
    return rule.name


ALERT_RULES: Final = Kind("alert_rule", AlertRule, _label)
