"""Searching, as the page shows it."""

from __future__ import annotations

import json
import re
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import Page, expect

from tests.page.shown import await_stored
from tests.support.daemon import Daemon
from tests.support.requests import MILLISECOND, key_values
from tests.support.traces import needs_real_traces


def test_traces_are_found_and_lead_to_their_waterfall(page: Page, shown: Daemon) -> None:
    page.goto("/search?from=now-24h")
    expect(page.get_by_text(re.compile(r"^(At least )?[\d.,k ]+ traces?$"))).to_be_visible()
    first = page.get_by_role("table", name="Traces that fit").get_by_role("link").first
    name = first.inner_text()
    first.click()
    expect(page).to_have_url(re.compile(r"/trace/[0-9a-f]{32}\?"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(name.strip().split(": ")[0])
    expect(page.get_by_role("treeitem").first).to_be_visible()


@needs_real_traces
def test_a_span_that_fits_is_a_link_away(page: Page) -> None:
    page.goto("/search?from=now-24h&q=duration%20%3E%201s%20and%20service%20%3D%20rest-service-3")
    found = page.get_by_role("table", name="Traces that fit").get_by_role("link", name=re.compile("^rest-service-3 ")).first
    name = found.inner_text().removeprefix("rest-service-3 ")
    found.click()
    expect(page.get_by_role("complementary").get_by_role("heading", level=2)).to_have_text(re.compile(f"rest-service-3: {name}$"))


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


def test_a_pasted_trace_id_leads_to_the_trace(page: Page, shown: Daemon) -> None:
    trace = json.loads(shown.get("/api/v1/traces?limit=1&start=1")[1])["traces"][0]["traceId"]
    page.goto("/search")
    box = page.get_by_role("combobox", name="Query")
    box.fill(f"00-{trace}-00f067aa0ba902b7-01")
    box.press("Enter")
    expect(page).to_have_url(re.compile(f"/trace/{trace}.*span=00f067aa0ba902b7"))
    expect(page.get_by_role("treeitem").first).to_be_visible()


def test_times_are_typed_and_shown_by_the_clock_of_the_chosen_zone(page: Page) -> None:
    page.goto("/search?from=2026-03-01T11:00:00Z&to=2026-03-01T12:30:00Z&tz=Asia/Tokyo")
    button = page.get_by_role("button", name="Time range")
    expect(button).to_contain_text(re.compile("20:00 . 21:30"))
    button.click()
    dialog = page.get_by_role("dialog", name="Time range")
    expect(dialog.get_by_label("From", exact=True)).to_have_value("2026-03-01 20:00:00")
    dialog.get_by_label("Times in").select_option("UTC")
    expect(dialog.get_by_label("From", exact=True)).to_have_value("2026-03-01 11:00:00")
    dialog.get_by_label("From", exact=True).fill("2026-03-01 12:00")
    dialog.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"from=2026-03-01T12%3A00%3A00.000Z"))
    expect(button).to_contain_text(re.compile("12:00 . 12:30"))


def test_filters_are_chips_that_can_be_taken_away_and_shared(page: Page) -> None:
    page.goto("/search?from=now-24h")
    page.get_by_role("button", name="Only errors").click()
    expect(page).to_have_url(re.compile("status=error"))
    chip = page.get_by_role("button", name="Remove the condition on Status")
    page.reload()
    chip.click()
    expect(chip).to_be_hidden()


def test_traces_are_shown_as_they_come_while_a_search_is_followed(page: Page, shown: Daemon) -> None:
    page.goto("/search?service=latecomer")
    expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()
    page.get_by_role("button", name="Slowest").click()
    live = page.get_by_role("button", name="Live")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Latest")).to_have_attribute("aria-pressed", "true")
    shown.export(_latecomer(1))
    row = page.get_by_role("table", name="Traces that fit").get_by_role("row", name="latecomer")
    expect(row).to_have_count(1)
    expect(page.get_by_text("1 in the last minute")).to_be_visible()
    # One of a trace that is there already makes it longer, and none of its own.
    shown.export(_latecomer(2))
    expect(row.get_by_role("cell").nth(3)).to_have_text("2")
    expect(row).to_have_count(1)
    # It is followed again where the page is opened anew, and where the connection broke.
    page.route("**/traces/events?*", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    shown.export(_latecomer(3))
    page.unroute("**/traces/events?*")
    expect(row.get_by_role("cell").nth(3)).to_have_text("3")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(live).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Slowest").click()
    expect(live).to_have_attribute("aria-pressed", "false")


def test_what_came_before_a_search_was_followed_is_there_and_so_is_more_once_it_is_not(page: Page, shown: Daemon) -> None:
    page.goto("/search?service=forerunner")
    expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()
    # None of the last minute, with which an answer begins that is followed.
    shown.export(_traces("forerunner", 60, age_ns=120_000 * MILLISECOND))
    await_stored(shown)
    live = page.get_by_role("button", name="Live")
    live.click()
    rows = page.get_by_role("table", name="Traces that fit").get_by_role("row", name="forerunner")
    expect(rows).to_have_count(50)
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    live.click()
    page.get_by_role("button", name="More").click()
    expect(rows).to_have_count(60)
    expect(page.get_by_text("60 traces", exact=True)).to_be_visible()


def test_a_trace_that_has_grown_between_two_pages_is_there_once(page: Page, shown: Daemon) -> None:
    shown.export(_traces("pager", 60))
    await_stored(shown)
    page.goto("/search?service=pager&sort=spans&order=asc")
    rows = page.get_by_role("table", name="Traces that fit").get_by_role("row", name="pager")
    expect(rows).to_have_count(50)
    shown.export(_traces("pager", 1, span=2))
    await_stored(shown)
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    links = rows.get_by_role("link").evaluate_all("links => links.map((link) => link.pathname)")
    assert len(links) == len({*links}) == 60


def test_keys_lead_from_hit_to_hit_in_the_picture_of_them(page: Page, shown: Daemon) -> None:
    for number, duration in enumerate((30, 10, 20)):
        request = _traces("pointed-at", 1, span=number + 1, age_ns=number * 1_000 * MILLISECOND)
        span = request.resource_spans[0].scope_spans[0].spans[0]
        span.trace_id, span.name, span.parent_span_id = bytes([number + 1] * 16), f"{duration} long", b""
        span.start_time_unix_nano = span.end_time_unix_nano - duration * MILLISECOND
        shown.export(request)
    await_stored(shown)
    page.goto("/search?service=pointed-at")
    hits = page.get_by_role("listbox", name=re.compile("Hits by start and duration"))
    marked = hits.get_by_role("option")
    walked = {"ArrowDown": 30, "ArrowUp": 30, "j": 20, "ArrowRight": 10, "Home": 20, "ArrowLeft": 20, "End": 30}
    for key, name in walked.items():
        hits.press(key)
        expect(marked).to_have_attribute("aria-label", re.compile(f"pointed-at: {name} long"))
    expect(page.get_by_text("pointed-at: 30 long, 30.0 ms", exact=True)).to_be_visible()
    hits.press("Escape")
    expect(marked).to_have_count(0)
    hits.press("ArrowUp")
    hits.press("Enter")
    expect(page).to_have_url(re.compile("/trace/" + "02" * 16))


def test_a_trace_that_began_before_the_time_that_is_searched_is_in_the_picture(page: Page, shown: Daemon) -> None:
    for number in (1, 2):
        request = _traces("long-runner", 1, span=number)
        span = request.resource_spans[0].scope_spans[0].spans[0]
        if number == 1:
            span.start_time_unix_nano -= 3 * 3600 * 1000 * MILLISECOND
        shown.export(request)
    await_stored(shown)
    page.goto("/search?service=long-runner&from=now-15m")
    hits = page.get_by_role("listbox", name=re.compile("Hits by start and duration"))
    hits.press("Home")
    picture, point = hits.bounding_box(), hits.get_by_role("option").bounding_box()
    assert picture is not None
    assert point is not None
    assert picture["x"] <= point["x"] < picture["x"] + picture["width"]


def _traces(service: str, count: int, *, span: int = 1, age_ns: int = 0) -> ExportTraceServiceRequest:
    """A span of each of so many traces."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(key_values({"service.name": service}))
    spans = resource.scope_spans.add().spans
    end = time.time_ns() - age_ns
    for number in range(count):
        spans.add(
            trace_id=f"{service:.12}".encode().ljust(12) + number.to_bytes(4),
            span_id=span.to_bytes(8),
            parent_span_id=b"" if span == 1 else (1).to_bytes(8),
            name="page",
            start_time_unix_nano=end - MILLISECOND,
            end_time_unix_nano=end,
        )
    return request


def _latecomer(number: int) -> ExportTraceServiceRequest:
    """A span of one trace that has just ended."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(key_values({"service.name": "latecomer"}))
    now = time.time_ns()
    resource.scope_spans.add().spans.add(
        trace_id=b"latecomers trace",
        span_id=number.to_bytes(8),
        parent_span_id=b"" if number == 1 else (1).to_bytes(8),
        name=f"step {number}",
        start_time_unix_nano=now - MILLISECOND,
        end_time_unix_nano=now,
    )
    return request
