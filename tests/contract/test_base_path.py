"""The query port behind a proxy, below a path: the proxy may pass that on, or take it off."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from collector.api.app import build_application, build_runner
from collector.api.routing import BASE_PATH, made_at
from exporters.clickhouse.client import ClickHouseClient

BASE = "/tools/spanhouse"


@pytest.fixture(params=["", BASE], ids=["taken-off", "passed-on"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[SimpleNamespace]:
    """A port below a path, its store being away, and what a proxy leaves of the path."""
    async with ClickHouseClient(["http://127.0.0.1:1"]) as client, aiohttp.ClientSession() as session:
        runner = build_runner(build_application(client, base_path=BASE))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield SimpleNamespace(session=session, host=site.name, left=request.param)
        await runner.cleanup()


async def answer(port: SimpleNamespace, path: str, left: str | None = None) -> tuple[int, str]:
    """Status and body of what is answered to those who ask for a path below that of the port."""
    url = f"{port.host}{port.left if left is None else left}{path}"
    async with port.session.get(url, allow_redirects=False) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("path", ["/", "/search", "/trace/0123?ws=a%2Fb"])
async def test_the_page_asks_for_its_files_below_the_path(port: SimpleNamespace, path: str) -> None:
    status, document = await answer(port, path)
    assert status == 200
    assert f'<meta name="base-path" content="{BASE}/" />' in document
    named = re.findall(r'(?:src|href)="([^"]*)"', document)
    assert len(named) >= 3
    for file in named:
        assert file.startswith(f"{BASE}/"), document
        assert (await answer(port, file.removeprefix(BASE)))[0] == 200


async def test_apis_in_all_dialects_are_below_the_path(port: SimpleNamespace) -> None:
    assert await answer(port, "/api/v1/ledger") == await answer(port, "/api/v1/ledger", "")
    status, document = await answer(port, "/openapi.json")
    assert status == 200
    assert f'"servers":[{{"url":"{BASE}"}}]' in document
    assert "<a href='openapi.json'>" in (await answer(port, "/docs"))[1]
    for path in (
        "/api/v1/traces/0af7651916cd43dd8448eb211c80319c",
        "/jaeger/api/services",
        "/tempo/api/search/tags",
        "/zipkin/api/v2/services",
        "/prometheus/api/v1/labels",
    ):
        # The store is away; of what is not there, the answer were 404.
        assert (await answer(port, path))[0] == 503, path


async def test_another_path_that_begins_alike_is_another(port: SimpleNamespace) -> None:
    assert (await answer(port, "", BASE))[0] == 200
    assert (await answer(port, "/api/v1/ledger", f"{BASE}s"))[0] == 404
    assert (await answer(port, "/api/v1/ledger", BASE + BASE))[0] == 404


def test_what_is_made_is_found_below_the_path() -> None:
    application = web.Application()
    application[BASE_PATH] = BASE
    request = make_mocked_request("POST", "/api/v1/things", app=application)
    assert made_at(request, "/api/v1/things/7") == {"Location": f"{BASE}/api/v1/things/7"}
