"""One request over HTTP, to an address that was checked, and how long each part of it took."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from yarl import URL

from collector.egress.destination import Destination, EgressRefused
from collector.egress.policy import Policy
from collector.egress.resolving import Lookup, resolve
from collector.monitor.load.message import head_of
from collector.monitor.load.response import AnswerReader, MalformedAnswer
from collector.monitor.requests.request import Prepared
from collector.tls import TlsError

MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)


@dataclass(slots=True)
class Timings:
    """How long each part took, in nanoseconds; None where it did not come to that, or was not needed.

    Attributes:
        dns: finding the addresses of the host.
        connect: until the connection stood.
        tls: until encryption was agreed on.
        first_byte: from sending the request until the first byte of the answer.
        total: everything, redirects included; other parts are of the last request.
    """

    dns: int | None = None
    connect: int | None = None
    tls: int | None = None
    first_byte: int | None = None
    total: int = 0


@dataclass(slots=True)
class Exchange:
    """What came of a request.

    Attributes:
        timings: see there.
        address: of the one who answered, with its port.
        status: of HTTP, or of gRPC; 0 without an answer.
        headers: of the answer, names in lower case.
        body: of the answer, the first part of it where it is very long.
        nbytes: how much was read.
        urls: that were asked, in order.
        cause: why there is no answer, in a word; empty where there is one.
        detail: more about that.
    """

    timings: Timings
    address: str = ""
    status: int = 0
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    nbytes: int = 0
    urls: tuple[str, ...] = ()
    cause: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outlet:
    """How requests leave.

    Attributes:
        policy: where they may go.
        lookup: finds addresses.
        tls: makes the context of connections with TLS; raises TlsError.
    """

    policy: Policy
    lookup: Lookup
    tls: Callable[[], ssl.SSLContext]


async def exchange(
    outlet: Outlet, prepared: Prepared, trace_context: Sequence[tuple[str, str]], timeout_s: float, redirects: int
) -> Exchange:
    """Send a request, and follow so many redirects, each to where may be sent.

    Args:
        trace_context: further headers.
        timeout_s: of everything together.

    Raises:
        EgressRefused: it may not be sent there. Redirects to such places are told in the result instead.
        TlsError: the files for TLS cannot be used.
    """
    began = time.monotonic_ns()
    told = Exchange(Timings())
    try:
        async with asyncio.timeout(timeout_s):
            await _follow(outlet, prepared, trace_context, redirects, told)
    except TlsError:
        # Our own files are at fault, of which the other side knows nothing.
        raise
    except TimeoutError:
        told.cause, told.detail = "timeout", f"There was no whole answer within {timeout_s:g} s."
    except ssl.SSLError as error:
        told.cause, told.detail = "tls", str(error)
    except MalformedAnswer as error:
        told.cause, told.detail = "malformed", str(error)
    except _NoAddress as error:
        told.cause, told.detail = "dns", str(error)
    except _Ended as error:
        told.cause, told.detail = "closed", str(error)
    except OSError as error:
        told.cause, told.detail = "connect" if told.timings.connect is None else "reset", str(error) or type(error).__name__
    told.timings.total = time.monotonic_ns() - began
    return told


async def _follow(
    outlet: Outlet, prepared: Prepared, trace_context: Sequence[tuple[str, str]], redirects: int, told: Exchange
) -> None:
    while True:
        told.urls += (str(prepared.url),)
        try:
            await _once(outlet, prepared, trace_context, told)
        except EgressRefused as error:
            if len(told.urls) == 1:
                raise
            told.cause, told.detail = "redirect", error.sentence
            return
        location = next((value for name, value in told.headers if name == "location"), "")
        if told.status not in _REDIRECTS or not location or len(told.urls) > redirects:
            return
        try:
            prepared = _redirected(prepared, told.status, location)
        except ValueError:
            told.cause, told.detail = "redirect", f"{location!r} is no URL."
            return


async def _once(outlet: Outlet, prepared: Prepared, trace_context: Sequence[tuple[str, str]], told: Exchange) -> None:
    loop = asyncio.get_running_loop()
    timings = told.timings = Timings()
    url, destination = prepared.url, Destination.of_url(prepared.url)
    before = time.monotonic_ns()
    try:
        addresses = await resolve(outlet.policy, destination, outlet.lookup)
    except OSError as error:
        raise _NoAddress(f"{destination.host} has no address: {error}") from None
    if destination.address is None:
        timings.dns = time.monotonic_ns() - before
    connection = _Connection(AnswerReader(keeps_body=True, without_body=prepared.method == "HEAD"))
    before = time.monotonic_ns()
    transport = await _connect(connection, [(str(address), destination.port) for address in addresses])
    try:
        timings.connect = time.monotonic_ns() - before
        told.address = str(Destination.of(*transport.get_extra_info("peername")[:2]))
        if url.scheme == "https":
            before = time.monotonic_ns()
            encrypted = await loop.start_tls(transport, connection, outlet.tls(), server_hostname=url.raw_host)
            assert encrypted is not None  # noqa: S101 - only where the connection is closing
            transport = encrypted
            timings.tls = time.monotonic_ns() - before
        headers = (*prepared.headers, *trace_context, ("Connection", "close"))
        head = head_of(prepared.method, url.raw_path_qs, headers, len(prepared.body))
        before = time.monotonic_ns()
        transport.write(head + b"\r\n" + prepared.body)
        try:
            await connection.answered
        finally:
            if connection.first_byte_at:
                timings.first_byte = connection.first_byte_at - before
            reader = connection.reader
            told.status, told.body, told.nbytes = reader.status, bytes(reader.body), reader.nbytes
            told.headers = _headers(reader.head)
    finally:
        transport.abort()


async def _connect(connection: _Connection, addresses: Sequence[tuple[str, int]]) -> asyncio.Transport:
    """A connection to the first of the addresses that takes it. Raises OSError when none does."""
    loop = asyncio.get_running_loop()
    for number, (host, port) in enumerate(addresses, 1):
        try:
            transport, _ = await loop.create_connection(lambda: connection, host, port)
            return transport
        except OSError:
            if number == len(addresses):
                raise
    raise AssertionError("a destination has at least one address")


def _redirected(prepared: Prepared, status: int, location: str) -> Prepared:
    """The request that a redirect asks for. What people have said in headers stays with the one whom they said it to."""
    url = prepared.url.join(URL(location))
    method, body = prepared.method, prepared.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = "HEAD" if method == "HEAD" else "GET", b""
    kept = prepared.headers if url.origin() == prepared.url.origin() else prepared.own_headers
    headers = (("Host", url.host_port_subcomponent or ""), *(header for header in kept if header[0] != "Host"))
    return Prepared(method, url, headers, body, prepared.no_errors, prepared.own_headers)


def _headers(head: bytes) -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return [(name.strip().lower(), value.strip()) for name, _, value in lines]


class _NoAddress(Exception):
    """The host has none."""


class _Ended(Exception):
    """The connection has ended before the answer did."""


class _Connection(asyncio.Protocol):
    """Reads one answer.

    Attributes:
        reader: of the answer.
        answered: done when it is whole; fails with what went wrong.
        first_byte_at: nanoseconds of the monotonic clock; 0 before.
    """

    def __init__(self, reader: AnswerReader) -> None:
        self.reader = reader
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.first_byte_at = 0

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        if not self.first_byte_at:
            self.first_byte_at = time.monotonic_ns()
        try:
            if self.reader.feed(data):
                self.answered.set_result(None)
        except MalformedAnswer as error:
            self.answered.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered.done():
            return
        if exc is not None:
            self.answered.set_exception(exc)
        elif self.reader.end():
            self.answered.set_result(None)
        else:
            self.answered.set_exception(_Ended("The connection has ended before the answer did."))
        # Where nobody waits any more, it was told already what happened.
        self.answered.exception()
