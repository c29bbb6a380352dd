"""GET /api/v1/traces/{trace_id} and what lies below it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.params import Parameter
from collector.api.polling import answer
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, JSON, PROTOBUF, SETTINGS, STORE, Route
from collector.api.trace_annotations import annotations_of
from collector.api.trace_parts import (
    OFFSET,
    UNKNOWN,
    WINDOW,
    WITHIN,
    parse_span_id,
    read_skeleton,
    read_spans,
    unknown_trace,
    window,
)
from collector.query.links import find_links
from collector.query.otlp import to_traces_data
from collector.query.skeleton import Skeleton
from collector.query.spans import Spans
from collector.query.store import MAX_TIMESTAMP
from collector.query.trace import find_skeleton, find_window
from collector.query.tree import build_tree

FIELDS: Final[Parameter[str]] = Parameter(
    "fields",
    "`all`, or only the `skeleton`: ids, times, names, status and place in the tree. A span alone has the rest.",
    {"type": "string", "enum": ["all", "skeleton"], "default": "all"},
    parsing.choice(("all", "skeleton")),
    "all",
)
LINKS: Final = params.limit(100, 1000, "links of either kind")
LINK_START: Final[Parameter[int | None]] = Parameter(
    "start",
    "Of spans with links to the trace, only those that start at this time or later. Default: the start of the trace.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example=params.START.example,
)
LINK_END: Final[Parameter[int | None]] = Parameter(
    "end",
    "Of spans with links to the trace, only those that start before this time. Default: an hour after the trace's end.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example=params.END.example,
)
LINGERING: Final = 3_600 * 10**9
"""Nanoseconds after its end in which links to a trace are looked for unless told otherwise."""
_VARY: Final = {"Vary": "Accept"}
COMPLETE_HEADER: Final = "Spanhouse-Complete"
"""Says of a protobuf answer, which has no room for it, whether it holds all spans of the trace."""


async def get_trace(request: web.Request) -> web.Response:
    """The spans of a trace or of a window of it: as OTLP protobuf for a client that prefers it, else as JSON."""
    if FIELDS.read(request.query) == "skeleton":
        skeleton = await read_skeleton(request)
        rows = window(request, len(skeleton))
        return await answer(
            request, lambda: rendering.json_bytes(rendering.skeleton(skeleton, build_tree(skeleton), rows)), JSON, _VARY
        )
    if prefers_protobuf(request.headers.get("Accept", "")):
        whole, spans, _ = await _read_window(request)
        complete = "true" if len(spans) == len(whole) and whole.complete else "false"
        headers = {**_VARY, COMPLETE_HEADER: complete}
        return await answer(request, lambda: to_traces_data(spans).SerializeToString(deterministic=True), PROTOBUF, headers)
    trace_id = params.path_trace_id(request)
    (whole, spans, first), said = await asyncio.gather(_read_window(request), annotations_of(request, trace_id))
    return await answer(
        request, lambda: rendering.json_bytes({**rendering.trace(whole, spans, first), "annotations": said}), JSON, _VARY
    )


async def _read_window(request: web.Request) -> tuple[Skeleton, Spans, int]:
    """The trace, of its spans those in the window that is asked for, and the position of the first of these."""
    if OFFSET.read(request.query) == 0 and WINDOW.read(request.query) is None:
        spans = await read_spans(request)
        return spans, spans, 0
    whole = await read_skeleton(request)
    rows = window(request, len(whole))
    return whole, await find_window(request.app[STORE], whole, rows, workspace=request[CALLER].workspace), rows.start


async def get_span(request: web.Request) -> web.Response:
    """All that is known of a span, with values of any length; of several, where they share the id."""
    text = request.match_info["span_id"]
    try:
        span_id = parse_span_id(text)
    except ValueError as error:
        raise BadParameter("span_id", text, str(error)) from error
    spans = await read_spans(request, span_id)
    return rendering.json_response({"traceId": spans.trace_id, **rendering.details(spans, None)})


async def list_links(request: web.Request) -> web.Response:
    """Links of a trace's spans to others, and of others to it."""
    query = request.query
    start, end = LINK_START.read(query), LINK_END.read(query)
    limit = LINKS.read(query)
    trace_id = params.path_trace_id(request)
    workspace = request[CALLER].workspace
    skeleton = await find_skeleton(request.app[STORE], trace_id, workspace=workspace, max_spans=request.app[SETTINGS].max_spans)
    if skeleton is None:
        raise unknown_trace(trace_id)
    # A start before 1970 reads as 0, and one beyond the calendar as its last nanosecond.
    own = (skeleton.starts[0], min(max(skeleton.starts), MAX_TIMESTAMP - 1) + 1)
    start = skeleton.start if start is None else start
    end = min(skeleton.end, MAX_TIMESTAMP) + LINGERING if end is None else end
    if start >= end:
        name = LINK_START.name if LINK_START.name in query else LINK_END.name
        raise BadParameter(name, query[name], "start must lie before end; without start it is that of the trace")
    links = await find_links(
        request.app[STORE], trace_id, within=own, incoming_within=(start, end), limit=limit, workspace=workspace
    )
    return rendering.json_response(
        {
            "traceId": trace_id,
            "startUnixNano": str(start),
            "endUnixNano": str(end),
            "outgoing": [rendering.link(link) for link in links.outgoing],
            "incoming": [rendering.link(link) for link in links.incoming],
            "complete": links.complete,
        }
    )


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
        "/api/v1/traces/{trace_id}",
        get_trace,
        "The spans of a trace, all or a window of them",
        {JSON: {"oneOf": [schemas.reference("Trace"), schemas.reference("TraceSkeleton")]}, PROTOBUF: None},
        (FIELDS, OFFSET, WINDOW, *WITHIN),
        unknown=UNKNOWN,
        has_tag=True,
    ),
    Route(
        "/api/v1/traces/{trace_id}/spans/{span_id}",
        get_span,
        "All that is known of a span",
        {JSON: schemas.reference("SpanDetails")},
        unknown="The workspace has no such span of this trace.",
    ),
    Route(
        "/api/v1/traces/{trace_id}/links",
        list_links,
        "Links of a trace's spans to others, and of others to it",
        {JSON: schemas.reference("Links")},
        (LINK_START, LINK_END, LINKS),
        unknown=UNKNOWN,
    ),
)
