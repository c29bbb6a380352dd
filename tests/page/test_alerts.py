"""Alerts, as the page shows them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.page.made import WORKSPACE, made
from tests.support.daemon import Daemon, eventually

CHANGE: Final = """({url, body}) =>
    fetch(url, {method: "PATCH", body, headers: {"If-Match": '"1"', "Content-Type": "application/json"}})"""


@pytest.fixture(scope="module", autouse=True)
def slow(shown: Daemon) -> None:
    """A rule that every service breaks, made before everything else, since it takes its time to be evaluated."""
    rule = {"name": "Anything is slow", "condition": {"measure": "latency", "above": "1us"}, "by": ["service"], "window": "1h"}
    made(shown, "alert-rules", rule)


def test_a_rule_is_made_tried_out_changed_and_deleted_by_keyboard(page: Page) -> None:
    page.goto("/alerts?tab=rules&from=now-15m")
    page.get_by_role("button", name="New alert rule").press("Enter")
    name = page.get_by_role("textbox", name="Name")
    name.press_sequentially("Carts fail")
    page.get_by_role("radio", name="Error rate").press(" ")
    above = page.get_by_role("spinbutton", name="Above")
    above.press_sequentially("7")
    name.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Not saved.")
    expect(above).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_attribute("aria-invalid", "false")
    above.fill("0.05")
    page.get_by_role("button", name="Try it out").press("Enter")
    expect(page.get_by_role("region", name="Try it out").get_by_role("status")).to_contain_text(re.compile(r"fire|found spans"))
    name.press("Enter")
    switch = page.get_by_role("switch", name="Carts fail is enabled")
    expect(switch).to_be_checked()
    switch.press("Enter")
    expect(switch).not_to_be_checked()
    page.get_by_role("button", name="History of Carts fail").press("Enter")
    changed = page.get_by_role("group", name="What version 2 says").get_by_role("row").last
    expect(changed).to_contain_text("enabled")
    expect(changed).to_contain_text("false")
    page.get_by_role("button", name="← All").press("Enter")
    page.get_by_role("button", name="Delete Carts fail").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(switch).to_have_count(0)


def test_who_saves_what_others_have_changed_is_shown_what_they_said(page: Page, shown: Daemon) -> None:
    rule = {"name": "Two editors", "condition": {"measure": "absence"}, "enabled": False}
    kept = made(shown, "alert-rules", rule)
    page.goto(f"/alerts?tab=rules&edit={kept['id']}")
    name = page.get_by_role("textbox", name="Name")
    name.fill("Mine")
    changed = {"url": f"{WORKSPACE}/alert-rules/{kept['id']}", "body": json.dumps({"name": "Theirs"})}
    page.evaluate(CHANGE, changed)
    name.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("has changed this alert rule meanwhile")
    page.get_by_role("button", name="Show what it says now").click()
    expect(name).to_have_value("Theirs")
    name.fill("Both")
    name.press("Enter")
    expect(page.get_by_role("button", name="Both", exact=True)).to_be_visible()


def test_channels_say_at_the_field_what_is_missing(page: Page) -> None:
    page.goto("/alerts?tab=channels&edit=new")
    page.get_by_role("textbox", name="Name").fill("Operations")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Secret")).to_have_attribute("aria-invalid", "true")


def test_an_active_alert_leads_to_traces_and_is_looked_after(page: Page, shown: Daemon) -> None:
    def with_traces() -> list[dict[str, Any]]:
        # Where very many alerts become active at once, traces are looked up for some of them.
        alerts = json.loads(shown.get(f"{WORKSPACE}/alerts?status=active")[1])["alerts"]
        return [alert for alert in alerts if any(each["traceIds"] for each in alert["lastEvent"]["evidence"])]

    active: dict[str, Any] = eventually(with_traces, "an active alert with traces", 90.0)[0]
    page.goto(f"/alerts?alert={active['id']}")
    trace = page.get_by_role("row").filter(has_text=active["group"]["service"]).get_by_role("link").first
    expect(trace).to_have_attribute("href", re.compile(r"/trace/[0-9a-f]{32}"))
    page.get_by_role("textbox", name="Note for others").fill("on it")
    page.get_by_role("textbox", name="Note for others").press("Enter")
    expect(page.get_by_text("acknowledged").first).to_be_visible()
    expect(page.get_by_role("table", name="What happened to alerts")).to_contain_text("on it")
    page.get_by_role("link", name="← All").click()
    expect(page.get_by_role("link", name=active["ruleName"]).first).to_be_visible()
