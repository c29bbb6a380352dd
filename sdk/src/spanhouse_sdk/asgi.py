"""A middleware for ASGI: FastAPI, Starlette, Quart and others.

    app.add_middleware(TraceMiddleware)

Answers tell their trace in X-Trace-ID and X-Span-ID, and where failures are let in, requests fail by the failure rules. When the
application ends, spans that wait are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, TypeAlias

from spanhouse_sdk.ending import send_what_is_left
from spanhouse_sdk.failures import Injection
from spanhouse_sdk.serving import Serving
from spanhouse_sdk.xtrace import ASGI_ANSWERS, are_told

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class TraceMiddleware:
    """See the module. Inside of OpenTelemetry's middleware it uses that one's span; without it, it makes spans itself.

    Args:
        app: that works on requests.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work on one connection."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        method, path = scope.get("method", "GET"), scope.get("path", "")
        attributes = {"http.request.method": method, "url.path": path, "url.scheme": scope.get("scheme", "http")}
        serving = Serving(method, partial(_headers, scope), attributes)
        added = [(name.encode(), value.encode()) for name, value in serving.response_headers()]

        async def send_with_ids(message: Message) -> None:
            if message["type"] in ASGI_ANSWERS:
                headers = list(message.get("headers", ()))
                message["headers"] = headers if are_told(headers) else headers + added
                if serving.is_own:
                    serving.routed(getattr(scope.get("route"), "path", None))
                    serving.answered(message.get("status", 101))
            await send(message)

        injection = serving.injection(path)
        with serving:
            if injection is not None and injection.delay:
                await asyncio.sleep(injection.delay / 1e9)
            if injection is not None and injection.ends:
                await _fail(injection, scope, send_with_ids)
            else:
                await self._app(scope, receive, send_with_ids)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the spans that wait when the application ends; uvicorn then ends by a signal, and nothing is done at exit."""
        asked = False

        async def heard() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        async def said(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                send_what_is_left()
            await send(message)

        try:
            await self._app(scope, heard, said)
        except Exception:
            if asked:
                raise
            # The application knows of no lifespan, as Django does not. Servers would not tell anybody of the end.
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await said({"type": "lifespan.shutdown.complete"})


async def _fail(injection: Injection, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        # Before a connection is accepted, this refuses it.
        await send({"type": "websocket.close", "code": 1011, "reason": injection.failure.message[:100]})
        return
    body = injection.failure.message.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": injection.failure.status, "headers": headers})
    # A server closes the connection of an answer whose promised body does not come.
    if injection.failure.type != "reset":
        await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope.get("headers", ()):
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers
