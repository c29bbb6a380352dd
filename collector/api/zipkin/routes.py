"""Zipkin's query API of version 2: `/zipkin/api/v2`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from collector.api.asked import (
    DAY,
    MICROSECOND,
    MILLISECOND,
    MOST_NAMES,
    NAMES_RANGE,
    asked,
    epoch,
    lenient_trace_id,
    ordered,
    parsed,
    required,
    whole,
)
from collector.api.problems import BadParameter, Problem
from collector.api.rendering import json_bytes
from collector.api.routing import CALLER, JSON, NOW, SETTINGS, STORE
from collector.api.zipkin.rendering import FAILED as FAILED_TAG
from collector.api.zipkin.rendering import REMOTE_SERVICE, trace
from collector.calls import BY_USER, NODES
from collector.query.attribute_values import SpansSeen, find_keys, find_values
from collector.query.operations import find_operations
from collector.query.predicates import FAILED, AllOf, AnyOf, Attribute, Comparison, Exists, Not, Predicate
from collector.query.search import Hit, TraceSearch, find_hits, find_traces
from collector.query.services import find_services
from collector.query.topology import find_topology
from collector.query.trace import find_trace
from collector.query.whole_traces import find_whole_traces, first_that_fit

PREFIX: Final = "/zipkin/api/v2"
_MOST_TRACES: Final = 1500
_MOST_IDS: Final = 100
_MOST_VALUES: Final = 1000
_LIMIT: Final = whole(1, _MOST_TRACES)
_ANY_NAME: Final = "all"
"""What Zipkin's page sends as the name of a span where any will do."""


def error_answer(problem: Problem) -> web.Response:
    """An error as Zipkin words it: a line of text."""
    return web.Response(status=problem.status, text=problem.detail)


def _answer(found: Any) -> web.Response:
    return web.Response(body=json_bytes(found), content_type=JSON)


def _recently(request: web.Request) -> tuple[int, int]:
    end = request.app[NOW]() + 1
    return max(end - NAMES_RANGE, 0), end


async def _services(request: web.Request, start: int, end: int) -> list[str]:
    found = await find_services(request.app[STORE], start=start, end=end, limit=MOST_NAMES, workspace=request[CALLER].workspace)
    return [service.name for service in found if service.name]


async def _named(request: web.Request, start: int, end: int) -> list[str]:
    """The services that are called like the parameter `serviceName`, whatever the case; it must be there."""
    wanted = required(request.query, "serviceName", "the name of a service").lower()
    return [name for name in await _services(request, start, end) if name.lower() == wanted]


async def list_services(request: web.Request) -> web.Response:
    """Names of services."""
    return _answer(sorted({name.lower() for name in await _services(request, *_recently(request))}))


async def list_span_names(request: web.Request) -> web.Response:
    """Names of a service's spans."""
    start, end = _recently(request)
    names = set()
    for service in await _named(request, start, end):
        found = await find_operations(
            request.app[STORE], start=start, end=end, service=service, limit=MOST_NAMES, workspace=request[CALLER].workspace
        )
        names |= {operation.name.lower() for operation in found}
    return _answer(sorted(names))


async def list_remote_services(request: web.Request) -> web.Response:
    """Names of what a service calls."""
    start, end = _recently(request)
    services = await _named(request, start, end)
    if not services:
        return _answer([])
    own = AnyOf(tuple(Comparison("service", "=", service) for service in services))
    names = set()
    for key, is_first in _first_of_remote_keys():
        spans = SpansSeen(request[CALLER].workspace, start, end, AllOf((own, is_first)))
        found = await find_values(request.app[STORE], Attribute("span", key), spans, _MOST_VALUES)
        names |= {value.text.lower() for value in found if value.text}
    return _answer(sorted(names))


def _first_of_remote_keys() -> list[tuple[str, Predicate]]:
    """Each attribute that names the other side, and that no earlier one does."""
    return [
        (key, AllOf(tuple(Not(Comparison(Attribute("span", earlier), "=~", "(?s).+")) for earlier in REMOTE_SERVICE[:index])))
        for index, key in enumerate(REMOTE_SERVICE)
    ]


async def search_traces(request: web.Request) -> web.Response:
    """Whole traces with a span that fits, the newest first."""
    query = request.query
    end = asked(query, epoch(MILLISECOND), request.app[NOW](), "endTs") + 1
    lookback = asked(query, epoch(MILLISECOND), DAY, "lookback")
    start, end = ordered(max(end - lookback, 0), end, "lookback", query.get("lookback", ""))
    shortest, longest = (asked(query, epoch(MICROSECOND), None, name) for name in ("minDuration", "maxDuration"))
    if shortest is not None and longest is not None and longest < shortest:
        raise BadParameter("maxDuration", query["maxDuration"], "must not be below minDuration")
    terms = list(_conditions(request))
    limit = asked(query, _LIMIT, 10, "limit")
    if query.get("serviceName"):
        services = await _named(request, start, end)
        if not services:
            return _answer([])
        terms.append(AnyOf(tuple(Comparison("service", "=", service) for service in services)))
    search = TraceSearch(
        start=start,
        end=end,
        workspace=request[CALLER].workspace,
        minimum_duration=shortest,
        maximum_duration=longest,
        where=AllOf(tuple(terms)),
        limit=limit,
    )
    return await _traces(request, (await find_traces(request.app[STORE], search)).hits)


def _conditions(request: web.Request) -> list[Predicate]:
    """What a span must be like, apart from its service and duration."""
    query = request.query
    terms: list[Predicate] = []
    if query.get("spanName", _ANY_NAME) not in ("", _ANY_NAME):
        terms.append(Comparison("name", "equals ignoring case", query["spanName"]))
    remote = query.get("remoteServiceName")
    if remote:
        terms.append(
            AnyOf(
                tuple(
                    AllOf((Comparison(Attribute("span", key), "equals ignoring case", remote), is_first))
                    for key, is_first in _first_of_remote_keys()
                )
            )
        )
    if query.get("annotationQuery"):
        terms += parsed("annotationQuery", query["annotationQuery"], _annotation_query)
    return terms


def _annotation_query(text: str) -> list[Predicate]:
    """Reads terms that are joined by ` and `: an annotation or the key of a tag, or a tag as `key=value`."""
    terms: list[Predicate] = []
    for term in text.split(" and "):
        key, equals, value = term.strip().partition("=")
        if not key:
            raise ValueError("must be terms joined by ' and ', such as http.request.method=GET and error")
        tag = Attribute("span or resource", key)
        if equals:
            terms.append(Comparison(tag, "=", value))
        else:
            failed = (FAILED,) if key == FAILED_TAG else ()
            terms.append(AnyOf((Comparison("event name", "=", key), Exists(tag), *failed)))
    return terms


async def get_trace(request: web.Request) -> web.Response:
    """The spans of a trace, of any age."""
    trace_id = parsed("traceId", request.match_info["trace_id"], lenient_trace_id)
    spans = await find_trace(
        request.app[STORE], trace_id, workspace=request[CALLER].workspace, max_spans=request.app[SETTINGS].max_spans
    )
    if spans is None:
        raise Problem(404, "Unknown trace", f"{trace_id} not found")
    # Large traces take a while: not on the event loop.
    body = await asyncio.to_thread(lambda: json_bytes(trace(spans)))
    return web.Response(body=body, content_type=JSON)


async def get_traces(request: web.Request) -> web.Response:
    """The spans of several traces; those that are unknown are left out."""
    text = required(request.query, "traceIds", "two or more ids with commas between them")
    wanted = [parsed("traceIds", each, lenient_trace_id) for each in text.split(",")]
    if not 2 <= len(wanted) <= _MOST_IDS or len(set(wanted)) < len(wanted):
        raise BadParameter("traceIds", text, f"must be 2 to {_MOST_IDS} ids that differ, with commas between them")
    return await _traces(request, await find_hits(request.app[STORE], wanted, request[CALLER].workspace))


async def _traces(request: web.Request, hits: Sequence[Hit]) -> web.Response:
    max_spans = request.app[SETTINGS].max_spans
    wanted = [hit.trace_id for hit in hits[: first_that_fit(hits, max_spans)]]
    found = await find_whole_traces(request.app[STORE], wanted, workspace=request[CALLER].workspace, max_spans=max_spans)
    # Large traces take a while: not on the event loop.
    body = await asyncio.to_thread(lambda: json_bytes([trace(spans) for spans in found]))
    return web.Response(body=body, content_type=JSON)


async def list_dependencies(request: web.Request) -> web.Response:
    """Which service called which, how often, and what failed."""
    end = parsed("endTs", required(request.query, "endTs", "a number of milliseconds since 1970"), epoch(MILLISECOND))
    lookback = asked(request.query, epoch(MILLISECOND), DAY, "lookback")
    found = await find_topology(
        request.app[STORE], start=max(end - lookback, 0), end=end + 1, workspace=request[CALLER].workspace
    )
    return _answer(
        [
            {
                "parent": edge.client.name.lower(),
                "child": edge.server.name.lower(),
                "callCount": round(edge.calls),
                **({"errorCount": round(edge.failed)} if round(edge.failed) else {}),
            }
            for edge in found.edges
            if edge.client.kind != NODES[BY_USER]
        ]
    )


async def list_keys(request: web.Request) -> web.Response:
    """Keys of tags for completion."""
    start, end = _recently(request)
    found = await find_keys(request.app[STORE], SpansSeen(request[CALLER].workspace, start, end), _MOST_VALUES)
    return _answer(sorted({*found["span"], *found["resource"]}))


async def list_values(request: web.Request) -> web.Response:
    """Values of a tag for completion."""
    start, end = _recently(request)
    tag = Attribute("span or resource", required(request.query, "key", "the key of a tag"))
    spans = SpansSeen(request[CALLER].workspace, start, end)
    return _answer(sorted({value.text for value in await find_values(request.app[STORE], tag, spans, _MOST_VALUES)}))


ROUTES: Final = (
    web.get(f"{PREFIX}/services", list_services),
    web.get(f"{PREFIX}/spans", list_span_names),
    web.get(f"{PREFIX}/remoteServices", list_remote_services),
    web.get(f"{PREFIX}/traces", search_traces),
    web.get(f"{PREFIX}/trace/{{trace_id}}", get_trace),
    web.get(f"{PREFIX}/traceMany", get_traces),
    web.get(f"{PREFIX}/dependencies", list_dependencies),
    web.get(f"{PREFIX}/autocompleteKeys", list_keys),
    web.get(f"{PREFIX}/autocompleteValues", list_values),
)
