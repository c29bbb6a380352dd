"""A server that load tests and requests are sent to, which keeps what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Target:
    """A running server.

    Attributes:
        port: of 127.0.0.1.
        requests: path and headers of each request so far.
    """

    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def trace_ids(self, path: str) -> list[str]:
        """Trace ids of requests for a path."""
        return [headers["traceparent"].split("-")[1] for asked, headers in self.requests if asked == path]

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`/status/N` answers N, `/slow/MS` after so many milliseconds, `/json` with JSON, `/chunks` in chunks.

        `/close` closes the connection behind its answer, `/reset` without one. `/redirect/PLACE` leads there, or to `/json`.
        `/graphql` has errors where the query says `fail`.
        """
        self.requests.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        what, _, detail = request.path.strip("/").partition("/")
        match what:
            case "status":
                return web.Response(status=int(detail), text=f"status {detail}")
            case "slow":
                await asyncio.sleep(int(detail) / 1000)
                return web.Response(text="late")
            case "chunks":
                response = web.StreamResponse()
                response.enable_chunked_encoding()
                await response.prepare(request)
                for part in (b"first ", b"second ", b"third"):
                    await response.write(part)
                await response.write_eof()
                return response
            case "close":
                response = web.Response(text="bye")
                response.force_close()
                return response
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "redirect":
                raise web.HTTPFound(detail if "://" in detail else f"/{detail or 'json'}")
            case "graphql":
                asked = await request.json()
                return web.json_response({"errors": [{"message": "no"}]} if "fail" in asked["query"] else {"data": {"ok": True}})
        return web.json_response({"items": [{"id": 7}, {"id": 8}], "ok": True})


@asynccontextmanager
async def serving_target(tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """A target while the context lasts."""
    target = Target()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", target.answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    target.port = runner.addresses[0][1]
    try:
        yield target
    finally:
        await runner.cleanup()
