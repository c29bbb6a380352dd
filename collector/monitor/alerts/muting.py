"""When people do not want to hear of alerts: silences, once, and maintenance windows, again and again.

Neither changes how an alert stands, only who is told. An alert that is still active when they end is told of then.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, Field, model_validator

from collector.control.objects import Kind, ObjectModel
from collector.monitor.alerts.rules import Glob, Label
from collector.monitor.recurrence import Recurrence
from config.patterns import compile_globs


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


class MaintenanceWindow(Matching, Recurrence):
    """That people do not want to hear of some alerts while work is done that comes again and again."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """By which people know it."""
    enabled: bool = True
    """Whether it counts."""

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a time."""
        return self.enabled and self.covers(at)


class Muting:
    """Which alerts people must not hear of at one time.

    Args:
        wanted: silences and maintenance windows, by workspace.
        at: nanoseconds since 1970.
    """

    def __init__(self, wanted: Mapping[str, Sequence[Silence | MaintenanceWindow]], at: int) -> None:
        self._wanted = wanted
        self._time = datetime.fromtimestamp(at // 10**9, UTC)
        self._holding: dict[str, list[tuple[frozenset[uuid.UUID], dict[str, Any]]]] = {}

    def mutes(self, workspace: str, rule_id: uuid.UUID, labels: Mapping[str, str]) -> bool:
        """Whether an alert of a rule, with these labels, is one of them."""
        # Most workspaces have nothing to tell at most times: only then it matters what holds.
        if workspace not in self._holding:
            self._holding[workspace] = [
                (frozenset(each.rules), {label: _compiled(glob) for label, glob in each.labels.items()})
                for each in self._wanted.get(workspace, ())
                if each.holds(self._time)
            ]
        return any(
            (not rules or rule_id in rules)
            and all(glob.fullmatch(labels.get(label, "")) is not None for label, glob in globs.items())
            for rules, globs in self._holding[workspace]
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
