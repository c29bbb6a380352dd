"""Failure rules over the query API, in a real ClickHouse: made, told to the services that they mean, and ended at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.api import failure_rules
from exporters.clickhouse.client import ClickHouseClient
from tests.support.requests import EPOCH
from tests.support.workspace_port import WorkspacePort, workspace_port

NOW = datetime.fromtimestamp(EPOCH // 10**9, UTC)
RULES, OF_SERVICE, SWITCH = "failure-rules", "failure-rules/of-service", "failure-injection"


@pytest.fixture
async def port(module_client: ClickHouseClient) -> AsyncIterator[WorkspacePort]:
    async with workspace_port(module_client, failure_rules.ROUTES, failure_rules.COMPONENTS) as port:
        yield port


def rule(name: str, service: str = "cart", hours: float = 1, **said: Any) -> dict[str, Any]:
    ends = (NOW + timedelta(hours=hours)).isoformat()
    return {"name": name, "service": service, "failure": {"type": "reset"}, "endsAt": ends, **said}


async def names(port: WorkspacePort, service: str = "cart", **options: Any) -> list[str]:
    answer = await port.ask("GET", OF_SERVICE, service=service, **options)
    return [each["name"] for each in answer.json["rules"]]


async def test_services_are_told_of_the_rules_that_mean_them_now(port: WorkspacePort) -> None:
    later = (NOW + timedelta(minutes=5)).isoformat()
    said = [
        rule("mine"),
        rule("everybody's", service="*"),
        rule("another's", service="other"),
        rule("off", enabled=False),
        rule("over", hours=-1),
        rule("not yet", startsAt=later),
    ]
    for each in said:
        assert (await port.ask("POST", RULES, each)).status == 201
    assert await names(port.as_("ray")) == ["mine", "everybody's"]
    assert await names(port.as_("zoe"), where="theirs") == []
    first = await port.ask("GET", OF_SERVICE, service="cart")
    again = await port.ask("GET", OF_SERVICE, service="cart", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.headers["ETag"]) == (304, first.headers["ETag"])


async def test_one_switch_ends_all_of_them_for_a_workspace_until_it_is_thrown_back(port: WorkspacePort) -> None:
    await port.ask("POST", RULES, rule("mine"))
    assert (await port.ask("GET", SWITCH)).json == {"enabled": True}
    for wanted, told in ((False, []), (False, []), (True, ["mine"])):
        assert (await port.ask("PUT", SWITCH, {"enabled": wanted})).json == {"enabled": wanted}
        assert await names(port) == told
    assert (await port.as_("ray").ask("PUT", SWITCH, {"enabled": False})).status == 403
    assert (await port.ask("PUT", SWITCH, {"enabled": "no"})).json["errors"][0]["field"] == "enabled"


async def test_a_rule_that_goes_on_for_too_long_is_refused_whenever_it_is_said(port: WorkspacePort) -> None:
    assert (await port.ask("POST", RULES, rule("long", hours=24 * 31 + 1))).json["errors"][0]["field"] == "endsAt"
    made = (await port.ask("POST", RULES, rule("short"))).json
    ends = (NOW + timedelta(days=40)).isoformat()
    assert (await port.ask("PATCH", f"{RULES}/{made['id']}", {"endsAt": ends}, version=1)).status == 400
    assert (await port.ask("GET", OF_SERVICE)).json["parameter"] == "service"
