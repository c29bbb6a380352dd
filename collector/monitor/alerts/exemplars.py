"""Traces that show what an alert is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collector.monitor.alerts.conditions import BurnRate, Change, ErrorRate, Latency, Throughput
from collector.monitor.alerts.planning import PlannedRule
from collector.monitor.alerts.rules import COLUMNS
from collector.query.predicates import EVERY_SPAN, FAILED, AllOf, Attribute, Comparison, Field, Predicate
from collector.query.store import DURATION, KINDS, SpanStore, Statement, time_range
from collector.query.wording import Wording

MOST: Final = 3
"""Traces of one group of spans."""
_FIELDS: Final[Mapping[str, Field]] = dict(zip(COLUMNS, ("service", "name", "kind"), strict=True))


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
