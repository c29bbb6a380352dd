"""Health, as the page shows it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.daemon import Daemon


def test_the_account_of_each_service_is_shown(page: Page, shown: Daemon) -> None:
    page.goto("/health")
    expect(page.get_by_text("Everything works.")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="default", exact=True))
    cells = row.get_by_role("cell").all_inner_texts()
    assert cells[1] == "all"
    assert cells[2] == cells[4] != "0"
    expect(page.get_by_role("navigation")).to_be_visible()
