"""Searching, as the page shows it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon


def test_traces_are_found_and_lead_to_their_waterfall(page: Page, shown: Daemon) -> None:
    page.goto("/search?from=now-24h")
    expect(page.get_by_text(re.compile(r"^(At least )?[\d.,k ]+ traces?$"))).to_be_visible()
    first = page.get_by_role("table", name="Traces that fit").get_by_role("link").first
    name = first.inner_text()
    first.click()
    expect(page).to_have_url(re.compile(r"/trace/[0-9a-f]{32}\?"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(name.strip().split(": ")[0])
    expect(page.get_by_role("treeitem").first).to_be_visible()


def test_a_query_completes_and_says_in_words_what_is_wrong_with_it(page: Page) -> None:
    page.goto("/search?from=now-24h")
    box = page.get_by_role("combobox", name="Query")
    # At once: each key would ask anew, and an answer that comes late would take the mark away.
    box.fill("servi")
    expect(page.get_by_role("option", name="service", exact=True)).to_be_visible()
    box.press("ArrowDown")
    box.press("Tab")
    expect(box).to_have_value("service ")
    box.fill("duration >> 5ms")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("column")


def test_filters_are_chips_that_can_be_taken_away_and_shared(page: Page) -> None:
    page.goto("/search?from=now-24h")
    page.get_by_role("button", name="Only errors").click()
    expect(page).to_have_url(re.compile("status=error"))
    chip = page.get_by_role("button", name="Remove the condition on Status")
    page.reload()
    chip.click()
    expect(chip).to_be_hidden()
