"""The two ways in which `spanhouse replay` sends a request, with the retries that OTLP asks of clients."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, Protocol

import aiohttp
import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from yarl import URL

from collector.cli import UserError
from collector.receivers.answers import is_retried
from collector.receivers.otlp_grpc import EXPORT
from collector.replay.target import Target

_CONNECT_TIMEOUT_S: Final = 5.0
_REQUEST_TIMEOUT_S: Final = 60.0
_GIVE_UP_AFTER_S: Final = 60.0
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 15.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


class Failed(Exception):
    """A request that was given up; the message says why."""


class _Again(Exception):
    """A request that may be sent again.

    Attributes:
        delay_s: how long the server asks to wait; None when it does not say.
    """

    def __init__(self, message: str, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class _Transport(Protocol):
    async def send_once(self, body: bytes) -> bytes:
        """Send one request and return the body of the answer. Raises Failed or _Again."""


class Sender:
    """Sends requests until they are answered for good."""

    def __init__(self, transport: _Transport) -> None:
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
                answer = await self._transport.send_once(body)
            except _Again as again:
                delay_s = again.delay_s if again.delay_s is not None else wait_s * random.uniform(0.5, 1.5)  # noqa: S311  # no secret
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                if loop.time() + delay_s > give_up_at_s:
                    raise Failed(f"{again}; given up after {_GIVE_UP_AFTER_S:.0f} s") from again
                await asyncio.sleep(delay_s)
            else:
                return _rejected_spans(answer)


@asynccontextmanager
async def connect(
    protocol: str, endpoint: str | None, headers: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Sender]:
    """A sender over `grpc` or `http` to an endpoint, or to the default port of this machine, with the headers and certificates
    that the standard variables of OTLP exporters name, and these headers, whose names are in lower case.

    Raises:
        UserError: nobody answers there, or a certificate cannot be used.
    """
    if protocol == "grpc":
        async with _grpc_transport(Target.of(endpoint or "localhost:4317", os.environ).adding(headers)) as transport:
            yield Sender(transport)
    else:
        async with _http_transport(Target.of(endpoint or "localhost:4318", os.environ).adding(headers)) as transport:
            yield Sender(transport)


class _Grpc:
    def __init__(self, channel: grpc.aio.Channel, headers: Mapping[str, str]) -> None:
        self._export = channel.unary_unary(EXPORT)
        self._metadata = tuple(headers.items())

    async def send_once(self, body: bytes) -> bytes:
        try:
            answer: bytes = await self._export(body, timeout=_REQUEST_TIMEOUT_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            delay_s = _grpc_delay_s(error)
            code = error.code()
            message = f"{code.name}: {error.details()}"
            if is_retried(code.value[0], has_retry_info=delay_s is not None):
                raise _Again(message, delay_s) from error
            raise Failed(message) from error
        return answer


@asynccontextmanager
async def _grpc_transport(target: Target) -> AsyncIterator[_Grpc]:
    if target.encrypted:
        opened = grpc.aio.secure_channel(target.address, target.grpc_credentials())
    else:
        opened = grpc.aio.insecure_channel(target.address)
    async with opened as channel:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await channel.channel_ready()
        except TimeoutError:
            raise _nobody(target.address, "grpc") from None
        yield _Grpc(channel, target.headers)


class _Http:
    def __init__(self, session: aiohttp.ClientSession, url: str, context: ssl.SSLContext | bool) -> None:
        self._session = session
        self._url = url
        self._context = context

    async def send_once(self, body: bytes) -> bytes:
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False, ssl=self._context) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Again(str(error) or "no answer in time") from error
        if response.status == 200:
            return answer
        message = f"HTTP {response.status}: {_status_message(answer)}"
        if response.status in _RETRIED_STATUSES:
            retry_after = response.headers.get("Retry-After", "")
            raise _Again(message, float(retry_after) if retry_after.isdigit() else None)
        raise Failed(message)


@asynccontextmanager
async def _http_transport(target: Target) -> AsyncIterator[_Http]:
    context = target.ssl_context() if target.encrypted else True
    url = f"{'https' if target.encrypted else 'http'}://{target.address}"
    if url.count("/") == 2:
        url += "/v1/traces"
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S)
    try:
        address = URL(url)
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context if target.encrypted else None)
    except (OSError, TimeoutError, ValueError):
        raise _nobody(target.address, "http") from None
    writer.close()
    headers = {"Content-Type": "application/x-protobuf", **target.headers}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield _Http(session, url, context)


def _nobody(endpoint: str, protocol: str) -> UserError:
    return UserError(
        f"nobody takes OTLP over {protocol} at {endpoint}; start one with `spanhouse run`, or name another with --endpoint"
    )


def _grpc_delay_s(error: grpc.aio.AioRpcError) -> float | None:
    """The delay of RetryInfo in the status that came with the error (receiver contract RETRY-04)."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in _parsed(status_pb2.Status(), value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return float(info.retry_delay.ToMilliseconds()) / 1000
    return None


def _status_message(body: bytes) -> str:
    return str(_parsed(status_pb2.Status(), body).message) or "no reason given"


def _rejected_spans(answer: bytes) -> int:
    return int(_parsed(ExportTraceServiceResponse(), answer).partial_success.rejected_spans)


def _parsed(message: Any, content: bytes) -> Any:
    """The message filled from bytes; as far as they go, since a server in the way may answer anything."""
    try:
        message.ParseFromString(content)
    except DecodeError:
        message.Clear()
    return message
