"""The ClickHouse client over TLS, against a server that speaks it in front of a real ClickHouse."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector.pipeline.registry import clickhouse_client
from collector.tls import TlsError
from config.exporters import ClickHouseExporter
from exporters.clickhouse.client import ClickHouseUnavailable
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def proxy(target: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """Ends TLS in front of `target`."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.BaseRequest) -> web.Response:
            url = target + str(request.rel_url)
            headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
            async with session.request(request.method, url, data=await request.read(), headers=headers) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.startswith("X-ClickHouse")}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        server = web.Server(forward)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
        try:
            yield f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            await server.shutdown(1)
            await listener.wait_closed()


async def answer(url: str, **tls: Any) -> Any:
    exporter = ClickHouseExporter.model_validate({"endpoint": url, "database": "default", "tls": tls})
    async with clickhouse_client("clickhouse/far", exporter) as client:
        return (await client.query("SELECT 1 AS one", timeout_s=10)).columns["one"]


async def test_a_server_is_known_by_its_authority_and_its_name(embedded_clickhouse: Any, authority: Authority) -> None:
    identity = authority.issue("db.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    ours = {"ca_file": str(authority.file)}
    async with proxy(embedded_clickhouse.url, context) as url:
        assert await answer(url, **ours, server_name_override="db.internal") == [1]
        assert await answer(url, insecure_skip_verify=True) == [1]
        for wrong in (ours, {"server_name_override": "db.internal"}, {**ours, "server_name_override": "other.internal"}):
            with pytest.raises(ClickHouseUnavailable, match="its certificate is not accepted"):
                await answer(url, **wrong)
        tls = "exporters.clickhouse/far.tls"
        for keys, told in (
            ({}, f"unable to get local issuer certificate. Name the file with its authority in {tls}.ca_file (now the system's"),
            (ours, f"Use a name in the endpoint that it bears, or give that in {tls}.server_name_override"),
        ):
            with pytest.raises(ClickHouseUnavailable, match=re.escape(told)):
                await answer(url, **keys)
        with pytest.raises(ClickHouseUnavailable, match=r"there is no TLS\. Correct the port"):
            await answer(embedded_clickhouse.url.replace("http:", "https:"))


async def test_the_client_shows_its_own_certificate(embedded_clickhouse: Any, authority: Authority) -> None:
    identity = authority.issue("127.0.0.1", file="db")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_file, identity.key_file)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    async with proxy(embedded_clickhouse.url, context) as url:
        assert await answer(url, ca_file=str(authority.file), **authority.issue("spanhouse.internal").settings) == [1]
        with pytest.raises(ClickHouseUnavailable):
            await answer(url, ca_file=str(authority.file))


async def test_files_that_cannot_be_used_are_told_with_their_names() -> None:
    with pytest.raises(TlsError, match=r"^exporters\.clickhouse/far\.tls\.ca_file: cannot read /no/such\.pem"):
        await answer("https://127.0.0.1:1", ca_file="/no/such.pem")
