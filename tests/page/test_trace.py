"""One trace, as the page shows it: by mouse, and by keys alone."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.page.chains import chain
from tests.page.shown import await_stored
from tests.support.daemon import Daemon
from tests.support.requests import key_values
from tests.support.traces import needs_real_traces


@pytest.fixture
def trace_id(shown: Daemon) -> str:
    """A trace that has failed spans."""
    found = json.loads(shown.get("/api/v1/traces?status=error&sort=spans&limit=1&start=1")[1])
    trace: str = found["traces"][0]["traceId"]
    return trace


def test_a_span_shows_what_is_known_of_it_and_takes_a_comment(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    page.get_by_role("button", name="Next error").click()
    row = page.get_by_role("treeitem", selected=True)
    expect(row).to_have_attribute("aria-label", re.compile("failed"))
    row.click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", name="Resource")).to_be_visible()
    panel.get_by_role("textbox", name="Comment").fill("<b>cold</b> cache")
    panel.get_by_role("button", name="Comment", exact=True).click()
    expect(panel.get_by_text("<b>cold</b> cache", exact=True)).to_be_visible()
    panel.get_by_role("button", name="Delete the comment").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(panel.get_by_text("<b>cold</b> cache", exact=True)).to_be_hidden()


def test_keys_alone_lead_through_a_trace(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    items = page.get_by_role("treeitem")
    expect(items.first).to_be_visible()
    chosen = page.get_by_role("treeitem", selected=True)
    page.keyboard.press("j")
    expect(chosen).to_have_attribute("aria-level", "1")
    page.keyboard.press("h")
    expect(chosen).to_have_attribute("aria-expanded", "false")
    expect(page).to_have_url(re.compile(r"closed=[0-9a-f]{16}"))
    page.reload()
    expect(chosen).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("l")
    expect(chosen).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("e")
    expect(chosen).to_have_attribute("aria-label", re.compile("failed"))
    page.keyboard.press("z")
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.keyboard.press("Shift+Z")
    expect(page).not_to_have_url(re.compile(r"zoom="))
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


@needs_real_traces
def test_the_chosen_span_stays_in_sight_beside_its_panel_which_keys_scroll(page: Page, trace_id: str) -> None:
    page.set_viewport_size({"width": 700, "height": 600})
    page.goto(f"/trace/{trace_id}")
    chosen = page.get_by_role("treeitem", selected=True)
    page.get_by_role("treeitem").nth(20).click()
    expect(chosen).to_be_in_viewport()
    walked = chosen.get_attribute("aria-label") or ""
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary")
    expect(panel).to_be_focused()
    expect(panel.get_by_role("heading", name="Resource")).to_be_visible()
    comment = panel.get_by_role("textbox", name="Comment")
    expect(comment).not_to_be_in_viewport()
    page.keyboard.press("End")
    expect(comment).to_be_in_viewport()
    page.keyboard.press("ArrowUp")
    expect(chosen).to_have_attribute("aria-label", walked)
    page.keyboard.press("k")
    expect(chosen).not_to_have_attribute("aria-label", walked)


def test_nothing_moves_while_somebody_looks_for_a_name(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    rows = page.get_by_role("tree")
    expect(rows).to_be_visible()
    before = rows.bounding_box()
    page.get_by_role("searchbox", name="Find").fill("ts-order-service")
    expect(page.get_by_text(re.compile(r"^\d+ spans?$"))).to_be_visible()
    assert rows.bounding_box() == before


def test_what_the_trace_waited_for_is_a_key_away_and_so_is_what_would_be_without_it(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    chosen = page.get_by_role("treeitem", selected=True)
    expect(page.locator(".on-path").first).to_be_visible()
    page.keyboard.press("s")
    slowest = chosen.get_attribute("aria-label")
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("If it took no time")).to_be_visible()
    if panel.get_by_text("Why not more?").count():
        panel.get_by_text("Why not more?").click()
        expect(panel.get_by_text("would become")).to_be_visible()
    page.keyboard.press("s")
    expect(chosen).not_to_have_attribute("aria-label", slowest or "")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("focus="))
    page.reload()
    expect(page.get_by_role("treeitem").first).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("button", name="Whole tree")).to_be_visible()


def test_the_address_says_which_span_is_shown_and_going_back_closes_what_was_opened(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    chosen = page.get_by_role("treeitem", selected=True)
    panel = page.get_by_role("complementary")
    page.get_by_role("treeitem").nth(2).click()
    expect(panel).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("treeitem").nth(3)).to_have_attribute("aria-selected", "true")
    walked = chosen.get_attribute("aria-label") or ""
    expect(page).to_have_url(re.compile(r"span=[0-9a-f]{16}"))
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.reload()
    expect(chosen).to_have_attribute("aria-label", walked)
    expect(panel).to_be_hidden()
    page.go_back()
    expect(panel).to_be_visible()
    expect(chosen).to_have_attribute("aria-label", walked)
    shared = page.url
    page.go_back()
    expect(panel).to_be_hidden()
    expect(chosen).to_have_count(0)
    page.go_forward()
    expect(panel).to_be_visible()
    colleague = page.context.new_page()
    colleague.goto(shared)
    expect(colleague.get_by_role("treeitem", selected=True)).to_have_attribute("aria-label", walked)
    expect(colleague.get_by_role("complementary").get_by_role("button", name="Copy a link to the span")).to_be_visible()


def test_a_link_leads_to_its_span_also_when_others_have_come_since(page: Page, shown: Daemon) -> None:
    trace = "5e" * 16
    shown.export(chain(trace, {2: "second", 3: "third"}))
    await_stored(shown)
    page.goto(f"/trace/{trace}")
    page.get_by_role("treeitem", name=re.compile("third")).click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", level=2)).to_contain_text("third")
    second = page.get_by_role("treeitem", name=re.compile("second"))
    second.locator(".twisty").click()
    expect(second).to_have_attribute("aria-expanded", "false")
    shown.export(chain(trace, {1: "first"}))
    await_stored(shown)
    page.reload()
    expect(page.get_by_role("treeitem")).to_have_count(2)
    expect(page.get_by_role("treeitem", name=re.compile("first"))).to_have_attribute("aria-expanded", "true")
    expect(second).to_have_attribute("aria-expanded", "false")
    expect(panel.get_by_role("heading", level=2)).to_contain_text("third")
    second.locator(".twisty").click()
    expect(page.get_by_role("treeitem")).to_have_count(3)
    page.goto(f"/trace/{trace}?span={9:016x}")
    missing = page.get_by_role("status").filter(has_text="is not in this trace")
    expect(missing).to_be_visible()
    expect(page.get_by_role("treeitem")).to_have_count(3)
    shown.export(chain(trace, {9: "ninth"}))
    await_stored(shown)
    missing.get_by_role("button", name="Look again").click()
    expect(panel.get_by_role("heading", level=2)).to_contain_text("ninth")


def test_ways_to_other_spans_open_what_hides_them_and_leave_the_rest_as_it_was(page: Page, shown: Daemon) -> None:
    trace = "6f" * 16
    shown.export(chain(trace, {1: "first", 2: "second", 3: "third"}))
    await_stored(shown)
    page.goto(f"/trace/{trace}?span={3:016x}&find=second")
    panel = page.get_by_role("complementary")
    panel.get_by_role("link", name=f"{2:016x}").click()
    expect(panel.get_by_role("heading", level=2)).to_contain_text("second")
    expect(page.get_by_role("searchbox", name="Find")).to_have_value("second")
    page.get_by_role("button", name="Collapse", exact=True).click()
    page.get_by_role("tab", name="Spans").click()
    page.get_by_role("list", name="Spans").get_by_role("button", name="third").click()
    expect(page.get_by_role("treeitem", selected=True)).to_have_attribute("aria-label", re.compile("third"))
    expect(panel.get_by_role("heading", level=2)).to_contain_text("third")
    panel.get_by_role("link", name=f"{2:016x}").click()
    panel.get_by_role("link", name=f"{1:016x}").click()
    expect(panel.get_by_text("is not in the trace")).to_be_visible()
    # Nothing is there to be led to.
    expect(panel.get_by_role("link", name=f"{0xA:016x}")).to_have_count(0)


@needs_real_traces
def test_an_exception_shows_where_it_came_from(page: Page, shown: Daemon) -> None:
    query = quote('event.name = "exception" and trace.spans < 100')
    hit = json.loads(shown.get(f"/api/v1/traces?q={query}&limit=1&start=1")[1])["traces"][0]
    page.goto(f"/trace/{hit['traceId']}?span={hit['matchedSpans'][0]['spanId']}")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("group", name="Stack trace")).to_be_visible()
    expect(panel.get_by_role("button", name="Copy the stack trace")).to_be_visible()


def test_the_other_ways_to_look_at_it(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    page.get_by_role("tab", name="Flame graph").click()
    expect(page.get_by_role("tree", name=re.compile("Flame graph"))).to_be_visible()
    page.get_by_role("tab", name="Spans").click()
    page.get_by_role("button", name="Sort by Duration").click()
    expect(page).to_have_url(re.compile("sort=duration&order=desc"))
    expect(page.get_by_role("list", name="Spans").get_by_role("listitem").first).to_be_visible()
    page.get_by_role("tab", name="Statistics").click()
    expect(page.get_by_role("table", name="Statistics by service and operation")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Longest")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="kind", exact=True).click()
    expect(page).to_have_url(re.compile("by=kind"))
    expect(page.get_by_role("table", name="Statistics by kind")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("table", name="Statistics by service and operation")).to_be_visible()


def test_attempts_that_share_an_id_and_a_name_each_show_what_is_known_of_them(page: Page, shown: Daemon) -> None:
    trace = "9c" * 16
    request = chain(trace, {1: "attempt", 2: "attempt"})
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans, 1):
        span.span_id, span.parent_span_id = (1).to_bytes(8), b""
        span.attributes.extend(key_values({"number": number}))
    shown.export(request)
    await_stored(shown)
    page.goto(f"/trace/{trace}")
    attempts = page.get_by_role("treeitem", name="attempt")
    panel = page.get_by_role("complementary")
    for number in (1, 2):
        attempts.nth(number - 1).click()
        expect(panel.get_by_role("row", name="number")).to_contain_text(f"{number} ")


def test_keys_zoom_into_the_trace_and_move_along_it(page: Page, trace_id: str) -> None:
    page.goto(f"/trace/{trace_id}")
    shown_part = page.get_by_role("slider", name=re.compile("Part of the trace"))
    expect(shown_part).to_have_attribute("aria-valuetext", "all of it")
    for key in ("ArrowUp", "ArrowUp", "Home"):
        shown_part.press(key)
    expect(page).to_have_url(re.compile(r"zoom=0-\d+"))
    expect(shown_part).to_have_attribute("aria-valuetext", re.compile("from 0 ns on"))
    shown_part.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"zoom=[1-9]\d*-\d+"))
    # They lead from span to span elsewhere only.
    expect(page.get_by_role("treeitem", selected=True)).to_have_count(0)
    shown_part.press("Escape")
    expect(page).not_to_have_url(re.compile("zoom="))


def test_a_span_is_named_in_the_url_by_its_id(page: Page, shown: Daemon) -> None:
    small = quote("trace.spans < 100 and status = error")
    trace_id = json.loads(shown.get(f"/api/v1/traces?q={small}&limit=1&start=1")[1])["traces"][0]["traceId"]
    waterfall = json.loads(shown.get(f"/api/v1/traces/{trace_id}/waterfall")[1])
    span = next(bar for bar in waterfall["bars"] if bar["status"] == "error")
    page.goto(f"/trace/{trace_id}?span={span['spanId']}")
    expect(page.get_by_role("complementary").get_by_role("heading", level=2)).to_contain_text(span["name"])
    expect(page.get_by_role("treeitem", selected=True)).to_have_attribute("aria-label", re.compile("failed"))
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON", exact=True).click()
    assert json.loads(saved.value.path().read_bytes())["traceId"] == trace_id


def test_a_trace_that_is_not_there_is_said_to_be_missing_until_it_has_come(page: Page, shown: Daemon) -> None:
    trace = "fe" * 16
    page.goto(f"/trace/{trace}")
    expect(page.get_by_role("heading", name="There is no such trace")).to_be_visible()
    shown.export(chain(trace, {1: "late"}))
    await_stored(shown)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("treeitem", name=re.compile("late"))).to_be_visible()
