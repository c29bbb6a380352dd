"""Saved requests, as the page shows them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.target import answering


def test_a_request_is_saved_and_sent_by_keyboard_and_says_what_was_not_as_expected(page: Page) -> None:
    with answering() as url:
        page.goto("/requests")
        page.get_by_role("button", name="New saved request").press("Enter")
        name = page.get_by_role("textbox", name="Name")
        name.press_sequentially("Pay")
        page.get_by_role("textbox", name="Url").fill(url)
        page.get_by_role("button", name="Add to Json values").press("Enter")
        page.get_by_role("textbox", name="Path").fill("$.state")
        page.get_by_role("textbox", name="Equals").fill('"open"')
        assert violations(page) == []
        name.press("Enter")
        page.get_by_role("button", name="Send Pay").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Send").press("Enter")
        expect(page.get_by_role("status").filter(has_text="failure")).to_be_visible()
        expect(page.get_by_text('{"state": "paid"}')).to_be_visible()
        expect(page.get_by_role("table", name="How long each part took")).to_contain_text("All of it")
        assert violations(page) == []
    page.get_by_role("link", name="← All").press("Enter")
    expect(page.get_by_role("table", name="Executions").get_by_role("row").filter(has_text="Pay")).to_contain_text("failure")
