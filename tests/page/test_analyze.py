"""Many spans and traces at once, as the page shows them."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.traces import needs_real_traces


@needs_real_traces
def test_a_part_of_the_heat_map_is_compared_with_the_rest(page: Page) -> None:
    page.goto("/analyze?service=rest-service-3")
    cells = page.get_by_role("group", name=re.compile("^Spans by start and duration"))
    expect(page.get_by_role("table", name="Groups of spans")).to_be_visible()
    first = cells.get_by_role("link").first.bounding_box()
    assert first is not None
    x, y = first["x"] + first["width"] / 2, first["y"] + first["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 2 * first["height"], steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"/analyze\?.*box=\d+-\d+-\d+-\d+"))
    apart = page.get_by_role("region", name="What sets them apart")
    expect(apart.get_by_role("button", pressed=True)).to_contain_text("ms")
    expect(apart.get_by_role("table").or_(apart.get_by_text(re.compile("^Nothing")))).to_be_visible()


def test_what_sets_slow_spans_apart_leads_to_their_traces(page: Page) -> None:
    page.goto("/analyze?apart=slow")
    apart = page.get_by_role("region", name="What sets them apart")
    expect(apart.get_by_role("button", pressed=True)).to_contain_text("Spans over")
    apart.get_by_role("table").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/search\?.*q=.*duration"))
    expect(page.get_by_role("table", name="Traces that fit").get_by_role("row").nth(1)).to_be_visible()


@needs_real_traces
def test_keys_choose_a_part_of_the_heat_map_and_let_go_of_it(page: Page) -> None:
    page.goto("/analyze?service=rest-service-3")
    cells = page.get_by_role("group", name=re.compile("^Spans by start and duration"))
    cells.get_by_role("link").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page).to_have_url(re.compile(r"box=\d+-\d+-\d+-\d+"))
    alone = page.url
    page.keyboard.press("Shift+ArrowUp")
    expect(page).not_to_have_url(alone)
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("box="))


def test_groups_by_any_attribute_can_be_narrowed_and_lead_to_the_slowest_traces(page: Page) -> None:
    page.goto("/analyze")
    groups = page.get_by_role("region", name="Groups")
    rows = groups.get_by_role("table", name="Groups of spans").get_by_role("row")
    expect(rows.nth(1)).to_be_visible()
    groups.get_by_role("button", name="+ operation").click()
    expect(rows.first).to_contain_text("service · operation")
    groups.get_by_role("combobox", name="Attribute to group by").fill("http.method")
    groups.get_by_role("button", name="Add").click()
    expect(rows.first).to_contain_text("service · operation · http.method")
    groups.get_by_role("button", name="95 % within").click()
    expect(page).to_have_url(re.compile("sort=percentile"))
    slowest = rows.nth(1).get_by_role("link").first
    name = slowest.inner_text()
    rows.nth(1).get_by_role("button", name=re.compile("^Analyze only")).click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(name)
    slowest.click()
    expect(page).to_have_url(re.compile(r"/search\?.*sort=duration"))
    expect(page.get_by_role("table", name="Traces that fit").get_by_role("row").nth(1)).to_be_visible()


def test_what_the_slow_traces_waited_for_leads_to_the_span_that_was_waited_for(page: Page) -> None:
    page.goto("/analyze?tab=critical-path")
    table = page.get_by_role("table", name="What traces were waiting for")
    expect(table.get_by_role("columnheader", name="slowest 1 %")).to_be_visible()
    table.get_by_role("row").nth(1).get_by_role("link").last.click()
    expect(page).to_have_url(re.compile(r"/trace/[0-9a-f]{16,32}\?.*span=[0-9a-f]{16}"))
    expect(page.get_by_role("complementary").get_by_role("heading", name="Attributes")).to_be_visible()


def test_operations_that_stand_out_and_those_that_are_new(page: Page) -> None:
    page.goto("/analyze?tab=operations")
    page.get_by_role("button", name="Requests only").click()
    expect(page).to_have_url(re.compile("kind=server"))
    slowest = page.get_by_role("table", name="Slowest")
    expect(slowest.get_by_role("row").nth(1)).to_contain_text("server")
    page.get_by_role("link", name="What is new").click()
    expect(page).to_have_url(re.compile(r"(?=.*kind=server)(?=.*tab=new)"))
    new = page.get_by_role("table", name="New operations")
    new.get_by_role("link", name=re.compile("^First trace with")).first.click()
    expect(page.get_by_role("treeitem", selected=True)).to_be_visible()


def test_groups_over_time_and_conditions_that_count_elsewhere(page: Page) -> None:
    page.goto("/analyze?tab=over-time&rootService=frontend")
    expect(page.get_by_role("img", name=re.compile("^Spans over time"))).to_be_visible()
    page.get_by_role("button", name="Share that failed").click()
    expect(page).to_have_url(re.compile("of=share"))
    expect(page.get_by_role("img", name=re.compile("^Share that failed over time"))).to_be_visible()
    said = page.get_by_role("status").filter(has_text="Root service")
    expect(said).to_contain_text("Critical path only")


def test_a_query_that_cannot_be_analysed_says_what_would_be_right(page: Page) -> None:
    page.goto("/analyze?q=trace.duration%20%3E%201s&tab=operations")
    expect(page.get_by_role("alert")).to_contain_text("in braces")
