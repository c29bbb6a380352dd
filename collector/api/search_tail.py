"""/api/v1/traces/events: a search that is followed, for as long as its client stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from aiohttp import web

from collector.api import params, schemas
from collector.api.event_stream import EVENT_STREAM, Event, answer_events
from collector.api.lasting import EVENTS
from collector.api.routing import CALLER, NOW, STORE, TURNS, Route
from collector.api.search import MATCHED_SPANS, SPAN_FILTERS, TRACE_FILTERS, hit_as_json, search_of
from collector.api.turns import refusal_of
from collector.fair_turns import Busy
from collector.query.conditions import TraceSearch
from collector.query.search import Page, find_traces

WINDOW_S: Final = 60
"""Spans that start so late before now are looked at: they come once they have ended, and then not at once."""
_PAUSE_S: Final = 1.0

LIMIT: Final = params.limit(100, 500, "traces")
PARAMETERS: Final = (
    *(each for each in (*SPAN_FILTERS, *TRACE_FILTERS) if each not in (params.START, params.END)),
    MATCHED_SPANS,
    LIMIT,
)


async def follow_search(request: web.Request) -> web.StreamResponse:
    """Traces that fit, as they come: an event `traces` with those of the last minute, then with those that are new or have
    changed, about once a second."""
    search = replace(search_of(request.query, request[CALLER].workspace, request.app[NOW]()), limit=LIMIT.read(request.query))
    # Before the answer begins, so that what is wrong with the question is told as such.
    try:
        first = await _look(request, search)
    except Busy as busy:
        raise refusal_of(busy) from None
    return await answer_events(request, _events(request, search, first))


async def _events(request: web.Request, search: TraceSearch, page: Page) -> AsyncIterator[Event | None]:
    clock = asyncio.get_running_loop().time
    told: dict[str, tuple[int, int, int]] = {}
    total = 0
    pause_s = _PAUSE_S
    while True:
        # Which spans fit changes as time moves on; that alone makes no trace a new one.
        hits = {hit.trace_id: (hit.span_count, hit.error_count, hit.duration) for hit in page.hits}
        news = [hit_as_json(hit) for hit in page.hits if told.get(hit.trace_id) != hits[hit.trace_id]]
        is_news = bool(news) or page.total != total
        told, total = hits, page.total
        yield ("traces", {"traces": news, "total": total, "leftOut": max(total - len(hits), 0)}) if is_news else None
        await asyncio.sleep(pause_s)
        began = clock()
        try:
            page = await _look(request, search)
        except Busy:
            # Others have all the turns; what is missed now is told by a later look.
            continue
        # At most half of the time the store works for this client.
        pause_s = max(_PAUSE_S, clock() - began)


async def _look(request: web.Request, search: TraceSearch) -> Page:
    """The newest traces of the last minute."""
    end = request.app[NOW]() + 1
    async with request.app[TURNS].turn(search.workspace):
        return await find_traces(request.app[STORE], replace(search, start=max(end - WINDOW_S * 10**9, 0), end=end))


ROUTES: Final = (
    Route(
        f"/api/v1/traces{EVENTS}",
        follow_search,
        f"Traces that fit, as they come: server-sent events `traces`, first with the newest of the last {WINDOW_S} seconds",
        {EVENT_STREAM: schemas.reference("TracesNews")},
        PARAMETERS,
    ),
)
COMPONENTS: Final = {
    "TracesNews": schemas.record(
        traces={**schemas.listing(schemas.reference("TraceSummary")), "description": "New ones, and others that have changed."},
        total={**schemas.COUNT, "description": "Traces of the last minute that fit."},
        leftOut={**schemas.COUNT, "description": "Those of them that are not told, because so many newer ones have come."},
    )
}
