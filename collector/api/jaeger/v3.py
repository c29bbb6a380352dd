"""Jaeger's API v3, as far as it is JSON: `/jaeger/api/v3`, which its present page searches through."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api.asked import asked, lenient_trace_id, parsed, truth
from collector.api.jaeger.rendering import answer, written
from collector.api.jaeger.routes import operations_of, service_names
from collector.api.jaeger.searching import read_search_v3
from collector.api.otlp_json import OTLP, resource_spans
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, SETTINGS, STORE
from collector.query.orphans import count_orphans
from collector.query.search import Hit, find_traces
from collector.query.spans import Spans
from collector.query.store import KINDS
from collector.query.whole_traces import find_whole_traces, first_that_fit

PREFIX: Final = "/jaeger/api/v3"


def error_answer(problem: Problem) -> web.Response:
    """An error in this API's form."""
    message = problem.detail
    if isinstance(problem, BadParameter):
        message = f"malformed parameter {problem.parameter}: {problem.remedy}"
    body = orjson.dumps({"error": {"httpCode": problem.status, "message": message}})
    return web.Response(status=problem.status, body=body, content_type=JSON)


async def list_services(request: web.Request) -> web.Response:
    """Names of services."""
    return answer({"services": await service_names(request)})


async def list_operations(request: web.Request) -> web.Response:
    """Operations of a service, or of all."""
    found = await operations_of(request, request.query.get("service") or None)
    # A span without a kind is an internal one, as OTLP has it.
    named = dict.fromkeys((name, (kind if kind != KINDS[0] else KINDS[1]).lower()) for name, kind in found)
    return answer({"operations": [{"name": name, "spanKind": kind} for name, kind in named]})


async def search_traces(request: web.Request) -> web.Response:
    """All spans of the traces that have one that fits; as many traces as may be in one answer."""
    asked(request.query, truth, False, "query.rawTraces", "query.raw_traces")
    hits = (await find_traces(request.app[STORE], read_search_v3(request))).hits
    wanted = hits[: first_that_fit(hits, request.app[SETTINGS].max_spans)]
    return await _traces(request, [hit.trace_id for hit in wanted], "No traces found")


async def get_trace(request: web.Request) -> web.Response:
    """All spans of a trace, of any age."""
    asked(request.query, truth, False, "rawTraces", "raw_traces")
    return await _traces(request, [parsed("trace_id", request.match_info["trace_id"], lenient_trace_id)], "No traces found")


async def _traces(request: web.Request, trace_ids: list[str], none_found: str) -> web.Response:
    found = await find_whole_traces(
        request.app[STORE], trace_ids, workspace=request[CALLER].workspace, max_spans=request.app[SETTINGS].max_spans
    )
    if not found:
        raise Problem(404, "Unknown trace", none_found)

    def render(traces: list[Spans]) -> bytes:
        return written({"result": {"resourceSpans": [each for spans in traces for each in resource_spans(spans, OTLP)]}})

    # Large traces take a while: not on the event loop.
    return web.Response(body=await asyncio.to_thread(render, found), content_type=JSON)


async def list_summaries(request: web.Request) -> web.Response:
    """The traces that have a span that fits, each summed up over all its spans."""
    hits = (await find_traces(request.app[STORE], read_search_v3(request))).hits
    orphans = await count_orphans(request.app[STORE], [hit.trace_id for hit in hits], workspace=request[CALLER].workspace)
    return answer({"summaries": [_summary(hit, orphans.get(hit.trace_id, 0)) for hit in hits]})


def _summary(hit: Hit, orphans: int) -> dict[str, Any]:
    summary = {
        "traceId": hit.trace_id,
        "rootServiceName": hit.root_service,
        "rootOperationName": hit.root_name,
        "minStartTimeUnixNano": str(hit.start),
        "maxEndTimeUnixNano": str(hit.start + hit.duration),
        "spanCount": hit.span_count,
        "errorSpanCount": hit.error_count,
        "orphanSpanCount": orphans,
        "services": [
            _present({"name": service.name, "spanCount": service.span_count, "errorSpanCount": service.error_count})
            for service in hit.services
        ],
    }
    return _present(summary)


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """Without those that are nothing, as protobuf's mapping to JSON leaves them out."""
    return {name: value for name, value in members.items() if value}


ROUTES: Final = (
    web.get(f"{PREFIX}/services", list_services),
    web.get(f"{PREFIX}/operations", list_operations),
    web.get(f"{PREFIX}/traces", search_traces),
    web.get(f"{PREFIX}/traces/{{trace_id}}", get_trace),
    web.get(f"{PREFIX}/trace-summaries", list_summaries),
)
