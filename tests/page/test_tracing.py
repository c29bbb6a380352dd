"""Tracing configs, as the page shows them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.axe import violations


def test_a_config_is_made_by_keyboard_and_holds_for_the_services_that_it_names(page: Page) -> None:
    page.goto("/tracing")
    page.get_by_role("button", name="New tracing config").press("Enter")
    name = page.get_by_role("textbox", name="Service", exact=True)
    name.press_sequentially("shop-*")
    rate = page.get_by_role("spinbutton", name="Sampling rate")
    rate.fill("25")
    name.press("Enter")
    expect(rate).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    rate.fill("0.25")
    page.get_by_role("button", name="Add to Excluded paths").press("Enter")
    page.get_by_role("textbox", name="Excluded paths 1").fill("/healthz")
    name.press("Enter")
    switch = page.get_by_role("switch", name="shop-* is enabled")
    expect(switch).to_be_checked()
    service = page.get_by_role("textbox", name="What holds for the service")
    service.fill("shop-cart")
    service.press("Enter")
    holds = page.get_by_role("region", name="What holds for a service")
    expect(holds).to_contain_text("25.0 % of the traces of shop-cart are kept")
    expect(holds).to_contain_text("the longest glob that matches")
    switch.press("Enter")
    expect(switch).not_to_be_checked()
    page.reload()
    expect(holds).to_contain_text("not traced")
    assert violations(page) == []
    page.get_by_role("button", name="Delete shop-*").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("heading", name="No tracing config yet")).to_be_visible()
