"""Traces that show what an alert is about."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from collector import metrics
from collector.monitor.alerts.conditions import BurnRate, Change, ErrorRate, Latency, Throughput
from collector.monitor.alerts.planning import Found, PlannedRule
from collector.monitor.alerts.rules import COLUMNS
from collector.query.predicates import EVERY_SPAN, FAILED, AllOf, Attribute, Comparison, Field, Predicate
from collector.query.store import DURATION, KINDS, SpanStore, Statement, time_range
from collector.query.wording import Wording
from collector.spaced_log import SpacedLog
from collector.telemetry import Telemetry
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import export_error

MOST: Final = 3
"""Traces of one group of spans."""
_SERIES: Final = 3
"""Of one alert, for which traces are looked for."""
_MOST_QUESTIONS: Final = 100
"""That one evaluation asks, however many alerts it makes active."""

TracesByAlert = Mapping[uuid.UUID, Sequence[tuple[str, ...]]]
"""Ids of traces, hex, for each of the first series of an alert."""

_FIELDS: Final[Mapping[str, Field]] = dict(zip(COLUMNS, ("service", "name", "kind"), strict=True))


class Exemplars:
    """Looks for traces of many alerts. Where they cannot be had in time there are none: people are told all the same.

    Args:
        store: of spans.
        asking: bounds how many questions are asked at once, these and others.
        telemetry: where failures are counted.
        log: where they are told.
    """

    def __init__(self, store: SpanStore, asking: asyncio.Semaphore, telemetry: Telemetry, log: SpacedLog) -> None:
        self._store = store
        self._asking = asking
        self._telemetry = telemetry
        self._log = log

    async def find(self, alerts: Iterable[tuple[uuid.UUID, PlannedRule, Found]], end: int) -> TracesByAlert:
        """Traces of some of the alerts, where there are many.

        Args:
            alerts: id of each, its rule, and what that has found.
            end: of what was measured, nanoseconds since 1970.
        """
        traces: dict[uuid.UUID, Sequence[tuple[str, ...]]] = {}
        asked = 0
        for alert_id, rule, found in alerts:
            series = [labels for labels, verdict in found.series[:_SERIES] if verdict.seen == "breach"]
            asked += len(series)
            if asked > _MOST_QUESTIONS:
                break
            start = end - rule.settings.readings[0].length
            traces[alert_id] = await asyncio.gather(*(self._find(rule, labels, start, end) for labels in series))
        return traces

    async def _find(self, rule: PlannedRule, labels: Mapping[str, str], start: int, end: int) -> tuple[str, ...]:
        try:
            async with self._asking:
                return await find_exemplars(self._store, rule, labels, start, end)
        except (ClickHouseError, ClickHouseUnavailable) as error:
            reason = export_error(error).reason
            self._telemetry.count(metrics.ALERT_FAILURES, (reason,))
            about = {"workspace": rule.workspace, "rule": rule.settings.name}
            self._log.warning("alert_traces_not_found", reason, **about, error=str(error))
            return ()


def exemplars_statement(store: SpanStore, rule: PlannedRule, labels: Mapping[str, str], start: int, end: int) -> Statement | None:
    """One row for each trace, the most telling one first: `TraceId`. None where no trace shows it, as where spans are absent.

    Args:
        labels: of one group that the rule measures apart.
        start, end: of the starts of spans, nanoseconds since 1970.
    """
    telling = _telling(rule)
    if telling is None:
        return None
    condition, parameters = time_range(start, end)
    parameters |= {"workspace": rule.workspace}
    wording = Wording(store.spans_table, parameters)
    chosen = dict(zip(rule.settings.columns, rule.wanted, strict=True))
    terms = [_is(name, value) for name, value in {**chosen, **labels}.items() if value is not None]
    fits = wording.condition(AllOf((*terms, telling, rule.settings.where)))
    return Statement(
        f"SELECT TraceId FROM {store.spans_table} WHERE Workspace = {{workspace:String}} AND {condition} AND {fits}"  # noqa: S608 - names are checked, values are bound
        f" ORDER BY {DURATION} DESC, TraceId LIMIT 1 BY TraceId LIMIT {MOST}",
        parameters,
    )


async def find_exemplars(store: SpanStore, rule: PlannedRule, labels: Mapping[str, str], start: int, end: int) -> tuple[str, ...]:
    """Ids of such traces, hex. Arguments as of `exemplars_statement`; raises as `SpanStore.fetch`."""
    statement = exemplars_statement(store, rule, labels, start, end)
    if statement is None:
        return ()
    rows: Any = (await store.fetch(statement)).rows()
    return tuple(row["TraceId"] for row in rows)


def _telling(rule: PlannedRule) -> Predicate | None:
    """What spans are like that show it."""
    match rule.settings.condition:
        case ErrorRate() | BurnRate(slower_than=None) | Change(of="errorRate"):
            return FAILED
        case BurnRate(slower_than=int(limit)):
            return Comparison("duration", ">", limit)
        case Latency(above=above):
            return Comparison("duration", ">", int(above))
        case Change() | Throughput():
            return EVERY_SPAN
    return None


def _is(name: str, value: str) -> Predicate:
    if name == "kind":
        value = next((kind for kind in KINDS if kind.lower() == value), value)
    return Comparison(_FIELDS.get(name) or Attribute("span or resource", name), "=", value)
