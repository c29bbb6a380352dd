"""/api/v1/analysis/latencies and /api/v1/analysis/operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from collector.api import params, parsing, rendering, schemas
from collector.api.by_body import asked_either_way
from collector.api.many.asked import BY, asked_keys, asked_spans, group_search, whole_search
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW, STORE
from collector.api.search import SPAN_FILTERS
from collector.query.grouping import Key, read_key
from collector.query.many.latencies import MOST_GROUPS, GroupLatencies, Latencies, LatencyQuery, find_latencies
from collector.query.percentiles import PERCENTILES
from collector.sketch import RELATIVE_ERROR

MOST_PERCENTILES: Final = 10


def parse_percentile(text: str) -> float:
    """A number from 0 to 100.

    Raises:
        ValueError: not a decimal number, or out of that range.
    """
    if not re.fullmatch(r"\d{1,3}(?:\.\d{1,9})?", text, re.ASCII) or float(text) > 100:
        raise ValueError("must be a number from 0 to 100, such as 99.9")
    return float(text)


PERCENTILE: Final[Parameter[float]] = Parameter(
    "percentile",
    "A percentile of the durations that is wanted. May be repeated; 50, 95 and 99 without it.",
    {"type": "number", "minimum": 0, "maximum": 100},
    parse_percentile,
    0.0,
    repeatable=True,
    example="99.9",
)
_RANKS: Final[dict[str, Callable[[GroupLatencies], float]]] = {
    "count": lambda group: group.count,
    "errors": lambda group: group.errors,
    "errorRate": lambda group: group.error_rate,
    "total": lambda group: group.total,
    "mean": lambda group: group.mean,
    "max": lambda group: group.maximum,
    "percentile": lambda group: group.percentiles[-1],
}
SORT: Final[Parameter[str]] = Parameter(
    "sort",
    "What groups are sorted by, the greatest first: a measure of theirs, `total` being the time that their spans took together;"
    " `percentile` is the last of those that are asked for.",
    {"type": "string", "enum": list(_RANKS), "default": "count"},
    parsing.choice(list(_RANKS)),
    "count",
)
LIMIT: Final = params.limit(100, 1000, "groups")
OPERATIONS: Final = params.limit(10, 100, "operations in each list")
_OPERATION: Final = (Key("service", "service"), read_key("operation"), Key("kind", "kind"))


async def analyse_latencies(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """Count, errors, mean and percentiles of the durations of spans, in groups."""
    keys, percentiles, rank = asked_keys(query), _percentiles(query), _RANKS[SORT.read(query)]
    found, answer = await _find(request, query, keys, percentiles)
    limit = LIMIT.read(query)
    groups = sorted(found.groups, key=lambda group: (-rank(group), group.texts))[:limit]
    complete = found.group_count <= limit
    because = f"There are {found.group_count} groups, more than limit={limit}; narrow the conditions or raise the limit. "
    return rendering.json_response(
        {
            **answer,
            "groups": [_group(query, keys, group, percentiles) for group in groups],
            "groupCount": found.group_count,
            "complete": complete,
            "incompleteBecause": None if complete else f"{because}{_left_out(found)}".strip(),
        }
    )


async def analyse_operations(request: web.Request, query: MultiMapping[str]) -> web.Response:
    """The slowest operations, those that fail most often, and those that take the most time together."""
    percentiles = _percentiles(query)
    found, answer = await _find(request, query, _OPERATION, percentiles)
    limit = OPERATIONS.read(query)

    def first(rank: Callable[[GroupLatencies], float]) -> list[dict[str, Any]]:
        ranked = sorted(
            (group for group in found.groups if rank(group) > 0), key=lambda group: (-rank(group), -group.count, group.texts)
        )
        return [_group(query, _OPERATION, group, percentiles) for group in ranked[:limit]]

    complete = found.group_count <= len(found.groups)
    return rendering.json_response(
        {
            **answer,
            "slowest": first(_RANKS["percentile"]),
            "mostTime": first(_RANKS["total"]),
            "mostErrors": first(_RANKS["errors"]),
            "highestErrorRate": first(_RANKS["errorRate"]),
            "operationCount": found.group_count,
            "complete": complete,
            "incompleteBecause": _left_out(found) or None,
        }
    )


async def _find(
    request: web.Request, query: MultiMapping[str], keys: Sequence[Key], percentiles: Sequence[float]
) -> tuple[Latencies, dict[str, Any]]:
    """What was found, and what answers say of it in any case."""
    search = asked_spans(query, request[CALLER].workspace, request.app[NOW]())
    weighted = params.WEIGHTED.read(query)
    asked = LatencyQuery(search, keys, percentiles, weighted)
    found = await find_latencies(request.app[STORE], asked)
    return found, {
        "startUnixNano": str(search.start),
        "endUnixNano": str(search.end),
        "by": [key.words for key in keys],
        "weighted": weighted,
        "method": "exact" if found.exact else "sketch",
        "relativeError": 0.0 if found.exact else RELATIVE_ERROR,
        "search": whole_search(query, search),
    }


def _percentiles(query: MultiMapping[str]) -> list[float]:
    percentiles = list(dict.fromkeys(PERCENTILE.read_all(query))) or [float(percent) for percent in PERCENTILES]
    if len(percentiles) > MOST_PERCENTILES:
        remedy = f"may be given {MOST_PERCENTILES} times at most"
        raise BadParameter(PERCENTILE.name, query.getall(PERCENTILE.name)[MOST_PERCENTILES], remedy)
    return percentiles


def _left_out(found: Latencies) -> str:
    """What was not looked at; empty where everything was."""
    if found.group_count <= len(found.groups):
        return ""
    return f"Only the {MOST_GROUPS} groups with the most spans were looked at."


def _group(query: MultiMapping[str], keys: Sequence[Key], group: GroupLatencies, percentiles: Sequence[float]) -> dict[str, Any]:
    return {
        "key": list(group.texts),
        "spans": group.spans,
        "count": rendering.number(group.count),
        "errors": rendering.number(group.errors),
        "errorRate": rendering.number(group.error_rate),
        "minNanos": str(group.minimum),
        "maxNanos": str(group.maximum),
        "meanNanos": rendering.number(group.mean),
        "totalNanos": rendering.number(group.total),
        "percentiles": [
            {"percentile": percent, "nanos": rendering.number(value)}
            for percent, value in zip(percentiles, group.percentiles, strict=True)
        ],
        "search": group_search(query, keys, group.texts),
    }


ROUTES: Final = (
    *asked_either_way(
        "/api/v1/analysis/latencies",
        analyse_latencies,
        "Latency percentiles of spans, in groups by any of their fields",
        schemas.reference("GroupLatencies"),
        (*SPAN_FILTERS, BY, PERCENTILE, params.WEIGHTED, SORT, LIMIT),
    ),
    *asked_either_way(
        "/api/v1/analysis/operations",
        analyse_operations,
        "The slowest and most failing operations",
        schemas.reference("OperationRanking"),
        (*SPAN_FILTERS, PERCENTILE, params.WEIGHTED, OPERATIONS),
    ),
)
