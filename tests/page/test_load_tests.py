"""Load tests, as the page shows them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.made import made
from tests.page.target import answering
from tests.support.daemon import Daemon

pytestmark = pytest.mark.soak


def test_a_load_test_is_made_and_run_by_keyboard_and_two_runs_are_compared(page: Page) -> None:
    with answering() as url:
        page.goto("/load-tests")
        page.get_by_role("button", name="New load test").press("Enter")
        name = page.get_by_role("textbox", name="Name")
        name.press_sequentially("Checkout")
        page.get_by_role("textbox", name="Url").fill(f"{url}/bad")
        page.get_by_role("spinbutton", name="Requests").fill("40")
        name.press("Enter")
        for _ in range(2):
            page.get_by_role("button", name="Run Checkout").press("Enter")
            page.get_by_role("dialog").get_by_role("button", name="Run").press("Enter")
            expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible(timeout=20_000)
            expect(page.get_by_role("listitem").filter(has_text="status 503").first).to_contain_text("40")
            expect(page.get_by_role("table", name="Times").get_by_role("row")).to_have_count(3)
            page.get_by_role("link", name="Tests", exact=True).press("Enter")
    page.get_by_role("link", name="Runs", exact=True).press("Enter")
    page.get_by_role("table", name="Runs").get_by_role("link", name="Checkout").first.press("Enter")
    expect(page.get_by_role("heading", name="Failed requests")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("combobox", name="Compare with").select_option(index=1)
    row = page.get_by_role("table", name="How the runs differ").get_by_role("row").filter(has_text="Error share")
    expect(row).to_contain_text("100.0 %")
    assert violations(page) == []


def test_a_run_shows_its_progress_and_is_cancelled(page: Page, shown: Daemon) -> None:
    with answering() as url:
        test = made(shown, "load-tests", {"name": "Long", "request": {"kind": "http", "url": url}, "rate": 20, "duration": "5m"})
        run = made(shown, f"load-tests/{test['id']}/runs", {})
        page.goto(f"/load-tests?tab=runs&run={run['id']}")
        expect(page.get_by_text("in flight")).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Cancel the run").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="End it").press("Enter")
        expect(page.get_by_role("status").filter(has_text="cancelled")).to_be_visible(timeout=15_000)
