"""ClickHouse's HTTP interface: the addresses, and what all requests share.

The event loop reads requests and writes answers; statements run in threads. Where this differs from a ClickHouse server:
X-ClickHouse-Progress lines are not sent; answers are never compressed with br or snappy; async_insert is accepted and the insert
is synchronous, which is the stronger promise; a SELECT is cancelled when its client leaves, whatever the settings say; inside the
engine a query has an id of its own, so that `system.processes` shows another one than the client chose (KILL QUERY knows both).
All accounts but the owner's only read: they have no SET, USE and external tables, `currentUser()` is `default` for all of them,
of the tables in `system` they have the harmless ones, and limits beyond theirs are brought down when they come as parameters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from exporters.embedded.admission import Admission
from exporters.embedded.engine import Engine
from exporters.embedded.exchange import Exchange
from exporters.embedded.origin import foreign, is_this_machine
from exporters.embedded.refusals import FOREIGN, Refusals
from exporters.embedded.sessions import Sessions

MAX_URL_BYTES: Final = 1 << 20
MAX_HEADER_BYTES: Final = 1 << 17
CONNECTION_OPTIONS: Final[Mapping[str, Any]] = {"auto_decompress": False, "handler_cancellation": True, "read_bufsize": 1 << 20}
"""What aiohttp's server has to be told: bodies stay packed, and a handler is cancelled when its client leaves."""

_NO_HANDLE = """There is no handle {path}

Use / or /ping for health checks.
Or /replicas_status for more sophisticated health checks.

Send queries from your program with POST method or GET /?query=...
"""


class Server:
    """The HTTP face of an engine, which must outlive it.

    Args:
        allowed_hosts: the names by which browsers may call it, besides `localhost`.
        refusals: counts who is turned away.
    """

    def __init__(self, engine: Engine, admission: Admission, allowed_hosts: Collection[str], refusals: Refusals) -> None:
        self._engine = engine
        self._admission = admission
        self._allowed_hosts = frozenset(map(str.lower, allowed_hosts))
        self._sessions = Sessions()
        self._refusals = refusals

    def application(self) -> web.Application:
        """The application, to be served with CONNECTION_OPTIONS."""
        application = web.Application(middlewares=[self._only_from_own_pages])
        application.router.add_get("/ping", self._alive)
        application.router.add_get("/replicas_status", self._alive)
        application.router.add_route("*", "/", self._root)
        application.router.add_route("*", "/{path:.*}", self._unknown)
        application.on_cleanup.append(self._close)
        return application

    async def _close(self, _: web.Application) -> None:
        await self._admission.close()
        self._sessions.close()

    @web.middleware
    async def _only_from_own_pages(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refusal = foreign(request.headers, request.scheme, self._allowed_hosts)
        if refusal:
            self._refusals.count(FOREIGN, request.remote)
            return web.Response(status=403, text=f"{refusal}\n")
        return await handler(request)

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")

    async def _unknown(self, request: web.Request) -> web.Response:
        return web.Response(status=404, text=_NO_HANDLE.format(path=request.path))

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204)
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_POST):
            return web.Response(status=501)
        if request.method == hdrs.METH_GET and not request.query_string:
            return await self._alive(request)
        from_this_machine = is_this_machine(request.remote)
        exchange = Exchange(
            request, self._engine, self._admission, self._sessions, self._refusals, from_this_machine=from_this_machine
        )
        return await exchange.answer()
