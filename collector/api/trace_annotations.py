"""/api/v1/workspaces/{workspace}/annotations and /api/v1/traces/{trace_id}/annotations: comments and highlights on traces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from collector.api import params, parsing, schemas
from collector.api.bodies import invalid_body
from collector.api.cursors import BY_TIME, next_cursor
from collector.api.objects import ID, ObjectApi
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, JSON, NOW, OBJECTS, SETTINGS, STORE, Route
from collector.api.trace_parts import parse_span_id
from collector.api.versioned import answer_json
from collector.control.annotations import ANNOTATIONS, ENDLESS, SECOND, Annotation, Wanted, find_annotations
from collector.query.trace import ALL_SPANS, Narrowing, find_skeleton, parse_trace_id
from exporters.clickhouse.client import ClickHouseError
from exporters.clickhouse.errors import UNKNOWN_TABLE

MOST_OF_TRACE: Final = 1000
"""So many of a trace's annotations are listed with it, the latest ones."""

TRACE: Final[Parameter[str | None]] = Parameter(
    "trace", "Only those on this trace or its spans.", {"type": "string"}, parse_trace_id, None, example=params.TRACE_ID_EXAMPLE
)
SPAN: Final[Parameter[str | None]] = Parameter(
    "span", "Only those on this span.", {"type": "string"}, parse_span_id, None, example=params.SPAN_ID_EXAMPLE
)
AUTHOR: Final = params.optional_text("author", "Only those that this caller has made.", "ann")
TEXT: Final = params.optional_text("text", "Only those with this in their text, in either case.", "retry")
START: Final[Parameter[int | None]] = Parameter(
    "start", "Only those made at this time or later.", {"type": "string"}, parsing.parse_time, None, example=params.START.example
)
END: Final[Parameter[int | None]] = Parameter(
    "end", "Only those made before this time.", {"type": "string"}, parsing.parse_time, None, example=params.END.example
)
LIMIT: Final = params.limit(100, 1000, "annotations")


async def _completed(request: web.Request, said: Annotation) -> Annotation:
    """With what follows from what is said; what is changed must not go to another trace."""
    before = (await API.named(request)).settings if ID in request.match_info else None
    if before is not None and before.trace_id != said.trace_id:
        detail = "must stay what it is; delete this annotation, and make another one"
        raise invalid_body([{"field": "traceId", "value": said.trace_id, "detail": detail}])
    target = await find_skeleton(
        request.app[STORE],
        said.trace_id,
        workspace=request[CALLER].workspace,
        max_spans=1,
        narrowed=Narrowing(span_id=said.span_id) if said.span_id else ALL_SPANS,
    )
    now_s = request.app[NOW]() // SECOND
    return said.completed(now_s, request.app[SETTINGS].spans_ttl_s, target_found=target is not None, before=before)


API: Final = ObjectApi(
    ANNOTATIONS,
    "annotations",
    "Annotation",
    "annotation",
    role="read",
    by_author_only=True,
    complete=_completed,
)


async def list_annotations(request: web.Request) -> web.Response:
    """Those of a workspace, the latest first."""
    query = request.query
    start, end = START.read(query), END.read(query)
    if start is not None and end is not None and start >= end:
        raise BadParameter(END.name, query[END.name], f"must be later than {START.name}")
    wanted = Wanted(
        trace_id=TRACE.read(query) or "",
        span_id=SPAN.read(query) or "",
        author=AUTHOR.read(query) or "",
        text=TEXT.read(query) or "",
        start=start or 0,
        end=ENDLESS if end is None else end,
    )
    limit, before = LIMIT.read(query), BY_TIME.read(query)
    found = await find_annotations(API.store(request), request[CALLER].workspace, wanted, limit + 1, before)
    cursor = next_cursor(found, limit, lambda last: (last.created_at, last.id))
    return answer_json({"annotations": [each.as_json() for each in found[:limit]], "nextCursor": cursor})


async def list_annotations_of_trace(request: web.Request) -> web.Response:
    """Those on a trace and its spans, in the order in which they were made; none where there is no such trace, too."""
    trace_id = params.path_trace_id(request)
    return answer_json({"traceId": trace_id, "annotations": await annotations_of(request, trace_id)})


async def annotations_of(request: web.Request, trace_id: str) -> list[dict[str, Any]]:
    """The latest MOST_OF_TRACE annotations on a trace and its spans, as the API shows them, the earliest first."""
    workspace = request[CALLER].workspace
    store = request.app[OBJECTS].of(ANNOTATIONS)
    try:
        # Of most traces nobody has ever said anything.
        if not await store.is_subject(workspace, trace_id):
            return []
        found = await find_annotations(store, workspace, Wanted(trace_id=trace_id), MOST_OF_TRACE)
    except ClickHouseError as error:
        if error.code == UNKNOWN_TABLE:
            # Made by an earlier release, and not brought up to date: then nobody has said anything.
            return []
        raise
    return [each.as_json() for each in reversed(found)]


_LISTING, *_OTHERS = API.routes()

ROUTES: Final = (
    replace(
        _LISTING,
        handler=list_annotations,
        summary="Annotations of a workspace, the latest first",
        parameters=(TRACE, SPAN, AUTHOR, TEXT, START, END, LIMIT, BY_TIME),
    ),
    *_OTHERS,
    Route(
        "/api/v1/traces/{trace_id}/annotations",
        list_annotations_of_trace,
        "Annotations on a trace and its spans",
        {JSON: schemas.reference("TraceAnnotations")},
    ),
)
COMPONENTS: Final[dict[str, Any]] = {
    **API.components(),
    "TraceAnnotations": schemas.record(
        traceId=schemas.TEXT,
        annotations={
            **schemas.listing(schemas.reference("Annotation")),
            "description": f"In the order in which they were made; of more than {MOST_OF_TRACE} the latest.",
        },
    ),
}
