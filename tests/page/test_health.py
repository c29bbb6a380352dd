"""Health, as the page shows it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.made import made, removed
from tests.support.daemon import Daemon


def test_the_account_of_each_service_is_shown(page: Page, shown: Daemon) -> None:
    page.goto("/health")
    expect(page.get_by_text("Everything works.")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="default", exact=True))
    cells = row.get_by_role("cell").all_inner_texts()
    assert cells[1] == "all"
    assert cells[2] == cells[4] != "0"
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()


def test_the_running_configuration_is_shown_and_its_file_read_again(page: Page) -> None:
    page.goto("/health?tab=configuration")
    expect(page.get_by_role("group", name="Configuration")).to_contain_text('"red_metrics"')
    page.get_by_role("button", name="Read the file again").click()
    page.get_by_role("dialog").get_by_role("button", name="Read it").click()
    expect(page.get_by_text("Nothing has changed that can be put in force")).to_be_visible()


def test_changes_lead_to_the_history_of_what_was_changed(page: Page, shown: Daemon) -> None:
    later = {"startsAt": "2098-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    silence = made(shown, "silences", {"labels": {"service": "nobody"}, "comment": "tried out", **later})
    page.goto("/health?tab=changes")
    page.get_by_role("row").filter(has_text="silence").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="History of the silence")).to_be_visible()
    expect(page.get_by_text("Made", exact=True)).to_be_visible()
    removed(shown, "silences", silence)


def test_keys_skip_the_head_and_what_is_no_code_in_a_path_is_taken_as_it_stands(page: Page) -> None:
    page.goto("/health?tab=changes")
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Skip to content").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.goto("/trace/%zz")
    expect(page.get_by_role("alert")).to_contain_text("trace_id='%zz'")
    expect(page.get_by_label("Trace id")).to_be_visible()


def test_a_token_that_is_not_taken_is_said_not_to_be(page: Page) -> None:
    page.route("**/api/v1/ledger", lambda route: route.fulfill(status=401, json={"title": "Who is it?", "detail": "Nobody."}))
    page.goto("/health")
    asking = page.get_by_role("dialog", name="Who are you?")
    expect(asking.get_by_role("alert")).to_have_count(0)
    asking.get_by_label("Token").fill("wrong")
    asking.get_by_role("button", name="Go on").press("Enter")
    expect(asking.get_by_role("alert")).to_contain_text("does not take the token")


def test_a_view_that_cannot_be_loaded_says_so(page: Page) -> None:
    page.goto("/search")
    page.route("**/assets/HealthView-*.js", lambda route: route.abort())
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("alert")).to_contain_text("The view could not be loaded")
    page.unroute("**/assets/HealthView-*.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
