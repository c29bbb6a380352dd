"""Failures on purpose, as the page shows them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.axe import violations


def test_a_rule_is_made_by_keyboard_and_one_switch_ends_all(page: Page) -> None:
    page.goto("/failures")
    page.get_by_role("button", name="New failure rule").press("Enter")
    name = page.get_by_role("textbox", name="Name")
    name.press_sequentially("Cart is slow")
    page.get_by_role("textbox", name="Service", exact=True).fill("cart*")
    page.get_by_role("radio", name="Latency").press(" ")
    name.press("Enter")
    mean = page.get_by_role("textbox", name="Mean")
    expect(mean).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    mean.fill("300ms")
    name.press("Enter")
    expect(page.get_by_role("switch", name="Cart is slow is enabled")).to_be_checked()
    service = page.get_by_role("textbox", name="What holds now for the service")
    service.fill("cart-2")
    service.press("Enter")
    holds = page.get_by_role("region", name="What holds now")
    expect(holds).to_contain_text("Cart is slow: Latency")
    page.get_by_role("button", name="End all failures now").press("Enter")
    switch = page.get_by_role("region", name="The switch")
    expect(switch.get_by_role("status")).to_have_text("Nothing fails on purpose")
    expect(holds).to_contain_text("Nothing fails on purpose for cart-2 now.", timeout=10_000)
    assert violations(page) == []
    page.get_by_role("button", name="Let rules count again").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Let them happen").press("Enter")
    expect(switch.get_by_role("status")).to_have_text("Failure rules count")
    page.get_by_role("button", name="Delete Cart is slow").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("heading", name="No failure rule yet")).to_be_visible()
