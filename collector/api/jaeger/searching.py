"""What is asked for in searches of both of Jaeger's APIs."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from collector.api.asked import HOUR, MICROSECOND, asked, epoch, ordered, parsed, rfc3339, span_durations, whole
from collector.api.problems import BadParameter
from collector.api.routing import CALLER, NOW
from collector.query.search import TraceSearch

MOST_TRACES: Final = 1500
"""The most that Jaeger's page offers."""
DEFAULT_TRACES: Final = 100
DEFAULT_RANGE: Final = 48 * HOUR

_LIMIT: Final = whole(1, MOST_TRACES)


def attributes_of(text: str) -> list[tuple[str, str]]:
    """Keys and texts of values of a JSON object.

    Raises:
        ValueError: it is none, or has a value that is no text, number or truth value.
    """
    remedy = 'must be a JSON object of texts, such as {"http.request.method":"GET"}'
    try:
        # Numbers stay as they were written: values are compared as text.
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(remedy) from error
    if not isinstance(found, dict) or not all(isinstance(value, str | bool) for value in found.values()):
        raise ValueError(remedy)
    return [(key, str(value).lower() if isinstance(value, bool) else value) for key, value in found.items()]


def tag_of(text: str) -> tuple[str, str]:
    """Key and value of `key:value`; the first colon parts them.

    Raises:
        ValueError: there is no colon, or no key before it.
    """
    key, colon, value = text.partition(":")
    if not colon or not key:
        raise ValueError("must be key:value, such as http.request.method:GET")
    return key, value


def read_search(request: web.Request) -> TraceSearch:
    """The search of the JSON API.

    Raises:
        BadParameter: a parameter cannot be understood, or contradicts another.
    """
    query = request.query
    now = request.app[NOW]()
    end = asked(query, epoch(MICROSECOND), now + 1, "end")
    start = asked(query, epoch(MICROSECOND), max(end - DEFAULT_RANGE, 0), "start")
    start, end = ordered(start, end, "start", query.get("start", ""))
    shortest, longest = span_durations(query, "minDuration", "maxDuration")
    tags = [parsed("tag", text, tag_of) for text in query.getall("tag", [])]
    tags += [tag for text in query.getall("tags", []) for tag in parsed("tags", text, attributes_of)]
    return TraceSearch(
        start=start,
        end=end,
        workspace=request[CALLER].workspace,
        service=query.get("service") or None,
        operation=query.get("operation") or None,
        minimum_duration=shortest,
        maximum_duration=longest,
        attributes=tuple(tags),
        limit=asked(query, _LIMIT, DEFAULT_TRACES, "limit"),
    )


def read_search_v3(request: web.Request) -> TraceSearch:
    """The search of the API v3, in its present and its older spelling.

    Raises:
        BadParameter: as `read_search`.
    """
    query = request.query
    start, end = (_bound(query, f"query.startTime{side}", f"query.start_time_{side.lower()}") for side in ("Min", "Max"))
    start, end = ordered(start, end, "query.startTimeMin", query.get("query.startTimeMin", ""))
    if "query.filter" in query:
        raise BadParameter("query.filter", query["query.filter"], "filters are not served here; use the other parameters")
    older = "query.duration_min" in query or "query.duration_max" in query
    names = ("query.duration_min", "query.duration_max") if older else ("query.durationMin", "query.durationMax")
    shortest, longest = span_durations(query, *names)
    return TraceSearch(
        start=start,
        end=end,
        workspace=request[CALLER].workspace,
        service=asked(query, str, None, "query.serviceName", "query.service_name"),
        operation=asked(query, str, None, "query.operationName", "query.operation_name"),
        minimum_duration=shortest,
        maximum_duration=longest,
        attributes=tuple(asked(query, attributes_of, [], "query.attributes")),
        limit=asked(query, _LIMIT, DEFAULT_TRACES, "query.searchDepth", "query.search_depth", "query.num_traces"),
    )


def _bound(query: MultiMapping[str], name: str, older: str) -> int:
    found = asked(query, rfc3339, None, name, older)
    if found is None:
        raise BadParameter(name, "", "a time such as 2026-03-01T12:00:00Z is needed")
    return found
