"""The flame graph of a trace: by mouse, and by keys alone."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.page.chains import chain
from tests.page.shown import await_stored
from tests.support.daemon import Daemon


def test_what_runs_at_the_same_time_hides_nothing_in_the_flame_graph(page: Page, shown: Daemon) -> None:
    trace = "7a" * 16
    request = chain(trace, {1: "caller", 2: "first", 3: "second"})
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[2].parent_span_id = spans[0].span_id
    shown.export(request)
    await_stored(shown)
    page.goto(f"/trace/{trace}?tab=flame")
    graph = page.get_by_role("tree", name=re.compile("Flame graph"))
    expect(graph).to_be_visible()
    box = graph.bounding_box()
    assert box is not None
    rows = []
    for row in range(3):
        page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20 * row + 10)
        told = page.get_by_role("status").filter(has_text="self")
        expect(told).to_be_visible()
        rows.append(re.split("[:,] ", told.inner_text())[1])
        page.mouse.move(0, 0)
        expect(told).to_have_count(0)
    assert rows == ["caller", "first", "second"]


def test_keys_lead_through_the_flame_graph_and_into_a_span(page: Page, shown: Daemon) -> None:
    trace = "8b" * 16
    request = chain(trace, {1: "caller", 2: "first", 3: "second", 4: "below"})
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[2].parent_span_id = spans[0].span_id
    shown.export(request)
    await_stored(shown)
    page.goto(f"/trace/{trace}")
    page.get_by_role("tab", name="Flame graph").press("Enter")
    graph = page.get_by_role("tree", name=re.compile("Flame graph"))
    marked = graph.get_by_role("treeitem")
    page.keyboard.press("Tab")
    while not graph.evaluate("graph => graph === document.activeElement"):
        page.keyboard.press("Tab")
    for key, name in {"ArrowDown": "caller", "j": "first", "ArrowRight": "second", "End": "below", "k": "second"}.items():
        page.keyboard.press(key)
        expect(marked).to_have_attribute("aria-label", re.compile(f": {name},"))
        assert marked.get_attribute("id") == graph.get_attribute("aria-activedescendant")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"focus={3:016x}"))
    # What is looked into has the whole width.
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()
    inside, around = marked.bounding_box(), graph.bounding_box()
    assert inside is not None
    assert around is not None
    assert inside["width"] == around["width"]
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(f"focus={1:016x}"))
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("focus="))
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").get_by_role("heading", level=2)).to_contain_text("second")
