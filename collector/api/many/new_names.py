"""/api/v1/analysis/new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, parsing, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import asked_spans, group_search, occurrences, whole_search
from collector.api.params import Parameter
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import SPAN_FILTERS
from collector.query.grouping import Key, read_key
from collector.query.many.new_names import find_new_names
from collector.query.many.occurrences import Occurrences

_DAY: Final = 24 * 3_600 * 10**9
_LONGEST: Final = 400 * _DAY
_SERVICE: Final = (Key("service", "service"),)
_OPERATION: Final = (*_SERVICE, read_key("operation"))


def _parse_lookback(text: str) -> int:
    lookback = parsing.parse_duration(text)
    if not 0 < lookback <= _LONGEST:
        raise ValueError(f"must be more than nothing and at most {_LONGEST // _DAY * 24}h")
    return lookback


LOOKBACK: Final[Parameter[int]] = Parameter(
    "lookback",
    "How long before `start` a name must not have been seen, so that it counts as new.",
    {"type": "string", "default": "168h"},
    _parse_lookback,
    7 * _DAY,
    example="168h",
)
LIMIT: Final = params.limit(100, 1000, "services, and operations")


async def analyse_new(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """Services and operations with spans in the time range, and none before it."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    before = max(search.start - LOOKBACK.read(query), 0)
    limit, weighted = LIMIT.read(query), params.WEIGHTED.read(query)

    async def find(*, operations: bool) -> tuple[list[Occurrences], int]:
        return await find_new_names(request.app[STORE], search, before, operations=operations, weighted=weighted, limit=limit)

    services, service_count = await find(operations=False)
    operations, operation_count = await find(operations=True)

    def name(keys: Sequence[Key], each: Occurrences) -> dict[str, Any]:
        return {
            **occurrences(each),
            "firstTraceId": each.trace_id,
            "firstSpanId": each.span_id,
            "search": group_search(query, keys, each.texts),
        }

    complete = max(service_count, operation_count) <= limit
    because = f"There are more than limit={limit}; the first ones are here."
    return rendering.json_response(
        {
            "beforeUnixNano": str(before),
            "startUnixNano": str(search.start),
            "endUnixNano": str(search.end),
            "weighted": weighted,
            "services": [{"service": each.texts[0], **name(_SERVICE, each)} for each in services],
            "serviceCount": service_count,
            "operations": [
                {"service": each.texts[0], "operation": each.texts[1], **name(_OPERATION, each)} for each in operations
            ],
            "operationCount": operation_count,
            "complete": complete,
            "incompleteBecause": None if complete else because,
            "search": whole_search(query, search),
        }
    )


ROUTES: Final = asked_either_way(
    "/api/v1/analysis/new",
    analyse_new,
    "Services and operations that were not there before",
    schemas.reference("NewNames"),
    (*SPAN_FILTERS, LOOKBACK, params.WEIGHTED, LIMIT),
)
