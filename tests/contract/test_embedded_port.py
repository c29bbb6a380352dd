"""The port of the embedded ClickHouse as a listener: encryption, bounds on connections, and the count of those turned away."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector import http_connection
from collector.embedded.process import EmbeddedConfig, EmbeddedServer, EmbeddedStartError
from collector.http_connection import ConnectionLimits, Connections
from collector.tls import own_listener_context
from config.tls import ClientTls, ServerTls
from exporters.embedded.accounts import Account
from exporters.embedded.limits import ServerLimits
from tests.support.certificates import Authority, Identity
from tests.support.waiting import until

_EXPORTER = "exporters.clickhouse"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def serving(path: Path, limits: ServerLimits | None = None, tls: ServerTls | None = None) -> AsyncIterator[EmbeddedServer]:
    config = EmbeddedConfig(
        path / "clickhouse",
        "127.0.0.1:0",
        accounts=(Account(reader=None),),
        tls=tls,
        server=limits or ServerLimits(),
        start_timeout_s=30,
    )
    async with EmbeddedServer(config) as server:
        yield server


async def ask(server: EmbeddedServer, context: ssl.SSLContext) -> str:
    """What it answers on a connection of its own."""
    async with aiohttp.ClientSession() as session, session.post(server.url, data=b"SELECT 'here'", ssl=context) as answer:
        return await answer.text()


async def is_refused(server: EmbeddedServer, context: ssl.SSLContext) -> bool:
    try:
        await ask(server, context)
    except (aiohttp.ClientError, OSError):
        return True
    return False


def replace(identity: Identity, by: Identity) -> None:
    """Put other files in their place, as those who renew certificates do."""
    for old, new in ((identity.key_file, by.key_file), (identity.cert_file, by.cert_file)):
        beside = old.with_suffix(".new")
        shutil.copy(new, beside)
        beside.replace(old)


async def test_it_speaks_tls_and_takes_a_new_certificate_without_dropping_connections(
    tmp_path: Path, authority: Authority
) -> None:
    identity = authority.issue("127.0.0.1", file="server")
    other = Authority(tmp_path, "other")
    tls = ServerTls.model_validate({**identity.settings, "min_version": "1.3", "reload_interval": "1ms"})
    async with serving(tmp_path, tls=tls) as server:
        assert server.url.startswith("https://")
        assert await ask(server, authority.client_context()) == "here\n"
        assert await is_refused(server, authority.client_context(maximum_version=ssl.TLSVersion.TLSv1_2))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client_context(), limit=1)) as session:
            async with session.post(server.url, data=b"SELECT 1") as answer:
                assert await answer.text() == "1\n"
            replace(identity, other.issue("127.0.0.1", file="renewed"))
            assert await ask(server, other.client_context()) == "here\n"
            async with session.post(server.url, data=b"SELECT 2") as answer:
                assert await answer.text() == "2\n"


async def test_who_must_show_a_certificate_is_refused_without_one(tmp_path: Path, authority: Authority) -> None:
    identity = authority.issue("127.0.0.1", file="server")
    own = authority.issue("spanhouse.internal")
    tls = ServerTls.model_validate({**identity.settings, "client_ca_file": str(authority.file)})
    async with serving(tmp_path, tls=tls) as server:
        assert await ask(server, authority.client_context(own)) == "here\n"
        assert await is_refused(server, authority.client_context())
        assert await ask(server, own_listener_context(tls, ClientTls.model_validate(own.settings), _EXPORTER)) == "here\n"


async def test_files_that_cannot_be_used_are_named_at_the_start(tmp_path: Path, authority: Authority) -> None:
    identity = authority.issue("127.0.0.1", file="server")
    other = authority.issue("127.0.0.1", file="other")
    tls = ServerTls(cert_file=str(identity.cert_file), key_file=str(other.key_file))
    with pytest.raises(EmbeddedStartError, match=r"exporters.clickhouse.embedded.tls: the key in .*other.key is not that of"):
        async with serving(tmp_path, tls=tls):
            pass


async def test_the_daemon_knows_the_database_by_its_certificate_alone(tmp_path: Path, authority: Authority) -> None:
    """The name in it, who signed it and others of the same authority do not count, and a change is survived on both sides."""
    identity = authority.issue("spans.example.com", file="server")
    tls = ServerTls(**identity.settings)
    context = own_listener_context(tls, ClientTls(), _EXPORTER)

    async def is_known(shown: Identity) -> bool:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(shown.cert_file, shown.key_file)
        runner = web.ServerRunner(web.Server(_here))
        await runner.setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served)).start()
        assert site._server is not None
        port = runner.addresses[0][1]
        try:
            async with aiohttp.ClientSession() as session, session.get(f"https://127.0.0.1:{port}", ssl=context) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
        finally:
            await runner.cleanup()

    assert await is_known(identity)
    assert not await is_known(authority.issue("spans.example.com", file="impostor"))
    before = Identity(tmp_path / "before.pem", tmp_path / "before.key")
    shutil.copy(identity.cert_file, before.cert_file)
    shutil.copy(identity.key_file, before.key_file)
    replace(identity, authority.issue("spans.example.com", file="renewed"))
    assert await is_known(identity)
    assert await is_known(before)
    identity.cert_file.write_text("no certificate")
    assert await is_known(before)


async def _here(_: web.BaseRequest) -> web.Response:
    return web.Response()


async def test_connections_are_bounded_and_heads_come_soon_and_all_refusals_are_counted(tmp_path: Path) -> None:
    limits = ServerLimits(max_connections=3, kept_for_this_machine=1, head_timeout_s=0.2)
    async with serving(tmp_path, limits) as server, asyncio.timeout(30):
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b""
        writer.close()
        sent_and_answered = (
            (b"POST / HTTP/1.1\r\nX-Slow:", b""),
            (b"what?\r\n\r\n", b"HTTP/1.0 400"),
            (b"GET /?query=SELECT+1&user=x HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 403"),
        )
        for (reader, writer), (sent, answered) in zip(kept, sent_and_answered, strict=True):
            writer.write(sent)
            assert await reader.read(12) == answered
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /?query=SELECT+1 HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (1 << 18) + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 431")
        writer.close()
        expected = {"unavailable": 1, "slow_head": 1, "malformed": 1, "unauthenticated": 1, "foreign": 1, "header_too_large": 1}
        await until(lambda: server.refused == expected)


async def test_peers_from_elsewhere_leave_connections_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "is_loopback", lambda host: host == "127.0.0.1")
    refused: list[str] = []

    def refuse(error: Exception) -> web.Response:
        refused.append(str(error))
        return web.Response(status=503)

    server = Connections(_here, ConnectionLimits(max_connections=3, kept_for_this_machine=2), refuse)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    async def answers(source: str) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        opened.append(writer)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return (await reader.readline()).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False

    opened: list[Any] = []
    try:
        async with asyncio.timeout(10):
            assert await answers("127.0.0.2")
            assert not await answers("127.0.0.2")
            assert await answers("127.0.0.1")
            assert await answers("127.0.0.1")
            assert not await answers("127.0.0.1")
        assert refused == ["more than 1 connections are open", "more than 3 connections are open"]
    finally:
        for writer in opened:
            writer.close()
        listener.close()
        await server.shutdown(1)
        await listener.wait_closed()
