"""GET /api/v1/traces and what lies below it."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, NOW, PROTOBUF, SETTINGS, STORE, Route
from collector.query.analysis.critical_path import Overflow, find_critical_path
from collector.query.otlp import to_traces_data
from collector.query.search import TraceSearch, decode_cursor, encode_cursor, find_traces
from collector.query.spans import Spans
from collector.query.trace import find_trace
from collector.query.tree import build_tree
from collector.query.waterfall import build_waterfall

LIMIT: Final = params.limit(20, 1500, "traces")
COMPLETE_HEADER: Final = "Spanhouse-Complete"
"""Says of a protobuf answer, which has no room for it, whether it holds all spans of the trace."""


async def search_traces(request: web.Request) -> web.Response:
    """One page of traces that fit, the newest first."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    minimum, maximum = params.MINIMUM_DURATION.read(query), params.MAXIMUM_DURATION.read(query)
    if minimum is not None and maximum is not None and minimum > maximum:
        name = params.MAXIMUM_DURATION.name
        raise BadParameter(name, query[name], f"must not be below {params.MINIMUM_DURATION.name}")
    search = TraceSearch(
        start=start,
        end=end,
        service=params.SERVICE.read(query),
        operation=params.OPERATION.read(query),
        minimum_duration=minimum,
        maximum_duration=maximum,
        status=params.STATUS.read(query),
        kind=params.KIND.read(query),
        attributes=tuple(params.ATTRIBUTE.read_all(query)),
        limit=LIMIT.read(query),
        workspace=request[CALLER].workspace,
    )
    text = params.CURSOR.read(query)
    cursor = None
    if text is not None:
        try:
            cursor = decode_cursor(search, text)
        except ValueError as error:
            raise BadParameter(params.CURSOR.name, text, str(error)) from error
    page = await find_traces(request.app[STORE], search, cursor)
    return rendering.json_response(
        {
            "traces": [rendering.hit(hit) for hit in page.hits],
            "nextCursor": encode_cursor(search, page.cursor) if page.cursor else None,
        }
    )


async def get_trace(request: web.Request) -> web.Response:
    """All spans of a trace: as OTLP protobuf for a client that prefers it, else as JSON."""
    protobuf = prefers_protobuf(request.headers.get("Accept", ""))
    spans = await _find(request)
    if protobuf:
        # Large traces take a while: not on the event loop.
        body = await asyncio.to_thread(lambda: to_traces_data(spans).SerializeToString())
        return web.Response(
            body=body,
            content_type=PROTOBUF,
            headers={"Vary": "Accept", COMPLETE_HEADER: "true" if spans.complete else "false"},
        )
    body = await asyncio.to_thread(lambda: rendering.json_bytes(rendering.trace(spans)))
    return web.Response(body=body, content_type=JSON, headers={"Vary": "Accept"})


async def get_waterfall(request: web.Request) -> web.Response:
    """The spans of a trace in drawing order."""
    spans = await _find(request)

    def render() -> bytes:
        tree = build_tree(spans)
        return rendering.json_bytes(rendering.waterfall(spans, tree, build_waterfall(spans, tree)))

    return web.Response(body=await asyncio.to_thread(render), content_type=JSON)


async def get_critical_path(request: web.Request) -> web.Response:
    """What each root of a trace was waiting for."""
    tolerance = params.TOLERANCE.read(request.query)
    # The parameter's own choice of values is that of the type.
    overflow = cast("Overflow", params.OVERFLOW.read(request.query))
    spans = await _find(request)

    def render() -> bytes:
        tree = build_tree(spans)
        path = find_critical_path(spans, tree, tolerance=tolerance, overflow=overflow)
        document = rendering.critical_path(spans, tree, path, tolerance=float(tolerance), overflow=overflow)
        return rendering.json_bytes(document)

    return web.Response(body=await asyncio.to_thread(render), content_type=JSON)


async def _find(request: web.Request) -> Spans:
    trace_id = params.path_trace_id(request)
    spans = await find_trace(
        request.app[STORE], trace_id, workspace=request[CALLER].workspace, max_spans=request.app[SETTINGS].max_spans
    )
    if spans is None:
        raise Problem(404, "Unknown trace", f"There is no span of trace {trace_id}; it may not have arrived yet.")
    return spans


def prefers_protobuf(accept: str) -> bool:
    """Whether an Accept header gives protobuf a higher weight than JSON; without a preference it is JSON."""
    weights = {JSON: 0.0, PROTOBUF: 0.0}
    for item in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if media_type == "application/protobuf":
            media_type = PROTOBUF
        if media_type in weights:
            weights[media_type] = max(weights[media_type], weight)
    return weights[PROTOBUF] > weights[JSON]


ROUTES: Final = (
    Route(
        "/api/v1/traces",
        search_traces,
        "Traces with a span that fits, the newest first",
        {JSON: schemas.reference("Traces")},
        (
            params.SERVICE,
            params.OPERATION,
            params.START,
            params.END,
            params.MINIMUM_DURATION,
            params.MAXIMUM_DURATION,
            params.STATUS,
            params.KIND,
            params.ATTRIBUTE,
            LIMIT,
            params.CURSOR,
        ),
    ),
    Route(
        "/api/v1/traces/{trace_id}",
        get_trace,
        "All spans of a trace",
        {JSON: schemas.reference("Trace"), PROTOBUF: None},
        unknown="The workspace has no span of this trace.",
    ),
    Route(
        "/api/v1/traces/{trace_id}/waterfall",
        get_waterfall,
        "The spans of a trace in drawing order",
        {JSON: schemas.reference("Waterfall")},
        unknown="The workspace has no span of this trace.",
    ),
    Route(
        "/api/v1/traces/{trace_id}/critical-path",
        get_critical_path,
        "What each root of a trace was waiting for",
        {JSON: schemas.reference("CriticalPath")},
        (params.TOLERANCE, params.OVERFLOW),
        unknown="The workspace has no span of this trace.",
    ),
)
