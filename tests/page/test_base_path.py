"""The page below a path, as where a proxy in front of the daemon serves several programs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, expect

from collector.api.app import build_application, build_runner

BASE = "/tools/spanhouse"


@pytest.fixture(scope="module")
def below() -> Iterator[str]:
    """The URL of a page without a store, which is served by another thread: a browser keeps this one."""
    loop = asyncio.new_event_loop()
    runner = build_runner(build_application(None, base_path=BASE))

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.name

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield asyncio.run_coroutine_threadsafe(start(), loop).result(10) + BASE
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_views_are_reached_and_shared_below_the_path(tab: Page, below: str) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{below}/health?from=now-1h")
    expect(tab.get_by_role("heading", name="Health")).to_be_visible()
    expect(tab.get_by_role("link", name="Metrics for Prometheus")).to_have_attribute("href", f"{BASE}/metrics")
    tab.get_by_role("link", name="Services").click()
    expect(tab).to_have_url(f"{below}/services?from=now-1h")
    tab.reload()
    expect(tab.get_by_role("link", name="Services")).to_have_attribute("aria-current", "page")
    assert [url for url in asked if not url.startswith(f"{below}/")] == []
    assert any("/api/v1/" in url for url in asked)
