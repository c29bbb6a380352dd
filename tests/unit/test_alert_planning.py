"""Alert rules: whatever is said is read or refused, shared measurements serve each rule, people are left alone as they say."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from collector.api.bodies import validated
from collector.api.problems import Problem
from collector.control.versions import Stored
from collector.monitor.alerts.measured import MINUTE, Measured
from collector.monitor.alerts.muting import MaintenanceWindow, Muting, Silence
from collector.monitor.alerts.planning import Answer, PlannedRule, batches, judge
from collector.monitor.alerts.rules import AlertRule

SERVICES, OPERATIONS, KINDS = ["cart", "shop-a", "shop-b"], ["GET /", "PUT /"], ["Server", "Client"]
durations = st.sampled_from(["1s", "0", "5m", "1h", "90s", "-1s", "8h", "x", 5, None])
numbers = st.sampled_from([0, 0.1, 0.5, 1, 2, -1, 1e300, "2", None, True])
names = st.sampled_from(["cart", "shop-*", "?", "", "GET /", "\n", 1])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def said(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields, as they should be or not quite."""
    return st.fixed_dictionaries({}, optional=fields)


windows = said(long=durations, short=durations, rate=numbers)
conditions = st.one_of(
    st.just({"measure": "errorRate", "above": 0.5}),
    said(measure=st.just("latency"), of=st.sampled_from(["mean", "p99", "p0", "p101"]), above=durations, recover=durations),
    said(measure=st.just("errorRate"), above=numbers, recover=numbers),
    said(measure=st.just("throughput"), above=numbers, below=numbers, recover=numbers, knownFor=durations),
    said(measure=st.just("absence"), knownFor=durations),
    said(measure=st.just("burnRate"), objective=numbers, slowerThan=durations, windows=st.lists(windows, max_size=2)),
    said(measure=st.just("change"), of=st.sampled_from(["mean", "errorRate", "x"]), above=numbers, below=numbers),
    anything,
)
by = st.lists(st.sampled_from(["service", "operation", "kind", "tenant"]), max_size=3)
rules = said(
    condition=conditions,
    name=names,
    scope=said(service=names, operation=names, kind=st.sampled_from(["server", "Server"]), where=st.sampled_from(["a = 1", "("])),
    by=by,
    alertBy=by,
    window=durations,
    every=durations,
    repeat=durations,
    minSpans=numbers,
    noData=st.sampled_from(["keep", "clear", "breach", "x"]),
    labels=anything,
)
measured = st.builds(
    Measured,
    st.floats(0.5, 1e6),
    st.just(0.0) | st.floats(0, 0.5),
    st.floats(0, 1e12),
    st.just(dict.fromkeys((0.99,), 1e9)),
    st.just({10**9: 0.25}),
)


def planned(rule: AlertRule) -> PlannedRule:
    return PlannedRule.of(Stored.first(uuid.uuid4(), "default", rule, "ann", 0))


def read(document: dict[str, Any]) -> AlertRule | Problem:
    try:
        return validated(AlertRule, document)
    except Problem as problem:
        return problem


@given(rules.map(lambda rule: {"name": "r", **rule}) | anything.filter(lambda each: isinstance(each, dict)))
def test_whatever_is_said_is_refused_in_words_or_read_and_kept_as_it_was_read(document: dict[str, Any]) -> None:
    rule = read(document)
    if isinstance(rule, Problem):
        assert rule.status == 400
        assert rule.extensions["errors"]
        return
    assert AlertRule.model_validate_json(rule.model_dump_json(by_alias=True)) == rule
    (batch,) = batches([planned(rule)])
    assert batch.questions(batch.rules, 0).keys() == set(rule.readings)


RULES = [
    AlertRule.model_validate_json(orjson.dumps({"name": "r", **rule}))
    for rule in (
        {"condition": {"measure": "latency", "above": "1s"}, "scope": {"service": "cart", "operation": "GET /"}},
        {"condition": {"measure": "errorRate", "above": 0.2}, "scope": {"service": "shop-*"}, "by": ["operation"]},
        {"condition": {"measure": "errorRate", "above": 0.2}, "scope": {"kind": "server"}, "by": ["operation", "service"]},
        {"condition": {"measure": "throughput", "below": 1}, "by": ["service", "operation"], "alertBy": ["operation"]},
        {"condition": {"measure": "absence"}, "scope": {"service": "cart"}, "by": ["operation"]},
        {"condition": {"measure": "change", "of": "throughput", "above": 2}, "by": ["operation", "service"]},
        {"condition": {"measure": "burnRate", "objective": 0.99, "slowerThan": "1s"}, "by": ["service", "operation"]},
    )
]


@settings(max_examples=60)
@given(
    st.sampled_from(RULES),
    st.lists(st.dictionaries(st.tuples(*map(st.sampled_from, (SERVICES, OPERATIONS, KINDS))), measured, max_size=8), min_size=4),
)
def test_a_rule_finds_its_groups_among_those_of_others(rule: AlertRule, drawn: list[dict[Any, Measured]]) -> None:
    """Against a walk over all groups."""
    columns = ("service", "operation", "kind")
    places = [columns.index(name) for name in rule.columns]
    answers = {}
    for reading, groups in zip(rule.readings, drawn, strict=False):
        answers[reading] = Answer({tuple(group[place] for place in places): each for group, each in groups.items()})
    assume(len(answers) == len(rule.readings))
    found = judge(planned(rule), answers)
    wanted: dict[tuple[str, ...], set[tuple[tuple[str, str], ...]]] = {}
    for group in {group for answer in answers.values() for group in answer.groups}:
        value = dict(zip(rule.columns, group, strict=True))
        scope = rule.scope
        service_fits = (
            not scope.service
            or value.get("service") == scope.service
            or (scope.service == "shop-*" and value["service"].startswith("shop-"))
        )
        if (
            service_fits
            and (not scope.operation or value["operation"] == scope.operation)
            and (scope.kind is None or value["kind"] == "Server")
        ):
            labels = {name: value[name] for name in rule.measured_by}
            wanted.setdefault(tuple(labels[name] for name in rule.alerts_by), set()).add(tuple(sorted(labels.items())))
    if not rule.measured_by:
        wanted = {(): {()}}
    assert {key: {tuple(sorted(labels.items())) for labels, _ in each.series} for key, each in found.items()} == wanted
    for each in found.values():
        order = [{"breach": 0, "between": 1, "clear": 2, "nothing": 3}[verdict.seen] for _, verdict in each.series]
        assert order == sorted(order)
        assert each.seen == each.series[0][1].seen


def test_batches_are_spread_and_each_rule_is_due_once_in_its_time() -> None:
    many = [
        planned(AlertRule.model_validate_json(orjson.dumps({**document, "name": "r", "every": f"{every}m"})))
        for every in (1, 3, 60)
        for document in (
            {"condition": {"measure": "errorRate", "above": 0.2}, "by": ["service"]},
            {"condition": {"measure": "errorRate", "above": 0.2}, "scope": {"where": "a = 1"}},
            {"condition": {"measure": "errorRate", "above": 0.2}, "scope": {"where": "a = 2"}},
        )
    ]
    found = batches(many)
    assert len(found) == 3
    assert len({batch.offset for batch in found}) == 3
    assert all(0 <= batch.offset < MINUTE for batch in found)
    due = [rule.id for minute in range(60) for batch in found for rule in batch.due(minute * MINUTE)]
    assert [due.count(rule.id) for rule in many] == [60] * 3 + [20] * 3 + [1] * 3


@pytest.mark.parametrize(
    ("cron", "zone", "at", "holds"),
    [
        ("30 2 * * SUN", "Europe/Berlin", "2026-11-29T01:30:00+00:00", True),
        ("30 2 * * SUN", "Europe/Berlin", "2026-11-29T01:29:59+00:00", False),
        ("30 2 * * SUN", "Europe/Berlin", "2026-11-29T02:29:59+00:00", True),
        ("30 2 * * SUN", "Europe/Berlin", "2026-11-29T02:30:00+00:00", False),
        # On the last Sunday of March clocks go from 2 to 3: half past two is left out, and three is the next time there is.
        ("30 2 * * SUN", "Europe/Berlin", "2026-03-29T00:59:59+00:00", False),
        ("30 2 * * SUN", "Europe/Berlin", "2026-03-29T01:00:00+00:00", True),
        ("30 2 * * SUN", "Europe/Berlin", "2026-03-29T02:00:00+00:00", False),
        ("0 0 29 2 *", "UTC", "2028-02-29T00:30:00+00:00", True),
        ("0 0 29 2 *", "UTC", "2027-02-28T00:30:00+00:00", False),
    ],
)
def test_a_maintenance_window_follows_the_clock_of_its_time_zone(cron: str, zone: str, at: str, holds: bool) -> None:
    document = {"name": "w", "cron": cron, "timeZone": zone, "duration": "1h", "labels": {"rule": "*"}}
    window = MaintenanceWindow.model_validate_json(orjson.dumps(document))
    assert window.holds(datetime.fromisoformat(at)) == holds
    assert not window.model_copy(update={"enabled": False}).holds(datetime.fromisoformat(at))


def test_who_is_left_alone_is_said_by_rules_and_labels_of_the_workspace() -> None:
    now = datetime(2026, 11, 26, tzinfo=ZoneInfo("Asia/Tokyo"))
    mine, other = uuid.uuid4(), uuid.uuid4()

    def silence(**fields: Any) -> Silence:
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
        return Silence.model_validate_json(orjson.dumps({**times, "comment": "c", **fields}))

    def mutes(said: Silence, rule: uuid.UUID = mine, workspace: str = "a", after_s: int = 0, **labels: str) -> bool:
        at = int((now.astimezone(UTC).timestamp() + after_s) * 1e9)
        return Muting({"a": [said]}, at).mutes(workspace, rule, labels)

    assert mutes(silence(labels={"service": "c?rt*"}), service="cart-eu")
    assert not mutes(silence(labels={"service": "c?rt*"}), service="part")
    assert not mutes(silence(labels={"service": "*", "team": "x"}), service="cart")
    assert mutes(silence(rules=[str(mine)]))
    assert not mutes(silence(rules=[str(mine)]), rule=other)
    assert not mutes(silence(rules=[str(mine)], labels={"kind": "server"}), kind="client")
    assert not mutes(silence(rules=[str(mine)]), workspace="b")
    assert not mutes(silence(rules=[str(mine)]), after_s=-1)
    assert not mutes(silence(rules=[str(mine)]), after_s=3600)
