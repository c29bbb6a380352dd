"""What a rule would have told of the past: the same evaluation, over what is stored, that writes nothing down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.monitor.alerts.events import What
from collector.monitor.alerts.log import alert_id_of
from collector.monitor.alerts.measured import MINUTE, Reading
from collector.monitor.alerts.measuring import measure
from collector.monitor.alerts.planning import Answer, Group, PlannedRule, batches, judge
from collector.monitor.alerts.states import OPEN, AlertState, Status, step
from collector.query.store import SpanStore

MOST_EVALUATIONS: Final = 1500
"""A day, minute by minute, and a little more."""
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """A change of an alert.

    Attributes:
        at: the end of what was measured, nanoseconds since 1970.
        alert_id, group: of which alert.
        status: in which it was since.
        told: what people would have heard; None for nothing.
        value: of the worst that was measured apart; None where there was none.
        labels: of that.
    """

    at: int
    alert_id: str
    group: Mapping[str, str]
    status: Status
    told: What | None
    value: float | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule would have told.

    Attributes:
        with_spans: so many evaluations have found any spans that the rule is about: none where a name is misspelt.
        moments: all changes of alerts, in order.
    """

    with_spans: int
    moments: Sequence[Moment]


def evaluation_times(rule: PlannedRule, start: int, end: int) -> range:
    """When the rule would have been evaluated in [start, end], nanoseconds since 1970.

    Raises:
        ValueError: more often than can be tried out; the text says for how long it can.
    """
    every = int(rule.settings.every)
    first = -(-start // MINUTE) * MINUTE
    times = range(first, end + 1, every)
    if len(times) > MOST_EVALUATIONS:
        hours = MOST_EVALUATIONS * every // (60 * MINUTE)
        raise ValueError(f"can be tried out over {hours} h at most, {MOST_EVALUATIONS} evaluations, found {len(times)}")
    return times


async def dry_run(store: SpanStore, rule: PlannedRule, times: Sequence[int]) -> Outcome:
    """What would have come of a rule, had it been evaluated at these times and been new at the first.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `SpanStore.fetch`.
    """
    names = rule.settings.alerts_by
    states: dict[Group, AlertState] = {}
    moments: list[Moment] = []
    with_spans = 0
    for first in range(0, len(times), _AT_ONCE):
        some = times[first : first + _AT_ONCE]
        for at, answers in zip(some, await asyncio.gather(*(_answers(store, rule, at) for at in some)), strict=True):
            expected = [group for group, state in states.items() if state.status in OPEN]
            judged = judge(rule, answers, expected)
            with_spans += any(verdict.spans for found in judged.values() for _, verdict in found.series)
            for group, found in judged.items():
                before = states.get(group, AlertState())
                after = step(before, rule.settings.policy, found.seen, at)
                states[group] = after.state
                if after.told or after.state.status != before.status:
                    labels, verdict = found.series[0]
                    named = dict(zip(names, group, strict=True))
                    alert_id = str(alert_id_of(rule.id, named))
                    moments.append(Moment(at, alert_id, named, after.state.status, after.told, verdict.value, labels))
    return Outcome(with_spans, moments)


async def _answers(store: SpanStore, rule: PlannedRule, at: int) -> dict[Reading, Answer]:
    (batch,) = batches([rule])
    questions = batch.questions([rule], at)
    measured = await asyncio.gather(*(measure(store, question) for question in questions.values()))
    return dict(zip(questions, map(Answer, measured), strict=True))
