"""The page where there is little room: on a phone, and at a zoom of 400 %, where 1280 pixels are as many as 320 are otherwise."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.support.daemon import Daemon

VIEWS: Final = (
    "/search?from=now-24h",
    "/analyze?by=service,operation&apart=slow",
    "/analyze?tab=operations",
    "/analyze?tab=over-time",
    "/analyze?tab=critical-path&per=callPath",
    "/analyze?tab=new",
    "/trace/{trace}?span=1",
    "/trace/{trace}?tab=flame",
    "/trace/{trace}?tab=spans",
    "/trace/{trace}?tab=statistics",
    "/compare?left={trace}&right={trace}",
    "/services",
    "/services/rest-service-3?apart=failed",
    "/topology?table=open",
    "/dashboard",
    "/alerts",
    "/alerts?tab=rules&edit=new",
    "/load-tests?edit=new",
    "/requests?edit=new",
    "/failures?edit=new",
    "/tracing?edit=new",
    "/health",
    "/health?tab=configuration",
)

WITHIN: Final = ".scroll-x, .windowed, .visually-hidden"
BEYOND: Final = f"""() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest("{WITHIN}"))
    .map((node) => node.tagName + " " + node.className)"""
"""Elements that make the document wider than the window."""


@pytest.fixture
def narrow(page: Page) -> Page:
    page.set_viewport_size({"width": 320, "height": 640})
    return page


def test_the_head_is_one_menu_that_keys_open_and_a_choice_closes(narrow: Page) -> None:
    narrow.goto("/health")
    head = narrow.get_by_role("banner")
    views = narrow.get_by_role("navigation", name="Views")
    expect(head).to_be_visible()
    assert head.evaluate("head => head.offsetHeight") <= 100
    expect(views).to_be_hidden()
    toggle = head.get_by_role("button", name="Menu")
    toggle.press("Enter")
    expect(views.get_by_role("link", name="Health")).to_have_attribute("aria-current", "page")
    expect(head.get_by_label("Workspace")).to_be_visible()
    assert violations(narrow) == []
    toggle.press("Escape")
    expect(views).to_be_hidden()
    toggle.press("Enter")
    views.get_by_role("link", name="Tracing").press("Enter")
    expect(narrow).to_have_url(re.compile("/tracing"))
    expect(views).to_be_hidden()
    expect(narrow.get_by_role("main")).to_be_focused()


def test_what_says_which_trace_is_slow_and_which_has_failed_is_in_sight(narrow: Page) -> None:
    narrow.set_viewport_size({"width": 700, "height": 900})
    narrow.goto("/search?from=now-24h")
    for head in ("Trace", "Duration", "Errors"):
        expect(narrow.get_by_role("columnheader", name=head)).to_be_in_viewport(ratio=1)


@pytest.mark.soak
def test_no_view_scrolls_sideways(narrow: Page, shown: Daemon) -> None:
    trace = json.loads(shown.get("/api/v1/traces?status=error&limit=1&start=1")[1])["traces"][0]["traceId"]
    faults = {}
    for view in VIEWS:
        narrow.goto(view.format(trace=trace))
        narrow.wait_for_load_state("networkidle")
        expect(narrow.get_by_text("Loading")).to_have_count(0)
        # What is wide in itself, such as a table, scrolls within, by keys too.
        if found := narrow.evaluate(BEYOND) or violations(narrow, "scrollable-region-focusable"):
            faults[view] = found
    assert faults == {}
