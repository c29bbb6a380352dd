"""Alerts and their rules over the query API, in the embedded ClickHouse."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from collector.api import alert_rules, alerts
from tests.support.alerts import MINUTE, SECOND, START, Shop, SpanOf
from tests.support.workspace_port import WorkspacePort, workspace_port

ROUTES = (*alert_rules.ROUTES, *alerts.ROUTES)
COMPONENTS = {**alert_rules.COMPONENTS, **alerts.COMPONENTS}
SLOW = {"measure": "latency", "of": "p90", "above": "2s", "recover": "1s"}


@pytest.fixture
async def port(shop: Shop) -> AsyncIterator[WorkspacePort]:
    async with workspace_port(shop.client, ROUTES, COMPONENTS) as port:
        yield port


def faults(answer: Any) -> dict[str, str]:
    assert answer.status == 400, answer.body
    return {error["field"]: error["detail"] for error in answer.json["errors"]}


async def test_a_rule_is_refused_with_all_that_is_wrong_each_by_its_field(port: WorkspacePort) -> None:
    async def told(**said: Any) -> dict[str, str]:
        return faults(await port.ask("POST", "alert-rules", {"name": "rule", "condition": SLOW, **said}))

    assert await told(
        window="90s",
        repeat="-1s",
        severity="bad",
        channel=[],
        every="25h",
        scope={"where": "a = ", "servce": "x", "kind": "servr"},
        flapping={"changes": 2},
        channels=["x"],
        condition={"measure": "errorRate", "above": 1},
    ) == {
        "window": "must be whole minutes, from 1m to 744h",
        "repeat": "must be a duration with a unit, such as 200ms, 5s or 1m30s",
        "severity": "must be one of critical, error, warning, info",
        "channel": "is not a known field; did you mean channels?",
        "every": "must be whole minutes, from 1m to 24h",
        "scope.where": "must be a search for spans: line 1, column 4: expected a value, found the end",
        "scope.servce": "is not a known field; did you mean service?",
        "scope.kind": "must be one of unspecified, internal, server, client, producer, consumer; did you mean server?",
        "flapping": "changes must be 0 or at least 3, since every alert becomes active and is resolved",
        "channels[0]": "must be a UUID",
        "condition.above": "must be from 0 to less than 1, since a rate cannot be above 1",
    }
    assert await told(flapping={"within": "25h"}) == {"flapping": "within must be longer than 0 and at most 24h, found 25h"}
    assert await told(channels=[str(uuid.UUID(int=1))]) == {"channels[0]": "the workspace has no such channel"}
    for condition, fault in {
        '{"measure": "latncy"}': "must have one of latency, errorRate, throughput, absence, burnRate, change as measure;"
        " did you mean latency?",
        '{"measure": "latency", "above": "1s", "recover": "2s"}': "recover must be at most above, which is 1s, found 2s",
        '{"measure": "throughput"}': "needs either above or below",
        '{"measure": "burnRate", "objective": 0.99, "windows": [{"long": "1h", "short": "5m", "rate": 200}]}': "rate must be"
        " below 100, at which every span is bad, found 200",
        '{"measure": "change", "of": "p99", "above": 0.5}': "above must be greater than 1, where nothing has changed, found 0.5",
    }.items():
        assert await told(condition=orjson.loads(condition)) == {"condition": fault}
    for said, fault in (
        ({"alertBy": ["kind"]}, "alertBy must be of what is measured apart: kind is not in by"),
        ({"alertBy": ["service", "service"]}, "by and alertBy must name everything once, found service again"),
        ({"repeat": "30s"}, "repeat must be 0 or at least every, which is 1m, found 30s"),
        (
            {"by": ["tenant"], "window": "7h"},
            "time ranges must be at most 6h where attributes are asked for, which only the spans themselves have; found 7h",
        ),
    ):
        assert await told(**said) == {"": fault}


async def test_times_when_people_are_left_alone_are_refused_where_there_are_none(port: WorkspacePort) -> None:
    everything = {"labels": {"rule": "*"}}
    silence = {"startsAt": "2026-11-26T22:00:00+01:00", "endsAt": "2026-11-26T20:00:00Z", "comment": "work"}
    assert faults(await port.ask("POST", "silences", {**silence, **everything})) == {"": "endsAt must be later than startsAt"}
    hour = {**silence, "endsAt": "2026-11-26T23:00:00+01:00"}
    assert faults(await port.ask("POST", "silences", hour)) == {
        "": 'must name rules or labels; {"rule": "*"} as labels means every alert'
    }
    assert faults(await port.ask("POST", "silences", {**hour, "rules": [str(uuid.UUID(int=1))]})) == {
        "rules[0]": "the workspace has no such alert rule"
    }
    naive = await port.ask("POST", "silences", {**hour, **everything, "startsAt": "2026-11-26T22:00:00"})
    assert faults(naive).keys() == {"startsAt"}
    made = await port.ask("POST", "silences", {**hour, **everything})
    assert (made.status, made.json["startsAt"]) == (201, "2026-11-26T22:00:00+01:00")
    window = {"name": "work", "cron": "30 2 * * SUN", "duration": "2h", "timeZone": "Europe/Berlin", **everything}
    assert (await port.ask("POST", "maintenance-windows", window)).status == 201
    bad = {"cron": "30 2 31 2 *", "duration": "30s", "timeZone": "Europe/Berln"}
    assert faults(await port.ask("POST", "maintenance-windows", {**window, **bad})).keys() == bad.keys()
    listed = (await port.ask("GET", "maintenance-windows")).json["maintenanceWindows"]
    assert [each["name"] for each in listed] == ["work"]


async def test_alerts_are_listed_looked_after_and_resolved_by_those_who_may(shop: Shop, port: WorkspacePort) -> None:
    spans = [
        SpanOf(START + number * SECOND, 3 * SECOND, service)
        for service in ("cart", "payment", "stock")
        for number in range(5 * 60)
    ]
    await shop.spans(spans, "mine")
    made = await port.ask("POST", "alert-rules", {"name": "slow", "condition": SLOW, "by": ["service"], "window": "1m"})
    assert made.status == 201
    rule = made.json["id"]
    collector = await shop.collector().open()
    await collector.minute()
    pages: list[Any] = [await port.ask("GET", "alerts", limit=2)]
    pages.append(await port.ask("GET", "alerts", limit=2, cursor=pages[0].json["nextCursor"]))
    for entry in (b"-1", b"18446744073709551615", b"1.5", b"true", b'"1"', b"[]"):
        wrong = base64.urlsafe_b64encode(b'[%b,"%b"]' % (entry, str(uuid.UUID(int=0)).encode())).decode()
        assert (await port.ask("GET", "alerts", cursor=wrong)).json["parameter"] == "cursor"
    listed = [alert for page in pages for alert in page.json["alerts"]]
    assert pages[1].json["nextCursor"] is None
    assert sorted(alert["group"]["service"] for alert in listed) == ["cart", "payment", "stock"]
    assert {(alert["status"], alert["ruleId"], alert["ruleName"]) for alert in listed} == {("active", rule, "slow")}
    assert all(alert["lastEvent"]["evidence"][0]["traceIds"] for alert in listed)
    (cart,) = [alert for alert in listed if alert["group"] == {"service": "cart"}]
    path = f"alerts/{cart['id']}"
    assert (await port.ask("GET", path)).json == cart
    # Who may only read, and who belongs elsewhere.
    assert (await port.as_("ben").ask("POST", f"{path}/acknowledge", {})).status == 403
    assert (await port.as_("zoe").ask("GET", path)).status == 403
    for method, what in (("GET", path), ("GET", f"{path}/history"), ("POST", f"{path}/resolve")):
        assert (await port.as_("zoe").ask(method, what, {} if method == "POST" else None, where="theirs")).status == 404
    assert (await port.as_("zoe").ask("GET", "alerts", where="theirs")).json["alerts"] == []
    done = await port.ask("POST", f"{path}/acknowledge", {"note": "on it"})
    assert (done.status, done.json["status"], done.json["by"]) == (200, "acknowledged", "ann")
    assert done.json["lastEvent"]["note"] == "on it"
    again = await port.ask("POST", f"{path}/acknowledge", {})
    assert (again.status, again.json["detail"]) == (409, "The alert is acknowledged.")
    assert (await port.ask("POST", f"{path}/acknowledge", {"nte": ""})).status == 400
    assert (await port.ask("POST", f"{path}/resolve")).json["status"] == "resolved"
    assert (await port.ask("GET", "alerts", status="acknowledged")).json["alerts"] == []
    assert [alert["id"] for alert in (await port.ask("GET", "alerts", status="resolved", rule=rule)).json["alerts"]] == [
        cart["id"]
    ]
    assert (await port.ask("GET", "alerts", status="quiet")).status == 400
    history = (await port.ask("GET", f"{path}/history")).json["happenings"]
    assert [(each["status"], each["event"]["what"], each["by"]) for each in history] == [
        ("resolved", "resolved", "ann"),
        ("acknowledged", "acknowledged", "ann"),
        ("active", "fired", ""),
    ]
    assert len({each["event"]["key"] for each in history}) == 3
    everything = (await port.ask("GET", "alert-history", limit=2, start="1", end=str(2**62))).json
    assert len(everything["happenings"]) == 2
    rest = await port.ask("GET", "alert-history", start="1", end=str(2**62), cursor=everything["nextCursor"])
    assert len(rest.json["happenings"]) == 3
    assert (await port.ask("GET", f"alerts/{uuid.uuid4()}")).status == 404


async def test_a_rule_is_tried_out_on_the_past_and_on_its_channels(shop: Shop, port: WorkspacePort) -> None:
    spans = [SpanOf(START + number * SECOND, (3 if 60 <= number < 120 else 1) * SECOND) for number in range(5 * 60)]
    await shop.spans(spans, "mine")
    rule = {"name": "slow", "condition": SLOW, "scope": {"service": "cart"}, "window": "1m"}
    tried = await port.as_("ben").ask("POST", "alert-rules/dry-run", rule, start=str(START), end=str(START + 60 * MINUTE))
    assert (tried.status, tried.json["evaluations"], tried.json["withSpans"]) == (200, 61, 5)
    misspelt = await port.ask(
        "POST", "alert-rules/dry-run", {**rule, "scope": {"service": "crt"}}, start=str(START), end=str(START + MINUTE)
    )
    assert (misspelt.json["withSpans"], misspelt.json["moments"]) == (0, [])
    moments = [(each["told"], (int(each["atUnixNano"]) - START) // MINUTE) for each in tried.json["moments"]]
    assert moments == [("fired", 2), ("resolved", 3)]
    assert tried.json["moments"][0]["value"] == pytest.approx(3, rel=0.011)
    too_long = await port.ask("POST", "alert-rules/dry-run", rule, start=str(START), end=str(START + 3000 * MINUTE))
    assert (too_long.status, too_long.json["parameter"]) == (400, "start")
    assert "over 25 h at most" in too_long.json["detail"]
    # Nothing of that is kept.
    assert (await port.ask("GET", "alert-rules")).json["alertRules"] == []
    assert (await port.ask("GET", "alerts", status="active,resolved,pending")).json["alerts"] == []
    stored = await shop.rule(SLOW, "mine")
    assert (await port.as_("ben").ask("POST", f"alert-rules/{stored}/test")).status == 403
    fired = await port.ask("POST", f"alert-rules/{stored}/test")
    assert (fired.status, fired.json["event"]["what"], fired.json["event"]["by"]) == (202, "test", "ann")
    collector = await shop.collector().open()
    shop.now = int(fired.json["event"]["atUnixNano"])
    await collector.send()
    assert [(event.what, event.key) for event in shop.inbox.events] == [("test", fired.json["event"]["key"])]
    assert (await port.ask("POST", f"alert-rules/{uuid.uuid4()}/test")).status == 404
