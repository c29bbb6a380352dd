"""Receiver contract, NET-05 to NET-07: TLS on both transports, with the SDK's exporters and with bare connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from collector.receivers.settings import GrpcSettings, HttpSettings
from collector.tls import TlsError, http_server_context
from config.tls import ServerTls
from tests.support.certificates import Authority, Identity
from tests.support.http2 import EXPORT
from tests.support.receivers import V1, Receivers, receivers
from tests.support.waiting import until

HEADERS = {"Content-Type": "application/x-protobuf"}
GRPC, HTTP = "grpc", "http"
TRANSPORTS = pytest.mark.parametrize("transport", [GRPC, HTTP])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def identity(authority: Authority) -> Identity:
    return authority.issue("127.0.0.1", "localhost", file="server")


@pytest.fixture(autouse=True)
def quiet_grpc() -> Iterator[None]:
    """Handshakes that fail on purpose are no news."""
    before = os.environ.get("GRPC_VERBOSITY")
    os.environ["GRPC_VERBOSITY"] = "NONE"
    yield
    if before is None:
        del os.environ["GRPC_VERBOSITY"]


def serving(identity: Identity, **keys: Any) -> Any:
    """Both receivers with this certificate, and further keys of `tls`."""
    tls = ServerTls(**identity.settings, **keys)
    return receivers(grpc=GrpcSettings(tls=tls), http=HttpSettings(tls=tls, linger_s=0.1))


async def send(both: Receivers, transport: str, authority: Authority, client: Identity | None = None) -> None:
    """Send one span on a new connection; raises when that fails."""
    if transport == GRPC:
        pair = (client.key, client.cert) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(authority.cert, *pair)
        # Channels with equal arguments would share one connection.
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.secure_channel(f"127.0.0.1:{both.grpc.port}", credentials, options) as channel:
            await channel.unary_unary(EXPORT)(V1, timeout=10)
    else:
        context = authority.client_context(client)
        async with aiohttp.ClientSession() as session:
            url = f"https://127.0.0.1:{both.http.port}/v1/traces"
            async with session.post(url, data=V1, headers=HEADERS, ssl=context) as response:
                assert response.status == 200


async def is_refused(both: Receivers, transport: str, authority: Authority, client: Identity | None = None) -> bool:
    """Whether the handshake fails."""
    try:
        await send(both, transport, authority, client)
    except (grpc.aio.AioRpcError, aiohttp.ClientError, OSError):
        return True
    return False


@TRANSPORTS
async def test_net_05_spans_arrive_over_tls(authority: Authority, identity: Identity, transport: str) -> None:
    async with serving(identity) as both:
        await send(both, transport, authority)
        assert both.consumer.names == ["n"]


@TRANSPORTS
async def test_net_05_the_sdk_exports_over_tls(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, identity: Identity, transport: str
) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)  # the exporter's library lets them override what it is told
    async with serving(identity) as both:
        exporter: SpanExporter
        if transport == GRPC:
            exporter = GrpcExporter(f"127.0.0.1:{both.grpc.port}", credentials=grpc.ssl_channel_credentials(authority.cert))
        else:
            url = f"https://127.0.0.1:{both.http.port}/v1/traces"
            exporter = HttpExporter(endpoint=url, certificate_file=str(authority.file))

        def export() -> None:
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            with provider.get_tracer("test").start_as_current_span("encrypted"):
                pass
            provider.shutdown()

        await asyncio.to_thread(export)
        assert both.consumer.names == ["encrypted"]


@TRANSPORTS
async def test_net_05_clear_text_and_old_versions_are_refused(authority: Authority, identity: Identity, transport: str) -> None:
    async with serving(identity) as both:
        port = both.grpc.port if transport == GRPC else both.http.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
        writer.close()
        assert both.counts.failed_requests == {"tls_handshake": 1}
        context = authority.client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await send(both, transport, authority)


async def test_net_05_the_oldest_version_can_be_raised(authority: Authority, identity: Identity) -> None:
    strict = receivers(http=HttpSettings(tls=ServerTls(**identity.settings, min_version="1.3"), linger_s=0.1))
    async with strict as both:
        await send(both, HTTP, authority)
        context = authority.client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", both.http.port, ssl=context)


async def test_net_05_handshakes_that_fail_over_http_are_counted(
    tmp_path: Path, authority: Authority, identity: Identity
) -> None:
    stranger = Authority(tmp_path, "strangers").issue("stranger.internal")
    async with serving(identity, client_ca_file=str(authority.file)) as both:
        for client in (None, stranger):
            assert await is_refused(both, HTTP, authority, client)
        assert both.counts.failed_requests == {"tls_handshake": 2}
        # In clear text.
        reader, writer = await asyncio.open_connection("127.0.0.1", both.http.port)
        writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        assert both.counts.failed_requests == {"tls_handshake": 3}
        await send(both, HTTP, authority, authority.issue("shop.internal"))
        assert both.counts.failed_requests == {"tls_handshake": 3}


@pytest.mark.parametrize(("transport", "offered", "chosen"), [(GRPC, ["h2"], "h2"), (HTTP, ["h2", "http/1.1"], "http/1.1")])
async def test_net_06_the_protocol_is_negotiated(
    authority: Authority, identity: Identity, transport: str, offered: list[str], chosen: str
) -> None:
    async with serving(identity) as both:
        context = authority.client_context()
        context.set_alpn_protocols(offered)
        _, writer = await asyncio.open_connection(
            "127.0.0.1", both.grpc.port if transport == GRPC else both.http.port, ssl=context
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        writer.close()


@TRANSPORTS
async def test_net_07_with_a_client_ca_only_its_clients_are_let_in(
    tmp_path: Path, authority: Authority, identity: Identity, transport: str
) -> None:
    good = authority.issue("shop.internal")
    stranger = Authority(tmp_path, "strangers").issue("stranger.internal")
    async with serving(identity, client_ca_file=str(authority.file)) as both:
        assert await is_refused(both, transport, authority)
        assert await is_refused(both, transport, authority, stranger)
        assert both.consumer.spans == 0
        await send(both, transport, authority, good)
        assert both.consumer.spans == 1


@TRANSPORTS
async def test_changed_files_count_for_new_connections_and_old_ones_go_on(
    tmp_path: Path, authority: Authority, identity: Identity, transport: str
) -> None:
    authorities = tmp_path / "clients.pem"
    shutil.copy(authority.file, authorities)
    async with serving(identity, client_ca_file=str(authorities), reload_interval="1us") as both:
        client = authority.issue("shop.internal")
        context = authority.client_context(client)
        url = f"https://127.0.0.1:{both.http.port}/v1/traces"
        credentials = grpc.ssl_channel_credentials(authority.cert, client.key, client.cert)
        async with (
            grpc.aio.secure_channel(f"127.0.0.1:{both.grpc.port}", credentials) as channel,
            aiohttp.ClientSession() as session,
        ):

            async def send_again() -> None:
                if transport == GRPC:
                    await channel.unary_unary(EXPORT)(V1, timeout=10)
                else:
                    async with session.post(url, data=V1, headers=HEADERS, ssl=context) as response:
                        assert response.status == 200

            await send_again()
            successor = Authority(tmp_path, "successor")
            renewed = successor.issue("127.0.0.1", file="renewed")
            shutil.copy(renewed.key_file, identity.key_file)
            # Half of a change: the key is new, the certificate is not.
            await send(both, transport, authority, client)
            shutil.copy(renewed.cert_file, identity.cert_file)
            shutil.copy(successor.file, authorities)
            newcomer = successor.issue("newcomer.internal")
            await until(lambda: _accepted(both, transport, successor, newcomer))
            assert await is_refused(both, transport, authority, client)
            await send_again()


async def _accepted(both: Receivers, transport: str, authority: Authority, client: Identity) -> bool:
    return not await is_refused(both, transport, authority, client)


def test_net_05_files_that_cannot_be_used_are_told_with_their_names(
    tmp_path: Path, authority: Authority, identity: Identity
) -> None:
    other = authority.issue("other.internal")
    text = tmp_path / "text"
    text.write_text("no certificate")
    passphrase = tmp_path / "passphrase.key"
    _encrypt(identity.key_file, passphrase)
    cases = [
        ({"cert_file": "/no/such.pem"}, "tls.cert_file: cannot read /no/such.pem: No such file or directory. Correct the path"),
        ({"key_file": str(tmp_path)}, f"tls.key_file: cannot read {tmp_path}: Is a directory"),
        ({"cert_file": str(text)}, f"tls.cert_file: {text} holds no certificate in PEM form"),
        ({"key_file": str(text)}, f"tls.key_file: {text} holds no private key in PEM form"),
        ({"key_file": str(other.key_file)}, f"tls: the key in {other.key_file} is not that of the certificate"),
        ({"key_file": str(passphrase)}, f"tls.key_file: the key in {passphrase} has a passphrase"),
        ({"client_ca_file": str(text)}, f"tls.client_ca_file: {text} holds no certificates in PEM form"),
    ]
    for keys, words in cases:
        with pytest.raises(TlsError) as caught:
            http_server_context(ServerTls(**{**identity.settings, **keys}), "tls")
        assert str(caught.value).startswith(words)


@TRANSPORTS
async def test_net_05_unusable_files_fail_the_start(identity: Identity, transport: str) -> None:
    tls = ServerTls(**{**identity.settings, "cert_file": "/no/such.pem"})
    settings = {"grpc": GrpcSettings(tls=tls)} if transport == GRPC else {"http": HttpSettings(tls=tls)}
    with pytest.raises(TlsError, match=rf"^receivers\.otlp\.protocols\.{transport}\.tls\.cert_file: cannot read"):
        async with receivers(**settings):  # type: ignore[arg-type]  # each under its own name
            pass


def _encrypt(key_file: Path, encrypted: Path) -> None:
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    protection = serialization.BestAvailableEncryption(b"secret")
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))
