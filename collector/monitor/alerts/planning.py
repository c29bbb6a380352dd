"""Which rules are evaluated when, what they need measured together, and what that means for each of them.

Rules of a workspace that tell spans apart by the same columns are a batch: one statement for each time range serves them all.
Batches are spread over the minute, and those that are due every few minutes over these. All functions are pure.
"""

from __future__ import annotations

import uuid
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from collector.control.versions import Stored
from collector.monitor.alerts.measured import MINUTE, NOTHING, SECOND, Measured, Reading, Verdict, quantile_of
from collector.monitor.alerts.measuring import Question
from collector.monitor.alerts.missed import fires_where_spans_are_missing
from collector.monitor.alerts.rules import AlertRule
from collector.monitor.alerts.states import NoData, Seen
from collector.query.store import KINDS
from config.patterns import compile_globs, is_glob

SPREAD_S: Final = 40
"""Batches begin within so many seconds of a minute."""
_ALWAYS_SAID: Final = ("throughput", "absence")
"""Measures for which few spans are an answer."""
_WORST_FIRST: Final[Mapping[Seen, int]] = {"breach": 0, "between": 1, "clear": 2, "nothing": 3}
_KIND_LABELS: Final = {kind: kind.lower() for kind in KINDS}

Group = tuple[str, ...]
"""Values of columns, or of labels."""


class Answer:
    """What was measured in one time range, by the values of a batch's columns."""

    def __init__(self, groups: Mapping[Group, Measured]) -> None:
        self.groups = groups

    @cached_property
    def by_first(self) -> Mapping[str, Sequence[Group]]:
        """Groups by the value of the first column."""
        found: defaultdict[str, list[Group]] = defaultdict(list)
        for group in self.groups:
            found[group[0]].append(group)
        return found


@dataclass(frozen=True)
class PlannedRule:
    """A rule, made ready for evaluation.

    Attributes:
        id, workspace: of the rule.
        settings: what it says.
        wanted: for each of its columns the value that is chosen; None where any, or a glob, is.
        globs: for each of its columns what its values must match; None where there is no glob.
        labels: what its alerts have for silences, besides those that tell them apart.
        since: when it was made or changed last, nanoseconds since 1970.
    """

    id: uuid.UUID
    workspace: str
    settings: AlertRule
    wanted: tuple[str | None, ...]
    globs: tuple[Any, ...]
    labels: Mapping[str, str]
    since: int = 0

    @classmethod
    def of(cls, stored: Stored[AlertRule]) -> PlannedRule:
        """The one that was stored."""
        rule, scope = stored.settings, stored.settings.scope
        texts = {"service": scope.service, "operation": scope.operation, "kind": rule.kind_as_stored}
        chosen = [texts.get(name, "") for name in rule.columns]
        labels = {name: text for name, text in (("service", scope.service), ("operation", scope.operation)) if text}
        if scope.kind:
            labels["kind"] = scope.kind
        return cls(
            stored.id,
            stored.workspace,
            rule,
            tuple(text if text and not is_glob(text) else None for text in chosen),
            tuple(compile_globs([text]) if is_glob(text) else None for text in chosen),
            {**labels, **rule.labels, "rule": rule.name, "severity": rule.severity},
            stored.updated_at,
        )

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where in the columns that stands by which it measures apart."""
        return tuple(self.settings.columns.index(name) for name in self.settings.measured_by)

    @cached_property
    def is_exact(self) -> bool:
        """Whether it measures one group of spans only."""
        return not self.places

    def fitting(self, answer: Answer) -> Iterator[Group]:
        """The groups that it is about."""
        groups: Iterable[Group] = answer.groups
        if self.wanted and self.wanted[0] is not None:
            groups = answer.by_first.get(self.wanted[0], ())
        for group in groups:
            if all(
                (wanted is None or value == wanted) and (glob is None or glob.fullmatch(value) is not None)
                for value, wanted, glob in zip(group, self.wanted, self.globs, strict=True)
            ):
                yield group


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says of one of its alerts.

    Attributes:
        seen: the worst of what was measured apart.
        series: labels and verdict of each that was measured apart, the worst first.
    """

    seen: Seen
    series: tuple[tuple[Mapping[str, str], Verdict], ...]


def judge(rule: PlannedRule, answers: Mapping[Reading, Answer], expected: Iterable[Group] = ()) -> dict[Group, Found]:
    """What a rule says of each of its alerts, by the values of the labels that tell them apart.

    Args:
        answers: what was measured, for each reading that the rule needs.
        expected: alerts of which something has to be said even where nothing was measured.
    """
    settings = rule.settings
    readings = settings.readings
    alert_places = [settings.measured_by.index(name) for name in settings.alerts_by]
    series: defaultdict[Group, list[tuple[Mapping[str, str], Verdict]]] = defaultdict(list)
    if rule.is_exact:
        key = tuple(wanted or "" for wanted in rule.wanted)
        series[()].append(({}, _verdict(settings, [answers[reading].groups.get(key, NOTHING) for reading in readings])))
    else:
        groups = dict.fromkeys(group for reading in readings for group in rule.fitting(answers[reading]))
        for group in groups:
            measured = [answers[reading].groups.get(group, NOTHING) for reading in readings]
            values = [_label(settings.columns[place], group[place]) for place in rule.places]
            labels = dict(zip(settings.measured_by, values, strict=True))
            series[tuple(values[place] for place in alert_places)].append((labels, _verdict(settings, measured)))
        for group in expected:
            if group not in series:
                labels = dict(zip(settings.alerts_by, group, strict=True))
                series[group].append((labels, _verdict(settings, [NOTHING] * len(readings))))
    return {group: _found(settings, each) for group, each in series.items()}


def _found(rule: AlertRule, series: list[tuple[Mapping[str, str], Verdict]]) -> Found:
    # The further beyond the threshold, the worse.
    sign = 1 if getattr(rule.condition, "below", None) is not None else -1
    series.sort(key=lambda each: (_WORST_FIRST[_meant(rule.no_data, each[1].seen)], sign * (each[1].value or 0.0)))
    return Found(_meant(rule.no_data, series[0][1].seen), tuple(series))


def _meant(no_data: NoData, seen: Seen) -> Seen:
    return no_data if seen == "nothing" and no_data != "keep" else seen


def _verdict(rule: AlertRule, measured: Sequence[Measured]) -> Verdict:
    if measured[0].spans < rule.min_spans and rule.condition.measure not in _ALWAYS_SAID:
        return Verdict("nothing", None, measured[0].spans)
    return rule.condition.judge(measured, rule.window)


def _label(column: str, value: str) -> str:
    return _KIND_LABELS.get(value, value) if column == "kind" else value


@dataclass(frozen=True)
class Batch:
    """Rules that are measured together.

    Attributes:
        workspace, columns: theirs.
        where: what spans must be like, in the language of searches, where spans are read; None where the tables of rates are.
        rules: that tell spans apart so.
    """

    workspace: str
    columns: tuple[str, ...]
    where: str | None
    rules: list[PlannedRule] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, tuple[str, ...], str | None]:
        """What no other batch has."""
        return self.workspace, self.columns, self.where

    @cached_property
    def _draw(self) -> int:
        return zlib.crc32(repr(self.key).encode())

    @property
    def offset(self) -> int:
        """When it begins within a minute, nanoseconds."""
        return self._draw % (SPREAD_S * 1000) * (SECOND // 1000)

    def due(self, end: int, received_since: int = 0) -> list[PlannedRule]:
        """The rules that are evaluated for what ends at a whole minute.

        Args:
            end: nanoseconds since 1970.
            received_since: spans of before may be missing, since nobody was there. Rules that fire where spans are missing
                are left out as long as their window reaches back to then.
        """
        minute = end // MINUTE + self._draw
        due = [rule for rule in self.rules if minute % (rule.settings.every // MINUTE) == 0]
        return [
            rule
            for rule in due
            if end - rule.settings.readings[0].length >= received_since or not fires_where_spans_are_missing(rule.settings)
        ]

    def due_late(self, end: int) -> list[PlannedRule]:
        """Those of them of which something can be said afterwards: they were as they are then."""
        return [rule for rule in self.due(end) if rule.since <= end and not fires_where_spans_are_missing(rule.settings)]

    def questions(self, rules: Sequence[PlannedRule], end: int) -> dict[Reading, Question]:
        """What has to be measured for some of its rules."""
        readings: defaultdict[Reading, list[AlertRule]] = defaultdict(list)
        for rule in rules:
            for reading in rule.settings.readings:
                readings[reading].append(rule.settings)
        services: tuple[str, ...] = ()
        if self.columns[:1] == ("service",) and all(rule.wanted[0] is not None for rule in rules):
            services = tuple(sorted({rule.wanted[0] or "" for rule in rules}))
        return {
            reading: Question(
                workspace=self.workspace,
                start=end - reading.back - reading.length,
                end=end - reading.back,
                columns=self.columns,
                quantiles=tuple(
                    sorted({q for rule in asking for s in rule.condition.statistics if (q := quantile_of(s)) is not None})
                ),
                slower=tuple(sorted({rule.condition.slow_above for rule in asking} - {0})),
                services=services,
                where=None if self.where is None else asking[0].where,
            )
            for reading, asking in readings.items()
        }


def batches(rules: Iterable[PlannedRule]) -> list[Batch]:
    """The batches of some rules, in the order in which they begin within a minute."""
    found: dict[tuple[str, tuple[str, ...], str | None], Batch] = {}
    for rule in rules:
        where = rule.settings.scope.where if rule.settings.reads_spans else None
        key = (rule.workspace, rule.settings.columns, where)
        found.setdefault(key, Batch(*key)).rules.append(rule)
    return sorted(found.values(), key=lambda batch: batch.offset)
