"""Searching for traces: GET /api/v1/traces, and POST of the same parameters as JSON, for queries that are long."""

from __future__ import annotations

import math
from typing import Any, Final, cast, get_args

from aiohttp import web
from multidict import MultiDict, MultiMapping

from collector.api import params, rendering, schemas
from collector.api.bodies import read_object
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.query.conditions import OfTrace, Sort, TraceSearch
from collector.query.language import Query, anywhere, read_query
from collector.query.predicates import EVERY_SPAN, AllOf
from collector.query.search import Hit, decode_cursor, encode_cursor, find_traces

QUERY: Final[Parameter[Query | None]] = Parameter(
    "q",
    'Conditions in the language of the search box, such as `service = checkout and http.route =~ "/cart/.*"`; '
    "they hold besides those of the other parameters.",
    {"type": "string", "maxLength": 10_000},
    read_query,
    None,
    example='service = checkout and http.route =~ "/cart/.*"',
)
TEXT: Final = params.optional_text(
    "text",
    "Text in the name or status message of the span, or in the name or message of an event; in upper or lower case.",
    "timeout",
)
MINIMUM_TRACE_DURATION: Final[Parameter[int | None]] = Parameter(
    "minTraceDuration",
    "Shortest duration of the trace, from its earliest start to its latest end.",
    {"type": "string"},
    params.parse_duration,
    None,
    example="1s",
)
MAXIMUM_TRACE_DURATION: Final[Parameter[int | None]] = Parameter(
    "maxTraceDuration", "Longest duration of the trace.", {"type": "string"}, params.parse_duration, None, example="1m30s"
)
ROOT_SERVICE: Final = params.optional_text("rootService", "Service of the trace's root.", "web")
ROOT_NAME: Final = params.optional_text("rootName", "Name of the trace's root.", "GET /")
SORT: Final[Parameter[str]] = Parameter(
    "sort",
    "What all hits are sorted by: `start` of the spans that fit; `duration`, number of `spans` or `errors` of the trace.",
    {"type": "string", "enum": list(get_args(Sort)), "default": "start"},
    params.choice(get_args(Sort)),
    "start",
)
ORDER: Final[Parameter[str]] = Parameter(
    "order",
    "`desc`: the newest, or the most, first; `asc`: the other way round.",
    {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
    params.choice(("desc", "asc")),
    "desc",
)
MATCHED_SPANS: Final = params.whole_number(
    "spans", "So many of the spans that fit are named of each trace, the earliest ones.", 10, 1, 100
)
LIMIT: Final = params.limit(20, 1500, "traces")

PARAMETERS: Final[tuple[Parameter[Any], ...]] = (
    QUERY,
    params.SERVICE,
    params.OPERATION,
    params.START,
    params.END,
    params.MINIMUM_DURATION,
    params.MAXIMUM_DURATION,
    params.STATUS,
    params.KIND,
    params.ATTRIBUTE,
    TEXT,
    MINIMUM_TRACE_DURATION,
    MAXIMUM_TRACE_DURATION,
    ROOT_SERVICE,
    ROOT_NAME,
    SORT,
    ORDER,
    MATCHED_SPANS,
    LIMIT,
    params.CURSOR,
)
BODY: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The parameters of GET, by their names; numbers and booleans may be written as such.",
    "properties": {
        parameter.name: {
            **({"type": "array", "items": parameter.schema} if parameter.repeatable else parameter.schema),
            "description": parameter.description,
        }
        for parameter in PARAMETERS
    },
    "additionalProperties": False,
}


async def search_traces(request: web.Request) -> web.Response:
    """One page of traces that fit."""
    return await _answer(request, request.query)


async def search_traces_by_body(request: web.Request) -> web.Response:
    """The same, of the parameters that the body has."""
    query = parameters_of(await read_object(request))
    params.refuse_unknown(query, PARAMETERS)
    return await _answer(request, query)


def parameters_of(document: dict[str, Any]) -> MultiDict[str]:
    """The members of a body as if they stood in a URL.

    Raises:
        BadParameter: a value cannot stand there.
    """
    query: MultiDict[str] = MultiDict()
    for name, value in document.items():
        for item in value if isinstance(value, list) else [value]:
            match item:
                case bool():
                    query.add(name, "true" if item else "false")
                case str() | int():
                    query.add(name, str(item))
                case float() if math.isfinite(item):
                    query.add(name, repr(item))
                case _:
                    raise BadParameter(name, str(item), "must be a text, a number or a boolean, or a list of these")
    return query


def search_of(query: MultiMapping[str], workspace: str, now: int) -> TraceSearch:
    """The search that parameters ask for.

    Args:
        now: nanoseconds since 1970, for the default time range.

    Raises:
        BadParameter: one cannot be understood, or contradicts another.
    """
    start, end = params.time_range(query, now)
    minimum, maximum = _bounds(query, params.MINIMUM_DURATION, params.MAXIMUM_DURATION)
    shortest, longest = _bounds(query, MINIMUM_TRACE_DURATION, MAXIMUM_TRACE_DURATION)
    asked, text = QUERY.read(query), TEXT.read(query)
    where = tuple(
        predicate
        for predicate in (asked.where if asked else EVERY_SPAN, anywhere(text) if text else EVERY_SPAN)
        if predicate != EVERY_SPAN
    )
    traces = [
        *(asked.traces if asked else ()),
        *([OfTrace("duration", ">=", shortest)] if shortest is not None else []),
        *([OfTrace("duration", "<=", longest)] if longest is not None else []),
    ]
    if (service := ROOT_SERVICE.read(query)) is not None:
        traces.append(OfTrace("root service", "=", service))
    if (name := ROOT_NAME.read(query)) is not None:
        traces.append(OfTrace("root name", "=", name))
    return TraceSearch(
        start=start,
        end=end,
        workspace=workspace,
        service=params.SERVICE.read(query),
        operation=params.OPERATION.read(query),
        minimum_duration=minimum,
        maximum_duration=maximum,
        status=params.STATUS.read(query),
        kind=params.KIND.read(query),
        attributes=tuple(params.ATTRIBUTE.read_all(query)),
        where=where[0] if len(where) == 1 else AllOf(where),
        traces=tuple(traces),
        # The parameter's own choice of values is that of the type.
        sort=cast("Sort", SORT.read(query)),
        descending=ORDER.read(query) == "desc",
        limit=LIMIT.read(query),
        matched_spans=MATCHED_SPANS.read(query),
    )


def _bounds(
    query: MultiMapping[str], lower: Parameter[int | None], upper: Parameter[int | None]
) -> tuple[int | None, int | None]:
    minimum, maximum = lower.read(query), upper.read(query)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise BadParameter(upper.name, query[upper.name], f"must not be below {lower.name}")
    return minimum, maximum


async def _answer(request: web.Request, query: MultiMapping[str]) -> web.Response:
    search = search_of(query, request[CALLER].workspace, request.app[NOW]())
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
            "traces": [_hit(hit) for hit in page.hits],
            "total": page.total,
            "totalIsExact": page.complete,
            "complete": page.complete,
            "incompleteBecause": page.incomplete_because or None,
            "nextCursor": encode_cursor(search, page.cursor) if page.cursor else None,
        }
    )


def _hit(hit: Hit) -> dict[str, Any]:
    matched = hit.matched
    return {
        **rendering.hit(hit),
        "matchedSpanCount": matched.count if matched else 0,
        "matchedSpans": [
            {
                "spanId": span.span_id,
                "service": span.service,
                "name": span.name,
                "status": span.status.lower(),
                "startTimeUnixNano": str(span.start),
                "durationNanos": str(span.duration),
            }
            for span in (matched.spans if matched else ())
        ],
    }


_SUMMARY: Final = "Traces with a span that fits"
ROUTES: Final = (
    Route("/api/v1/traces", search_traces, _SUMMARY, {JSON: schemas.reference("Traces")}, PARAMETERS),
    Route("/api/v1/traces", search_traces_by_body, _SUMMARY, {JSON: schemas.reference("Traces")}, method="POST", body=BODY),
)
