"""Searching for traces: GET /api/v1/traces, and POST of the same parameters as JSON, for queries that are long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast, get_args

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, parsing, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW, STORE
from collector.query.conditions import OfTrace, Sort, TraceSearch
from collector.query.language import Query, anywhere, read_query
from collector.query.predicates import EVERY_SPAN, AllOf
from collector.query.search import Hit, decode_cursor, encode_cursor, find_traces

QUERY: Final[Parameter[Query]] = Parameter(
    "q",
    'Conditions in the language of the search box, such as `service = checkout and http.route =~ "/cart/.*"`; '
    "they hold besides those of the other parameters, on the same span. May be repeated; all must hold.",
    {"type": "string", "maxLength": 10_000},
    read_query,
    Query(EVERY_SPAN, ()),
    repeatable=True,
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
    parsing.parse_duration,
    None,
    example="1s",
)
MAXIMUM_TRACE_DURATION: Final[Parameter[int | None]] = Parameter(
    "maxTraceDuration", "Longest duration of the trace.", {"type": "string"}, parsing.parse_duration, None, example="1m30s"
)
ROOT_SERVICE: Final = params.optional_text("rootService", "Service of the trace's root.", "web")
ROOT_NAME: Final = params.optional_text("rootName", "Name of the trace's root.", "GET /")
SORT: Final[Parameter[str]] = Parameter(
    "sort",
    "What all hits are sorted by: `start` of the spans that fit; `duration`, number of `spans` or `errors` of the trace.",
    {"type": "string", "enum": list(get_args(Sort)), "default": "start"},
    parsing.choice(get_args(Sort)),
    "start",
)
ORDER: Final[Parameter[str]] = Parameter(
    "order",
    "`desc`: the newest, or the most, first; `asc`: the other way round.",
    {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
    parsing.choice(("desc", "asc")),
    "desc",
)
MATCHED_SPANS: Final = params.whole_number(
    "spans", "So many of the spans that fit are named of each trace, the earliest ones.", 10, 1, 100
)
WEIGHTED: Final = replace(
    params.WEIGHTED,
    description="`true`: it is told as well how many traces those that are found stand for, since sampling has dropped others.",
    schema={"type": "boolean", "default": False},
    default=False,
)
LIMIT: Final = params.limit(20, 1500, "traces")

SPAN_FILTERS: Final[tuple[Parameter[Any], ...]] = (
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
)
"""What a span must be like."""
TRACE_FILTERS: Final[tuple[Parameter[Any], ...]] = (MINIMUM_TRACE_DURATION, MAXIMUM_TRACE_DURATION, ROOT_SERVICE, ROOT_NAME)
"""What the trace as a whole must be like."""
PARAMETERS: Final[tuple[Parameter[Any], ...]] = (
    *SPAN_FILTERS,
    *TRACE_FILTERS,
    SORT,
    ORDER,
    MATCHED_SPANS,
    WEIGHTED,
    LIMIT,
    params.CURSOR,
)


def search_of(query: MultiMapping[str], workspace: str, now: int) -> TraceSearch:
    """The search that parameters ask for, with its order and the size of its pages. Raises BadParameter as `filter_of`."""
    return replace(
        filter_of(query, workspace, now),
        # The parameter's own choice of values is that of the type.
        sort=cast("Sort", SORT.read(query)),
        descending=ORDER.read(query) == "desc",
        limit=LIMIT.read(query),
        weighted=WEIGHTED.read(query),
        matched_spans=MATCHED_SPANS.read(query),
    )


def filter_of(query: MultiMapping[str], workspace: str, now: int) -> TraceSearch:
    """What spans and traces must be like, as SPAN_FILTERS and TRACE_FILTERS say.

    Args:
        now: nanoseconds since 1970, for the default time range.

    Raises:
        BadParameter: one cannot be understood, or contradicts another.
    """
    start, end = params.time_range(query, now)
    minimum, maximum = _bounds(query, params.MINIMUM_DURATION, params.MAXIMUM_DURATION)
    shortest, longest = _bounds(query, MINIMUM_TRACE_DURATION, MAXIMUM_TRACE_DURATION)
    asked, text = QUERY.read_all(query), TEXT.read(query)
    terms = [*(each.where for each in asked), *([anywhere(text)] if text else [])]
    where = tuple(predicate for predicate in terms if predicate != EVERY_SPAN)
    traces = [
        *(of_trace for each in asked for of_trace in each.traces),
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
    )


def _bounds(
    query: MultiMapping[str], lower: Parameter[int | None], upper: Parameter[int | None]
) -> tuple[int | None, int | None]:
    minimum, maximum = lower.read(query), upper.read(query)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise BadParameter(upper.name, query[upper.name], f"must not be below {lower.name}")
    return minimum, maximum


async def search_traces(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """One page of traces that fit."""
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
            "traces": [hit_as_json(hit) for hit in page.hits],
            "total": page.total,
            "totalIsExact": page.complete,
            "weightedTotal": rendering.number(page.weighted_total) if search.weighted else None,
            "complete": page.complete,
            "incompleteBecause": page.incomplete_because or None,
            "nextCursor": encode_cursor(search, page.cursor) if page.cursor else None,
        }
    )


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """A trace that fits, as the API shows it."""
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


ROUTES: Final = asked_either_way(
    "/api/v1/traces", search_traces, "Traces with a span that fits", schemas.reference("Traces"), PARAMETERS
)
