"""/api/v1/analysis/errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import asked_spans, occurrences, whole_search, words_search
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import SPAN_FILTERS
from collector.query.many.failures import ASPECTS, cause_words, find_failures
from collector.query.many.occurrences import Occurrences
from collector.query.store import ERROR, STATUS_CODES

LIMIT: Final = params.limit(10, 100, "causes of each aspect")
FILTERS: Final = tuple(parameter for parameter in SPAN_FILTERS if parameter is not params.STATUS)
"""Without the status, since all spans here have failed."""


async def analyse_errors(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """Spans with the status Error, by what they say of why."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    failed = replace(search, status=STATUS_CODES[ERROR])
    limit, weighted = LIMIT.read(query), params.WEIGHTED.read(query)
    found = await find_failures(request.app[STORE], search, failed, weighted=weighted, limit=limit)

    def cause(aspect: str, each: Occurrences) -> dict[str, Any]:
        return {
            "key": list(each.texts),
            **occurrences(each),
            "share": rendering.number(each.count / found.errors),
            "lastTraceId": each.trace_id,
            "lastSpanId": each.span_id,
            "search": words_search(query, cause_words(aspect, each.texts)),
        }

    cut = [aspect for aspect in ASPECTS if found.cause_counts[aspect] > limit]
    because = f"There are more than limit={limit} causes by {', '.join(cut)}; those with the most spans are here."
    return rendering.json_response(
        {
            "startUnixNano": str(search.start),
            "endUnixNano": str(search.end),
            "weighted": weighted,
            "eachOnce": found.each_once,
            "spans": found.spans,
            "count": rendering.number(found.count),
            "errors": rendering.number(found.errors),
            "errorRate": rendering.number(found.errors / found.count if found.count else 0.0),
            "by": {
                aspect: {"causes": [cause(aspect, each) for each in found.causes[aspect]], "total": found.cause_counts[aspect]}
                for aspect in ASPECTS
            },
            "complete": not cut,
            "incompleteBecause": because if cut else None,
            "search": {**whole_search(query, search), params.STATUS.name: STATUS_CODES[ERROR].lower()},
        }
    )


ROUTES: Final = asked_either_way(
    "/api/v1/analysis/errors",
    analyse_errors,
    "Failed spans by message, exception, HTTP status, operation and service",
    schemas.reference("ErrorBreakdown"),
    (*FILTERS, params.WEIGHTED, LIMIT),
)
