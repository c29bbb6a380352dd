"""A browser, and a daemon with real traces whose page it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from collector.replay.files import requests_of
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.traces import all_traces, read_trace

_LARGE: Final = ("otel-demo", "next-build")
"""Beginnings of the names of files that would take long and show nothing that others do not."""
CHROMIUM: Final = shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that holds all real traces, moved to the last minutes."""
    directory = tmp_path_factory.mktemp("shown")
    files = [directory / f"{trace.name}.pb" for trace in all_traces() if not trace.name.startswith(_LARGE)]
    for file in files:
        file.write_bytes(read_trace(file.stem).body)
    with daemon_in(directory) as daemon:
        daemon.configure(processors={"red_metrics": None, "topology": None})
        _extend(daemon, "alerting", "load_tests")
        daemon.start()
        daemon.await_ready()
        for request in requests_of(files, move_to_now=True):
            daemon.export(request.body)
        eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "spans that are all stored", 60.0)
        yield daemon
        assert daemon.stop() == 0, daemon.log


def _extend(daemon: Daemon, *extensions: str) -> None:
    document = yaml.safe_load(daemon.file.read_text())
    document["extensions"].update(dict.fromkeys(extensions))
    document["service"]["extensions"] += extensions
    daemon.file.write_text(yaml.safe_dump(document, sort_keys=False))


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
