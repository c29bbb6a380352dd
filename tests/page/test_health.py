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


def test_a_view_that_cannot_be_loaded_says_so(page: Page) -> None:
    page.goto("/search")
    page.route("**/assets/HealthView-*.js", lambda route: route.abort())
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("alert")).to_contain_text("The view could not be loaded")
    page.unroute("**/assets/HealthView-*.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
