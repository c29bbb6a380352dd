"""When people do not want to hear of alerts: silences, once, and maintenance windows, again and again.

Neither changes how an alert stands, only who is told. An alert that is still active when they end is told of then.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from collector.control.objects import Kind, ObjectModel
from collector.monitor.conditions import DAY, MINUTE
from collector.monitor.rules import Glob, Label
from config.patterns import compile_globs
from config.problems import nearest
from config.values import Duration

_LEAP_DAYS: Final = datetime(2024, 1, 1, tzinfo=UTC)


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError('must have five fields: minute, hour, day of month, month, day of week, such as "30 2 * * SUN"')
    try:
        next(CronSim(text, _LEAP_DAYS))
    except CronSimError as error:
        raise ValueError(f"must be a cron expression: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError("must be a cron expression for a day that there is") from None
    return text


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        hint = nearest(name, _time_zones())
        raise ValueError(f"must be the name of a time zone, such as Europe/Berlin or UTC{f'; {hint}' if hint else ''}")
    return name


@lru_cache(1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _length(value: Duration) -> Duration:
    if not MINUTE <= value <= 7 * DAY:
        raise ValueError("must be from 1m to 168h")
    return value


class Matching(ObjectModel):
    """Which alerts are meant: those that fit all that is said."""

    rules: Annotated[tuple[uuid.UUID, ...], Field(max_length=100)] = ()
    """Ids of rules, of which the alert is to be one's; any rule, if left out."""
    labels: Annotated[dict[Label, Glob], Field(max_length=30, default_factory=dict)]
    """Label → text or glob. Alerts have the labels of their rules, `rule` (its name), `severity`, and `service`, `operation`,
    `kind` or keys of attributes, as far as the rule tells alerts apart by them or names one. `rule: "*"` means every alert."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.rules and not self.labels:
            raise ValueError('must name rules or labels; {"rule": "*"} as labels means every alert')
        return self


class Silence(Matching):
    """That people do not want to hear of some alerts for a while."""

    starts_at: AwareDatetime
    """From when, such as 2026-11-26T22:00:00+01:00."""
    ends_at: AwareDatetime
    """Until when; an earlier time ends it."""
    comment: Annotated[str, Field(min_length=1, max_length=1000)]
    """Why."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("endsAt must be later than startsAt")
        return self

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a time."""
        return self.starts_at <= at < self.ends_at


class MaintenanceWindow(Matching):
    """That people do not want to hear of some alerts while work is done that comes again and again."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """By which people know it."""
    enabled: bool = True
    """Whether it counts."""
    cron: Annotated[str, AfterValidator(_cron)]
    """When it begins: minute, hour, day of month, month, day of week; `30 2 * * SUN`."""
    duration: Annotated[Duration, AfterValidator(_length)]
    """How long it lasts."""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """Whose clock that is: a name of the IANA database. A time that is left out when clocks go forward is the next there is."""

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a time."""
        if not self.enabled:
            return False
        # Without microseconds, the time itself is not looked at when going backwards.
        local = at.astimezone(ZoneInfo(self.time_zone)).replace(microsecond=0) + timedelta(seconds=1)
        try:
            began = next(CronSim(self.cron, local, reverse=True))
        except StopIteration:
            return False
        return at - began.astimezone(UTC) < timedelta(microseconds=self.duration // 1000)


class Muting:
    """Which alerts people must not hear of at one time.

    Args:
        wanted: silences and maintenance windows, each with its workspace.
        at: nanoseconds since 1970.
    """

    def __init__(self, wanted: Iterable[tuple[str, Silence | MaintenanceWindow]], at: int) -> None:
        time = datetime.fromtimestamp(at // 10**9, UTC)
        self._holding: dict[str, list[tuple[frozenset[uuid.UUID], dict[str, Any]]]] = {}
        for workspace, each in wanted:
            if each.holds(time):
                globs = {label: _compiled(glob) for label, glob in each.labels.items()}
                self._holding.setdefault(workspace, []).append((frozenset(each.rules), globs))

    def mutes(self, workspace: str, rule_id: uuid.UUID, labels: Mapping[str, str]) -> bool:
        """Whether an alert of a rule, with these labels, is one of them."""
        return any(
            (not rules or rule_id in rules)
            and all(glob.fullmatch(labels.get(label, "")) is not None for label, glob in globs.items())
            for rules, globs in self._holding.get(workspace, ())
        )


@lru_cache(4096)
def _compiled(glob: str) -> Any:
    return compile_globs([glob])


def _comment(silence: Silence) -> str:
    return silence.comment


def _name(window: MaintenanceWindow) -> str:
    return window.name


SILENCES: Final = Kind("silence", Silence, _comment)
MAINTENANCE_WINDOWS: Final = Kind("maintenance_window", MaintenanceWindow, _name)
