"""How `spanhouse replay` sends requests: as the exporters to other collectors do, with the retries that OTLP asks of clients."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from yarl import URL

from collector.cli import UserError
from collector.replay.target import Target
from exporters.base import ExportError, Outlook
from exporters.otlp.grpc_transport import GrpcSettings, GrpcTransport
from exporters.otlp.http_transport import HttpSettings, HttpTransport
from exporters.otlp.transport import Transport

_CONNECT_TIMEOUT_S: Final = 5.0
_REQUEST_TIMEOUT_S: Final = 60.0
_GIVE_UP_AFTER_S: Final = 60.0
_GREETING_TIMEOUT_S: Final = 1.0
_SPEECH: Final = {"grpc": "gRPC", "http": "HTTP/1.1"}
_SETTINGS: Final = 4
_FRAME_TYPE_AT: Final = 3
_FRAME_HEAD_BYTES: Final = 9
_UPGRADE_REQUIRED: Final = b"426"
"""The status, which stands behind so many bytes of `HTTP/1.1 `, of servers that speak HTTP/2 alone and say so in HTTP/1.1."""
# HTTP/2, in which gRPC is spoken, begins with this and a frame of settings, which may be empty (RFC 9113, section 3.4).
_GREETINGS: Final = {
    "grpc": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)),
    # A request without spans: one that is refused would be told of in the log over there.
    "http": b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n",
}
_OF_ANOTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 15.0


class Failed(Exception):
    """A request that was given up; the message says why."""


class Sender:
    """Sends requests until they are answered for good."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, body: bytes) -> int:
        """Send one ExportTraceServiceRequest, again and again where the server asks for it.

        Returns:
            How many of its spans the server rejected.

        Raises:
            Failed: the server does not want it, or did not take it for a minute.
        """
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + _GIVE_UP_AFTER_S
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                partly = await self._transport.send(body, {}, _REQUEST_TIMEOUT_S)
            except ExportError as error:
                if error.outlook is not Outlook.LATER:
                    raise Failed(str(error)) from error
                delay_s = error.delay_s or wait_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                if loop.time() + delay_s > give_up_at_s:
                    raise Failed(f"{error}; given up after {_GIVE_UP_AFTER_S:.0f} s") from error
                await asyncio.sleep(delay_s)
            else:
                return partly.refused if partly is not None else 0


@asynccontextmanager
async def connect(
    protocol: str, endpoint: str | None, headers: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Sender]:
    """A sender over `grpc` or `http` to an endpoint, or to the default port of this machine, with the headers and certificates
    that the standard variables of OTLP exporters name, and these headers, whose names are in lower case.

    Raises:
        UserError: as of `knock`, or it is a socket in the file system and the protocol is `http`.
    """
    default, other = ("localhost:4317", "http") if protocol == "grpc" else ("localhost:4318", "grpc")
    target = Target.of(endpoint or default, os.environ).adding(headers)
    if target.socket_path and protocol == "http":
        raise UserError(f"{target.address} is a socket, sent to over gRPC only; give --protocol grpc, and that one")
    await knock(target, protocol, otherwise=f"give --protocol {other}, or the port of the other")
    with ThreadPoolExecutor(1) as executor:
        transport = _grpc(target, executor) if protocol == "grpc" else _http(target)
        try:
            yield Sender(transport)
        finally:
            await transport.close()


def _grpc(target: Target, executor: ThreadPoolExecutor) -> Transport:
    credentials = target.grpc_credentials() if target.encrypted else None
    asked = None if credentials is None else lambda: credentials
    return GrpcTransport(GrpcSettings(target.address, asked, target.headers, gzip=False), executor)


def _http(target: Target) -> Transport:
    tls = target.ssl_context() if target.encrypted else None
    return HttpTransport(HttpSettings(_url(target), tls, target.headers, compression="none"))


def _url(target: Target) -> str:
    url = f"{'https' if target.encrypted else 'http'}://{target.address}"
    return url if url.count("/") > 2 else f"{url}/v1/traces"


async def knock(target: Target, protocol: str, *, otherwise: str = "give the port of the other") -> None:
    """Make sure that somebody is there, since nobody wants to wait a minute to hear of a mistake in the endpoint.

    Args:
        otherwise: what to do where the other protocol is spoken.

    Raises:
        UserError: nobody answers there, or in the other protocol alone, or a certificate cannot be used.
    """
    context = target.ssl_context() if target.encrypted else None
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            reader, writer = await _opened(target, context)
    except ssl.SSLCertVerificationError as error:
        remedy = "name the file with its authority in OTEL_EXPORTER_OTLP_CERTIFICATE"
        if error.verify_code in _OF_ANOTHER_NAME:
            remedy = "give the endpoint a name that the certificate has"
        why = error.verify_message.rstrip(".")
        raise UserError(f"the certificate of {target.address} is not accepted: {why}; {remedy}") from None
    except ssl.SSLError:
        remedy = "correct the port, or begin the endpoint with http:// to send unencrypted"
        raise UserError(f"{target.address} does not speak TLS; {remedy}") from None
    except (OSError, TimeoutError, ValueError):
        remedy = "start one with `spanhouse run`, or name another with --endpoint"
        raise UserError(f"nobody takes OTLP over {protocol} at {target.address}; {remedy}") from None
    try:
        # Behind TLS, peers choose their protocol by what clients offer in the handshake.
        spoken = "" if target.encrypted else await _spoken(reader, writer, protocol)
    finally:
        writer.close()
    if spoken and spoken != protocol:
        raise UserError(f"{target.address} takes {_SPEECH[spoken]}, not {_SPEECH[protocol]}; {otherwise}")


async def _opened(target: Target, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if target.socket_path:
        return await asyncio.open_unix_connection(target.socket_path)
    address = URL(_url(target))
    return await asyncio.open_connection(address.host, address.port, ssl=context)


async def _spoken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str) -> str:
    """Which protocol a server answers in when it is greeted in one of them; empty if it does not say."""
    try:
        async with asyncio.timeout(_GREETING_TIMEOUT_S):
            writer.write(_GREETINGS[protocol])
            head = await reader.readexactly(_FRAME_HEAD_BYTES)
            if head.startswith(b"HTTP/"):
                return "grpc" if await reader.readexactly(len(_UPGRADE_REQUIRED)) == _UPGRADE_REQUIRED else "http"
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return ""
    return "grpc" if head[_FRAME_TYPE_AT] == _SETTINGS else ""
