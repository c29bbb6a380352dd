"""HTTP connections: what aiohttp's have not got, namely a time limit for request heads, a bound on their number, and an age."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from collector.errors import Refused
from config.values import is_loopback
from proto.errors import MalformedRequest

SERVER: Final = {"Server": "spanhouse"}

# aiohttp takes 0 for "no limit" in some places and for "at once" in others.
_FOREVER_S: Final = 10.0 * 365 * 86400
_HTTP_2: Final = b"PRI * HTTP/2"
_TLS_RECORD: Final = b"\x16\x03"
"""How connections of other protocols begin: the preface of HTTP/2 (RFC 9113, 3.4), and a handshake of TLS (RFC 8446, 5.1)."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may do with connections.

    Attributes:
        max_header_bytes: longest header, and longest request line.
        max_url_bytes: longest request line, where it may be longer than a header; None: it may not.
        header_timeout_s: longest wait for a request's head; None: any.
        idle_timeout_s: longest wait for the next request; None: any.
        linger_s: how long to read on after refusing an unread body, so that the client sees the answer instead of a broken
            connection.
        max_connections: open sockets; further ones are closed at once.
        kept_for_this_machine: of these, how many only peers on this machine may open.
        max_connection_age_s: older connections should not be used again; None lets them live.
    """

    max_header_bytes: int = 16384
    max_url_bytes: int | None = None
    header_timeout_s: float | None = 10.0
    idle_timeout_s: float | None = 120.0
    linger_s: float = 10.0
    max_connections: int = 4096
    kept_for_this_machine: int = 0
    max_connection_age_s: float | None = None


Handler = Callable[[Any], Awaitable[web.StreamResponse]]
Refusal = Callable[[Exception], web.Response]
"""Counts and logs why a connection or a request head was refused, and gives the answer."""


class Connections(web.Server):
    """Makes a limited connection for each socket.

    Args:
        handler: answers requests.
        limits: of the connections.
        refuse: answers what is no request.
        options: further ones of aiohttp's `Server` and of its connections.
    """

    def __init__(self, handler: Handler, limits: ConnectionLimits, refuse: Refusal, **options: Any) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connection = cast("HttpConnection", request.protocol)
            connection.request_begins()
            try:
                return await handler(request)
            finally:
                connection.request_ends()

        super().__init__(
            handle,
            access_log=None,
            keepalive_timeout=_FOREVER_S if limits.idle_timeout_s is None else limits.idle_timeout_s,
            lingering_time=limits.linger_s,
            max_line_size=limits.max_url_bytes or limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
            **options,
        )
        self._limits = limits
        self._refuse = refuse

    def __call__(self) -> HttpConnection:
        return HttpConnection(self, self._limits, self._refuse, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application over limited connections. Arguments as those of `Connections`.

    Args:
        shutdown_timeout_s: how long requests may go on when it is cleaned up.
        base_path: what is taken off the paths of requests that begin so, before the application sees them.
    """

    def __init__(
        self,
        application: web.Application,
        limits: ConnectionLimits,
        refuse: Refusal,
        *,
        shutdown_timeout_s: float = 60.0,
        base_path: str = "",
        **options: Any,
    ) -> None:
        super().__init__(application, shutdown_timeout=shutdown_timeout_s)
        self._base_path = base_path
        self._limits = limits
        self._refuse = refuse
        self._options = options

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        base_path, make = self._base_path, server.request_factory

        def without_base_path(message: RawRequestMessage, *arguments: Any) -> web.BaseRequest:
            path = message.url.raw_path
            if path == base_path or path.startswith(f"{base_path}/"):
                url = message.url.with_path(path.removeprefix(base_path) or "/", encoded=True, keep_query=True)
                message = message._replace(path=str(url), url=url)
            return make(message, *arguments)

        factory = without_base_path if base_path else make
        return Connections(server.request_handler, self._limits, self._refuse, request_factory=factory, **self._options)


class HttpConnection(RequestHandler):
    """Closes itself when a request's head takes too long (receiver contract NET-13) or too many others are open."""

    __slots__ = ("_head_timer", "_in_request", "_limits", "_opened_at_s", "_opening", "_refuse")

    def __init__(self, manager: web.Server, limits: ConnectionLimits, refuse: Refusal, **options: Any) -> None:
        super().__init__(manager, **options)
        self._limits = limits
        self._refuse = refuse
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_request = False
        self._opened_at_s = 0.0
        self._opening = b""

    @property
    def is_old(self) -> bool:
        """Whether the client should open a new connection after this answer (NET-11)."""
        age_s = self._limits.max_connection_age_s
        return age_s is not None and self._loop.time() - self._opened_at_s >= age_s

    def request_begins(self) -> None:
        self._in_request = True
        self._stop_head_timer()

    def request_ends(self) -> None:
        self._in_request = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opened_at_s = self._loop.time()
        room = self._limits.max_connections
        if self._limits.kept_for_this_machine and not _is_from_this_machine(transport):
            room -= self._limits.kept_for_this_machine
        manager = self._manager
        if manager is not None and len(manager.connections) > room:
            self._refuse(Refused(f"more than {room} connections are open", "unavailable"))
            self.force_close()

    def data_received(self, data: bytes) -> None:
        self._opening = self._opening or data[: len(_HTTP_2)]
        timeout_s = self._limits.header_timeout_s
        if timeout_s is not None and not self._in_request and self._head_timer is None:
            self._head_timer = self._loop.call_later(timeout_s, self._head_is_late)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        task = self._task_handler
        super().connection_lost(exc)
        if task is not None and not self._in_request:
            # It may be reading the rest of a refused body, and aiohttp does not tell it that nothing will come.
            task.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not a request at all, such as one with an endless header (LIMIT-10)."""
        error: Exception
        if isinstance(exc, LineTooLong):
            error = Refused(f"a header or the URL is longer than {exc.args[1]} bytes", "header_too_large")
        elif status < 500:
            error = MalformedRequest(_what_came(self._opening), "request head")
        else:
            error = exc if isinstance(exc, Exception) else RuntimeError(message)
        response = self._refuse(error)
        response.force_close()
        return response

    def _head_is_late(self) -> None:
        self._refuse(Refused(f"the head of a request took longer than {self._limits.header_timeout_s:g} s", "slow_head"))
        self.force_close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _what_came(opening: bytes) -> str:
    """What a connection brought that is no request, by its first bytes; the usual mistakes with their remedy."""
    if opening.startswith(_HTTP_2):
        return "not a valid HTTP request: this is HTTP/2, as gRPC speaks it, which has a port of its own"
    if opening.startswith(_TLS_RECORD):
        return "not a valid HTTP request: this is TLS, and the port is in clear text; ask for http://, or configure tls"
    return "not a valid HTTP request"


def _is_from_this_machine(transport: asyncio.BaseTransport) -> bool:
    peer = transport.get_extra_info("peername")
    return isinstance(peer, tuple) and is_loopback(peer[0])
