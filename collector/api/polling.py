"""Answers that a client asks for again and again while spans still arrive: what has not changed is not sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import xxhash
from aiohttp import ETag, web

from collector.memory import collector_paused


async def answer(
    request: web.Request, render: Callable[[], bytes], content_type: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A 200 with what `render` makes and the `ETag` of that; a 304 without it where `If-None-Match` names the same.

    Equal traces give equal bytes, so that the tag changes when, and only when, the answer does.

    Args:
        render: is run on another thread, because large traces take a while, which the event loop has not.
    """
    body, tag = await asyncio.to_thread(_tagged, render)
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=body, content_type=content_type, headers=headers)
    response.etag = ETag(tag)
    return response


def _tagged(render: Callable[[], bytes]) -> tuple[bytes, str]:
    with collector_paused():
        body = render()
    return body, xxhash.xxh3_128_hexdigest(body)
