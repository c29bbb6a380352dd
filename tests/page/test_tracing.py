"""Tracing configs, as the page shows them."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.page.axe import violations
from tests.page.made import WORKSPACE, made, removed
from tests.support.daemon import Daemon


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


def test_many_configs_are_disabled_at_once_and_each_says_who_did_it(page: Page, shown: Daemon) -> None:
    configs = [made(shown, "tracing-configs", {"service": name}) for name in ("many-one", "many-two")]
    page.goto("/tracing?contains=many-")
    chosen = page.get_by_role("group", name="Chosen tracing configs")
    page.get_by_role("checkbox", name="Choose many-two").press("Space")
    chosen.get_by_role("button", name="Disable").press("Enter")
    expect(page.get_by_role("switch", name="many-two is enabled")).not_to_be_checked()
    expect(page.get_by_role("switch", name="many-one is enabled")).to_be_checked()
    chosen.get_by_role("checkbox", name="All").press("Space")
    assert violations(page) == []
    chosen.get_by_role("button", name="Disable").press("Enter")
    expect(page.get_by_text("2 tracing configs are disabled")).to_be_visible()
    expect(page.get_by_role("switch", name="many-one is enabled")).not_to_be_checked()
    page.get_by_role("button", name="History of many-one").press("Enter")
    expect(page.get_by_role("listitem").filter(has_text="Changed to version 2")).to_contain_text("enabled")
    assert violations(page) == []
    _remove(shown, configs)


def test_a_list_of_several_pages_stays_whole_when_others_add_to_it(page: Page, shown: Daemon) -> None:
    names = [f"paged-{number:02}" for number in range(1, 52)]
    configs = [made(shown, "tracing-configs", {"service": name}) for name in names]
    page.goto("/tracing?contains=paged-")
    listed = page.get_by_role("switch", name="paged-")
    expect(listed).to_have_count(50)
    page.get_by_role("button", name="More").press("Enter")
    expect(listed).to_have_count(51)
    # It takes a place of the first page, from where the one that was last there goes to the second.
    configs.append(made(shown, "tracing-configs", {"service": "paged-00"}))
    page.get_by_role("switch", name="paged-51 is enabled").press("Enter")
    expect(listed).to_have_count(52)
    assert listed.evaluate_all("all => all.map((each) => each.ariaLabel.split(' ')[0])") == ["paged-00", *names]
    expect(page.get_by_role("switch", name="paged-51 is enabled")).not_to_be_checked()
    _remove(shown, configs)


def _remove(daemon: Daemon, configs: list[dict[str, Any]]) -> None:
    for config in configs:
        removed(daemon, "tracing-configs", json.loads(daemon.get(f"{WORKSPACE}/tracing-configs/{config['id']}")[1]))
