"""A browser, and a daemon with real traces whose page it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.page.shown import showing_real_traces
from tests.support.daemon import Daemon

CHROMIUM: Final = shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. It ends with the module: as long as it is there, no other event loop can run here."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that holds all real traces, moved to the last minutes."""
    with showing_real_traces(tmp_path_factory.mktemp("shown")) as daemon:
        yield daemon


@pytest.fixture
def page(browser: Browser, shown: Daemon) -> Iterator[Page]:
    """A tab; whatever the page's scripts throw or the console calls an error fails the test."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{shown.ports.query}", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if _is_fault(message) else None)
    yield page
    context.close()
    assert errors == []


def _is_fault(message: ConsoleMessage) -> bool:
    # Chromium calls every answer with a status of 400 and more an error; what the page makes of them is tested.
    return message.type == "error" and not message.text.startswith("Failed to load resource")
