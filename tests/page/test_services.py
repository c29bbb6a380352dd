"""Services, the calls between them, and the dashboard, as the page shows them."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon
from tests.support.traces import needs_real_traces


@needs_real_traces
def test_a_service_is_found_by_name_and_tells_how_it_does(page: Page, shown: Daemon) -> None:
    page.goto("/services")
    rows = page.get_by_role("table", name="Services").get_by_role("row")
    expect(rows.nth(1)).to_be_visible()
    known = json.loads(shown.get("/api/v1/red?limit=100")[1])["series"]
    assert rows.count() - 1 >= len(known)
    page.get_by_role("searchbox", name="Name").fill("rest-service-3")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("failing")
    page.get_by_role("link", name="rest-service-3").press("Enter")
    expect(page).to_have_url(re.compile("/services/rest-service-3"))
    expect(page.get_by_role("img", name=re.compile("^Durations over time"))).to_be_visible()
    operations = page.get_by_role("table", name="Operations")
    operations.get_by_role("button", name="Failed").click()
    expect(operations.get_by_role("row").nth(1)).to_contain_text("http:/hello3")
    errors = page.get_by_role("region", name="Errors")
    expect(errors.get_by_role("heading", name="By message")).to_be_visible()
    called = page.get_by_role("region", name="Dependencies").get_by_role("link", name="rest-service-2")
    expect(called).to_be_visible()


@needs_real_traces
def test_spans_without_a_service_are_led_to_as_well(page: Page) -> None:
    page.goto("/services")
    page.get_by_role("table", name="Services").get_by_role("link", name="(no name)").click()
    expect(page).to_have_url(re.compile(r"/search\?.*q=service"))
    found = page.get_by_role("table", name="Traces that fit").get_by_role("row").nth(1)
    expect(found.get_by_role("cell", name="(no name)", exact=True)).to_be_visible()


@needs_real_traces
def test_what_sets_failed_spans_apart_leads_to_those(page: Page) -> None:
    page.goto("/services/rest-service-3")
    page.get_by_role("button", name="Failed spans").click()
    expect(page).to_have_url(re.compile("apart=failed"))
    value = page.get_by_role("table", name="What sets them apart").get_by_role("link").first
    value.click()
    expect(page).to_have_url(re.compile(r"/search\?.*q=.*status"))
    expect(page.get_by_role("table", name="Traces that fit").get_by_role("link").first).to_be_visible()


def test_charts_can_be_read_as_tables_and_a_drag_chooses_the_time(page: Page, shown: Daemon) -> None:
    page.goto("/dashboard")
    chart = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Requests"))
    chart.get_by_text("as a table").click()
    cells = chart.get_by_role("row").nth(-1).get_by_role("cell")
    expect(cells).to_have_count(4)
    plot = chart.locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 30)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d{13}&to=\d{13}"))


@needs_real_traces
def test_cells_of_the_heat_map_are_reached_by_keys_and_open_their_traces(page: Page) -> None:
    page.goto("/services/rest-service-3")
    heat_map = page.get_by_role("region", name="How long spans took")
    heat_map.get_by_role("link").first.focus()
    # All of the cells are one stop on the way through the page.
    page.keyboard.press("Tab")
    expect(heat_map.locator(":focus")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    expect(heat_map.locator(":focus")).to_have_count(1)
    focused = page.locator(":focus")
    before = focused.get_attribute("aria-label")
    # When the spans started decides in which directions there are others.
    for key in ("ArrowUp", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        if focused.get_attribute("aria-label") != before:
            break
    assert focused.get_attribute("aria-label") != before
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/search\?.*service=rest-service-3.*minDuration=\d+ns&maxDuration=\d+ns"))
    expect(page.get_by_role("table", name="Traces that fit").get_by_role("row").nth(1)).to_be_visible()


@needs_real_traces
def test_the_graph_leads_by_keys_to_services_and_to_the_traces_of_a_call(page: Page) -> None:
    page.goto("/topology?service=rest-service-3")
    node = page.get_by_role("link", name=re.compile("^rest-service-3: "))
    node.focus()
    picture = page.get_by_role("group", name="Services and calls")
    # All of the services are one stop on the way through the page; arrow keys lead to those that call and are called.
    page.keyboard.press("ArrowRight")
    expect(picture.locator(":focus")).not_to_have_attribute("aria-label", re.compile("^rest-service-3: "))
    page.keyboard.press("Tab")
    expect(picture.locator(":focus")).to_have_count(0)
    node.press("Enter")
    expect(page).to_have_url(re.compile("part=service%3Arest-service-3"))
    facts = page.get_by_role("complementary", name="Chosen part")
    expect(facts.get_by_role("heading", name="rest-service-3")).to_be_visible()
    place = node.bounding_box()
    page.get_by_role("combobox", name="Compare with").select_option("before")
    expect(page.get_by_role("status").filter(has_text="Compared with")).to_contain_text("rest-service-3 → rest-service-2")
    moved = page.get_by_role("link", name=re.compile("^rest-service-3, added")).bounding_box()
    assert moved is not None
    assert place is not None
    assert moved["x"] == pytest.approx(place["x"], abs=1)
    page.get_by_role("group", name=re.compile("^The graph")).press("+")
    expect(page).to_have_url(re.compile(r"zoom=1\.\d\d"))
    page.get_by_text("All calls as a table").press("Enter")
    page.get_by_role("link", name="Traces of rest-service-3 calling rest-service-2").press("Enter")
    expect(page).to_have_url(re.compile("/search"))
    expect(page.get_by_role("table", name="Traces that fit").get_by_role("row").nth(1)).to_be_visible()


@needs_real_traces
def test_services_that_fail_most_are_found_in_a_large_graph(page: Page) -> None:
    page.goto("/topology")
    facts = page.get_by_role("complementary", name="Chosen part")
    listed = facts.get_by_role("link")
    expect(listed.first).to_be_visible()
    names = listed.all_inner_texts()
    assert "ts-preserve-other-service" in names
    for name in names[:3]:
        listed.and_(page.get_by_text(name, exact=True)).press("Enter")
        expect(facts.get_by_role("heading", name=re.compile(f"^{name}"))).to_be_visible()
        expect(
            page.get_by_role("group", name="Services and calls").get_by_role("link", name=re.compile(f"^{name}: "))
        ).to_be_in_viewport()
        facts.get_by_role("button", name="Close").press("Enter")


@needs_real_traces
def test_the_graph_is_saved_as_text(page: Page) -> None:
    page.goto("/topology?service=rest-service-3")
    with page.expect_download() as download:
        page.get_by_role("button", name="Graphviz").click()
    assert "rest-service-3" in download.value.path().read_text()


def test_where_nothing_was_counted_a_newcomer_is_told_what_to_do(page: Page) -> None:
    page.goto("/services?from=now-2d&to=now-1d")
    expect(page.get_by_role("heading", name="No service has sent spans in this time range")).to_be_visible()
    expect(page.get_by_text("spanhouse demo")).to_be_visible()


def test_a_service_that_is_silent_is_said_to_be_and_not_that_nothing_counts_its_spans(page: Page) -> None:
    page.goto("/services/nobody")
    expect(page.get_by_role("heading", name="nobody has sent no spans in this time range")).to_be_visible()
    expect(page.get_by_role("heading", name="nothing counts them")).to_have_count(0)
