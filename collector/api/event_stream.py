"""Answers that are streams of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from collector.api.lasting import lasting
from collector.api.rendering import json_bytes
from exporters.clickhouse.client import ClickHouseError, ClickHouseUnavailable

EVENT_STREAM: Final = "text/event-stream"
Event = tuple[str, dict[str, Any]]
"""What it is called, and what it tells."""


async def answer_events(request: web.Request, events: AsyncIterator[Event | None]) -> web.StreamResponse:
    """An answer that goes on until there are no more events, the client leaves, or the port closes.

    Where the store fails meanwhile, the stream breaks off: the answer has begun, so that no other one can be given, and clients
    of event streams connect anew.

    Args:
        events: what to tell. None tells nothing, and lets those between here and the client see that the connection is alive.
    """
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"})
    await response.prepare(request)
    with lasting(request):
        try:
            async for event in events:
                await response.write(_written(event))
        except (ClickHouseError, ClickHouseUnavailable):
            return response
    await response.write_eof()
    return response


def _written(event: Event | None) -> bytes:
    if event is None:
        return b":\n\n"
    name, document = event
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json_bytes(document))
