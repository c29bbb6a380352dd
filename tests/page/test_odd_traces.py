"""Traces that are large, hostile or broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.axe import violations
from tests.page.made import made, removed
from tests.page.odd_traces import BROKEN, HOSTILE, LARGE, MARKUP, SENTINEL, broken_trace, hostile_trace, large_trace
from tests.page.shown import await_stored
from tests.support.daemon import Daemon

pytestmark = pytest.mark.soak

SPANS: Final = 100_000
SERVICE: Final = f"{MARKUP} one"
NAMED: Final = quote(SERVICE, safe="")
VIEWS: Final = (
    "/search?from=now-24h&text=constructor",
    f"/search?q={quote(MARKUP)}",
    f"/search?service={NAMED}&operation={quote(MARKUP)}",
    f"/trace/{HOSTILE}?span=0",
    f"/trace/{HOSTILE}?span=1",
    f"/trace/{HOSTILE}?tab=flame",
    f"/trace/{HOSTILE}?tab=spans",
    f"/trace/{HOSTILE}?tab=statistics",
    f"/compare?left={HOSTILE}&right={HOSTILE}",
    "/services",
    f"/services/{NAMED}",
    "/topology?table=open",
    f"/topology?service={NAMED}&table=open&part=service:{NAMED}",
    "/dashboard",
    "/alerts",
    "/alerts?tab=rules",
    "/alerts?tab=channels",
    "/alerts?tab=silences",
    "/load-tests",
    "/requests",
    "/failures",
    "/tracing",
    "/health",
    f"/{quote(MARKUP)}",
    f"/search?ws={quote(MARKUP)}",
    f"/trace/{quote(MARKUP, safe='')}",
)
_REQUEST: Final = {"kind": "http", "method": "GET", "url": "http://127.0.0.1:1/"}
OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "annotations": {"traceId": HOSTILE, "spanId": f"{1:016x}", "text": MARKUP, "colour": "red"},
    "alert-rules": {"name": MARKUP, "condition": {"measure": "absence"}, "enabled": False},
    "silences": {
        "comment": MARKUP, "labels": {"service": MARKUP}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2046-01-01T00:00:00Z",
    },
    "saved-requests": {"name": MARKUP, "request": _REQUEST, "service": MARKUP},
    "load-tests": {"name": MARKUP, "request": _REQUEST, "service": MARKUP, "requests": 1},
    "tracing-configs": {"service": MARKUP},
}  # fmt: skip
"""Below which path → what is said there: everything that people may write."""
INTRUDERS: Final = """document.querySelectorAll(
    "img[src=x], iframe, svg[onload], [onerror], script:not([src]), a[href^='javascript:' i]"
).length"""


@pytest.fixture(scope="module", autouse=True)
def odd(shown: Daemon) -> Iterator[None]:
    """The traces are stored, and so is what somebody has written who wants to do harm."""
    for request in (hostile_trace(), broken_trace(), *large_trace(SPANS)):
        shown.export(request)
    await_stored(shown)
    kept = {path: made(shown, path, document) for path, document in OBJECTS.items()}
    yield
    for path, each in kept.items():
        removed(shown, path, each)


@pytest.fixture
def defenceless(browser: Browser, shown: Daemon) -> Iterator[Page]:
    """A tab that does not heed the Content-Security-Policy, so that nothing but the page itself keeps scripts from running."""
    base_url = f"http://127.0.0.1:{shown.ports.query}"
    context = browser.new_context(base_url=base_url, bypass_csp=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    yield page
    context.close()
    assert dialogs == []


def test_nothing_that_others_have_written_is_executed(defenceless: Page) -> None:
    page = defenceless
    seen = set()
    for view in VIEWS:
        page.goto(view)
        expect(page.get_by_text("Loading")).to_have_count(0)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        if page.get_by_text("<script>").count() or page.get_by_label("<script>").count():
            seen.add(view)
        assert page.evaluate(INTRUDERS) == 0, view
        assert page.evaluate(f"window.{SENTINEL}") is None, view
    # Views that show none of it would prove nothing.
    assert len(seen) > len(VIEWS) // 2, seen


def test_a_span_that_says_all_that_spans_can_bars_nobody(page: Page) -> None:
    page.goto(f"/trace/{HOSTILE}?span={1:016x}")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", name="Links to others")).to_be_visible()
    assert violations(page) == []
    panel.get_by_role("link", name=BROKEN).press("Enter")
    expect(page).to_have_url(re.compile(f"/trace/{BROKEN}"))


def test_what_is_broken_is_told_and_why_it_may_be(page: Page) -> None:
    page.goto(f"/trace/{BROKEN}")
    odd = page.get_by_role("group", name="What is odd about this trace")
    for kind, why in {
        "missing parent": "The parent has not come",
        "cycle": "each other's ancestors",
        "own parent": "names itself as its parent",
        "repeated span id": "Several spans have one id",
        "ends before start": "The end lies before the start",
    }.items():
        odd.get_by_role("button", name=re.compile(f"^{kind}")).click()
        said = page.get_by_role("region", name=kind)
        expect(said).to_contain_text(why)
        expect(said.get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_role("treeitem")).to_have_count(8)
    expect(page.get_by_role("treeitem", name=re.compile("its own parent"))).to_be_visible()
    expect(page.get_by_title("Its parent is not in the trace").first).to_be_visible()


def test_a_hundred_thousand_spans_open_and_are_walked_through_by_keys(page: Page) -> None:
    page.goto(f"/trace/{LARGE}")
    chosen = page.get_by_role("treeitem", selected=True)
    expect(page.get_by_role("treeitem").first).to_be_visible(timeout=60_000)
    page.keyboard.press("j")
    expect(chosen).to_have_attribute("aria-level", "1")
    page.keyboard.press("End")
    expect(chosen).to_have_attribute("data-at", str(SPANS - 1))
    expect(chosen).to_be_in_viewport()
    expect(page).to_have_url(re.compile(r"span=\d+"))
    page.keyboard.press("e")
    expect(chosen).to_have_attribute("aria-label", re.compile("failed"))
    expect(chosen).to_be_in_viewport()
    page.keyboard.press("End")
    expect(chosen).to_have_attribute("data-at", str(SPANS - 1))
    page.keyboard.press("c")
    page.keyboard.press("z")
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.keyboard.press("Shift+Z")
    page.keyboard.press("Home")
    expect(chosen).to_have_attribute("aria-level", "1")
    page.keyboard.press("h")
    expect(page.get_by_role("treeitem")).to_have_count(1)
    page.keyboard.press("l")
    # So many rows are in the document as can be seen, and few more.
    expect(page.get_by_role("treeitem").nth(20)).to_be_visible()
    assert page.get_by_role("treeitem").count() < 100
