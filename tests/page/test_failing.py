"""What the page shows while the daemon does not answer, or says that it cannot."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.made import made, removed
from tests.support.daemon import Daemon
from tests.support.traces import needs_real_traces

AGAIN_MS: Final = 30_000
"""By then every view that follows what happens has asked again."""
OUTDATED: Final = re.compile(r"Not up to date: what is shown is of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\s*Busy\.\s*Come back later\.")
VIEWS: Final = {
    "dashboard": ("/dashboard", "**/dashboard?*", "role=group[name=/^Requests of this time range/]"),
    "charts": ("/dashboard", "**/dashboard/series?*", "role=img[name=/^Requests over time/]"),
    "services": ("/services", "**/red?*", "role=table[name=/^Services/]"),
    "service": ("/services/rest-service-3", "**/latencies?*", "role=table[name=/^Operations/]"),
    "topology": ("/topology", "**/topology?*", "role=group[name=/^The graph/]"),
    "accounts": ("/health", "**/ledger", "role=group[name=/^Workspaces/]"),
    "switch": ("/failures", "**/failure-injection", "role=button[name=/^End all failures now/]"),
}
"""What asks again: where it is, what it asks for, and what it shows of that."""
_PAGE: Final = 50


def _busy(route: Route) -> None:
    route.fulfill(status=503, json={"title": "Busy", "detail": "Come back later."})


@pytest.mark.parametrize("view", [pytest.param(view, marks=needs_real_traces if view == "service" else ()) for view in VIEWS])
def test_what_is_asked_again_stays_while_that_fails_and_is_said_to_be_old(page: Page, view: str) -> None:
    path, asked, shown = VIEWS[view]
    page.clock.install()
    page.goto(path)
    part = page.locator(shown).first
    expect(part).to_be_visible()
    page.route(asked, _busy)
    page.clock.fast_forward(AGAIN_MS)
    expect(page.get_by_role("alert")).to_have_text(OUTDATED)
    expect(part).to_be_visible()
    page.unroute(asked)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(part).to_be_visible()


@needs_real_traces
def test_what_is_chosen_in_an_old_answer_does_not_take_it_away(page: Page) -> None:
    page.clock.install()
    page.goto("/topology?service=rest-service-3")
    page.get_by_role("link", name=re.compile("^rest-service-3: ")).press("Enter")
    facts = page.get_by_role("complementary", name="Chosen part")
    expect(facts.get_by_role("heading", name="rest-service-3")).to_be_visible()
    page.route("**/topology?*", _busy)
    page.clock.fast_forward(AGAIN_MS)
    expect(page.get_by_role("alert").first).to_contain_text(OUTDATED)
    page.get_by_role("link", name=re.compile("^rest-service-2: ")).press("Enter")
    expect(facts.get_by_role("heading", name="rest-service-2")).to_be_visible()


def test_nothing_old_is_shown_in_place_of_the_answer_to_another_question(page: Page) -> None:
    page.goto("/dashboard")
    figures = page.get_by_role("group", name="Requests of this time range")
    expect(figures).to_be_visible()
    page.route("**/dashboard?*", _busy)
    page.get_by_role("combobox", name="Satisfied within").select_option("2s")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Come back later.")
    expect(alert).not_to_contain_text("Not up to date")
    expect(figures).to_have_count(0)


def test_hits_of_a_search_stay_where_it_fails_once_more_but_not_where_another_one_does(page: Page) -> None:
    page.goto("/search?from=now-24h")
    hits = page.get_by_role("table", name="Traces that fit")
    expect(hits).to_be_visible()
    page.route("**/api/v1/traces?*", _busy)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(OUTDATED)
    expect(hits).to_be_visible()
    page.get_by_role("button", name="Only errors").click()
    expect(hits).to_have_count(0)
    expect(page.get_by_role("alert")).not_to_contain_text("Not up to date")


def test_a_page_of_a_list_that_fails_to_come_can_be_asked_for_again(page: Page, shown: Daemon) -> None:
    later = {
        "comment": "tried out",
        "labels": {"service": "nobody"},
        "startsAt": "2098-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
    }
    for _ in range(_PAGE // 2 + 1):
        removed(shown, "silences", made(shown, "silences", later))
    page.goto("/health?tab=changes")
    rows = page.get_by_role("table", name="Changes").locator("tbody").get_by_role("row")
    expect(rows).to_have_count(_PAGE)
    page.route("**/audit?*", _busy)
    more = page.get_by_role("button", name="More")
    more.click()
    expect(page.get_by_role("alert")).to_contain_text("Come back later.")
    expect(rows).to_have_count(_PAGE)
    page.unroute("**/audit?*")
    more.click()
    expect(rows.nth(_PAGE)).to_be_visible()
