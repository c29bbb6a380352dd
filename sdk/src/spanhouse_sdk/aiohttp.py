"""For servers of aiohttp, what the middlewares for ASGI and WSGI do for others: `trace_requests(app)`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiohttp import web

from spanhouse_sdk.failures import Injection
from spanhouse_sdk.serving import Serving

_SERVING: Final = web.RequestKey("spanhouse_sdk.serving", Serving)


def trace_requests(app: web.Application) -> None:
    """Let an application's answers tell their trace, and its requests fail by the failure rules.

    Inside of OpenTelemetry's instrumentation it uses that one's spans; without it, it makes spans itself. Middlewares that are to
    be inside of them as well are added afterwards.
    """
    app.middlewares.append(_serve)
    # The only way into the headers of answers that handlers send by themselves.
    app.on_response_prepare.append(_tell_ids)


@web.middleware
async def _serve(request: web.Request, handler: Any) -> web.StreamResponse:
    attributes = {"http.request.method": request.method, "url.path": request.path, "url.scheme": request.scheme}
    name, resource = request.method, request.match_info.route.resource
    if resource is not None:
        attributes["http.route"] = resource.canonical
        name = f"{name} {resource.canonical}"
    serving = request[_SERVING] = Serving(name, partial(_headers, request), attributes)
    injection = serving.injection(request.path)
    with serving:
        if injection is not None and injection.delay:
            await asyncio.sleep(injection.delay / 1e9)
        try:
            response = _failure(injection, request) if injection is not None and injection.ends else await handler(request)
        except web.HTTPException as answer:
            # It is no failure of the request.
            raised = answer
            serving.answered(answer.status)
        else:
            serving.answered(response.status)
            return response
    raise raised


async def _tell_ids(request: web.Request, response: web.StreamResponse) -> None:
    # Requests that could not be read have never come to the middleware.
    serving = request.get(_SERVING)
    for name, value in serving.response_headers() if serving else ():
        response.headers.setdefault(name, value)


def _failure(injection: Injection, request: web.Request) -> web.Response:
    if injection.failure.type == "reset" and request.transport is not None:
        request.transport.abort()
    return web.Response(text=injection.failure.message, status=injection.failure.status)


def _headers(request: web.Request) -> dict[str, list[str]]:
    return {name.lower(): request.headers.getall(name) for name in request.headers}
