"""Sampling strategies for SDKs, as Jaeger's collector serves them: answers and errors are those of its protocol, not ours."""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import web

from collector.api.routing import CALLER, JSON
from collector.control.strategies import Strategies, StrategiesUnknown

STRATEGIES: Final = web.AppKey("strategies", Strategies)
PATHS: Final = ("/sampling", "/api/sampling")
"""Where the query port answers; on an address of its own every path does."""


async def sampling_strategy(request: web.Request) -> web.Response:
    """The strategy for the service that the query names."""
    services = request.query.getall("service", [])
    if len(services) != 1:
        return web.Response(status=400, text="'service' parameter must be provided once\n")
    try:
        strategy = await request.app[STRATEGIES].strategy(request[CALLER].workspace, services[0])
    except StrategiesUnknown as error:
        return web.Response(status=500, text=f"collector error: {error}\n")
    return web.Response(body=orjson.dumps(strategy), content_type=JSON)
