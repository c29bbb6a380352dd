"""Files of spans for Jaeger's page: OTLP in JSON comes in, and traces in the page's own form go back. Nothing is stored."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from collector.api.jaeger.rendering import envelope, trace, written
from collector.api.jaeger.routes import PREFIX
from collector.api.problems import Problem
from collector.api.routing import CALLER, JSON, SETTINGS, TURNS
from collector.api.turns import refusal_of
from collector.fair_turns import Busy
from collector.query.batch_traces import traces_of
from proto.errors import MalformedRequest
from proto.otlp_decode import decode
from proto.otlp_json import json_to_protobuf

PATH: Final = f"{PREFIX}/transform"
_MOST_BYTES: Final = 16 << 20


async def _body(request: web.Request) -> bytes:
    """The whole body, which may be larger than those of other requests. Raises Problem: 413."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem(413, "Body too large", f"a file of at most {_MOST_BYTES >> 20} MiB is taken here")
    return bytes(body)


def _transformed(body: bytes, max_spans: int) -> bytes:
    try:
        decoded = decode(json_to_protobuf(body).protobuf)
    except MalformedRequest as error:
        raise Problem(400, "Invalid body", f"the file must be OTLP in JSON, an object with resourceSpans: {error}") from None
    if len(decoded.batch) > max_spans:
        raise Problem(413, "Too many spans", f"the file has {len(decoded.batch)} spans; at most {max_spans} are taken here")
    errors = [{"code": 400, "msg": f"{count} spans left out: {reason}"} for reason, count in decoded.rejected.items()]
    return written(envelope([trace(spans) for spans in traces_of(decoded.batch)], errors=errors))


async def transform(request: web.Request) -> web.Response:
    """The traces of a file, all of them whole."""
    body = await _body(request)
    try:
        # It asks nothing of the store, but takes about as much of this process as what does.
        async with request.app[TURNS].turn(request[CALLER].workspace):
            answer = await asyncio.to_thread(_transformed, body, request.app[SETTINGS].max_spans)
    except Busy as busy:
        raise refusal_of(busy) from None
    return web.Response(body=answer, content_type=JSON)


ROUTES: Final = (web.post(PATH, transform),)
