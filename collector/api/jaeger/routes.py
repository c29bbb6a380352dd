"""Jaeger's JSON API: `/jaeger/api`, in the forms of before and after its searches moved to the API v3."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from collector.api.asked import (
    DAY,
    MILLISECOND,
    MOST_NAMES,
    NAMES_RANGE,
    asked,
    epoch,
    lenient_trace_id,
    parsed,
    required,
    truth,
)
from collector.api.jaeger.rendering import answer, envelope, trace, written
from collector.api.jaeger.searching import read_search
from collector.api.parsing import choice
from collector.api.problems import BadParameter, Problem
from collector.api.routing import CALLER, JSON, NOW, SETTINGS, STORE
from collector.calls import BY_USER, CONNECTIONS, MESSAGING, NODES
from collector.query.operations import Operation, find_operations
from collector.query.search import find_hits, find_traces
from collector.query.services import find_services
from collector.query.store import KINDS
from collector.query.topology import Edge, find_topology
from collector.query.trace import find_trace
from collector.query.whole_traces import find_whole_traces, first_that_fit

PREFIX: Final = "/jaeger/api"
_MOST_IDS: Final = 100


def _pretty(request: web.Request) -> bool:
    return request.query.get("prettyPrint", "false") not in ("", "false")


async def service_names(request: web.Request) -> list[str]:
    """Services with spans in the last days, in order."""
    end = request.app[NOW]() + 1
    found = await find_services(
        request.app[STORE],
        start=max(end - NAMES_RANGE, 0),
        end=end,
        limit=MOST_NAMES,
        workspace=request[CALLER].workspace,
    )
    return [service.name for service in found if service.name]


async def operations_of(request: web.Request, service: str | None) -> list[Operation]:
    """Operations of the last days, in order; of the kind that the request asks for."""
    end = request.app[NOW]() + 1
    return await find_operations(
        request.app[STORE],
        start=max(end - NAMES_RANGE, 0),
        end=end,
        service=service,
        kind=asked(request.query, choice(KINDS), None, "spanKind", "span_kind"),
        limit=MOST_NAMES,
        workspace=request[CALLER].workspace,
    )


async def list_services(request: web.Request) -> web.Response:
    """Names of services."""
    names = await service_names(request)
    return answer(envelope(names, total=len(names)), pretty=_pretty(request))


async def list_operation_names(request: web.Request) -> web.Response:
    """Names of a service's operations, of any kind."""
    found = await operations_of(request, request.match_info["service"])
    names = list(dict.fromkeys(operation.name for operation in found))
    return answer(envelope(names, total=len(names)), pretty=_pretty(request))


async def list_operations(request: web.Request) -> web.Response:
    """Names and kinds of a service's operations."""
    found = await operations_of(request, required(request.query, "service", "the name of a service"))
    data = [{"name": name, "spanKind": kind.lower() if kind != KINDS[0] else ""} for name, kind in found]
    return answer(envelope(data, total=len(data)), pretty=_pretty(request))


async def search_traces(request: web.Request) -> web.Response:
    """Whole traces: those with a span that fits, the newest first, or those that are named."""
    raw = asked(request.query, truth, False, "raw")
    errors = []
    if "traceID" in request.query:
        texts = request.query.getall("traceID")
        if len(texts) > _MOST_IDS:
            raise BadParameter("traceID", texts[_MOST_IDS], f"may be given {_MOST_IDS} times at most")
        wanted = list(dict.fromkeys(parsed("traceID", text, lenient_trace_id) for text in texts))
        hits = await find_hits(request.app[STORE], wanted, request[CALLER].workspace)
        known = {hit.trace_id for hit in hits}
        errors = [{"code": 404, "msg": "trace not found", "traceID": each} for each in wanted if each not in known]
    else:
        hits = (await find_traces(request.app[STORE], read_search(request))).hits
    max_spans = request.app[SETTINGS].max_spans
    count = first_that_fit(hits, max_spans)
    left_out = f"left out, for an answer has at most {max_spans} spans; ask for it alone"
    errors += [{"code": 413, "msg": left_out, "traceID": hit.trace_id} for hit in hits[count:]]
    found = await find_whole_traces(
        request.app[STORE], [hit.trace_id for hit in hits[:count]], workspace=request[CALLER].workspace, max_spans=max_spans
    )

    def render() -> bytes:
        return written(envelope([trace(spans, raw=raw) for spans in found], errors=errors), pretty=_pretty(request))

    # Large traces take a while: not on the event loop.
    return web.Response(body=await asyncio.to_thread(render), content_type=JSON)


async def get_trace(request: web.Request) -> web.Response:
    """One trace, of any age: the times that clients send as a hint are not needed."""
    raw = asked(request.query, truth, False, "raw")
    trace_id = parsed("traceID", request.match_info["trace_id"], lenient_trace_id)
    spans = await find_trace(
        request.app[STORE], trace_id, workspace=request[CALLER].workspace, max_spans=request.app[SETTINGS].max_spans
    )
    if spans is None:
        raise Problem(404, "Unknown trace", "trace not found")

    def render() -> bytes:
        return written(envelope([trace(spans, raw=raw)]), pretty=_pretty(request))

    return web.Response(body=await asyncio.to_thread(render), content_type=JSON)


async def list_dependencies(request: web.Request) -> web.Response:
    """Which service called which, how often, how long it took and what failed."""
    query = request.query
    end = asked(query, epoch(MILLISECOND), request.app[NOW](), "endTs")
    lookback = asked(query, epoch(MILLISECOND), DAY, "lookback")
    found = await find_topology(
        request.app[STORE],
        start=max(end - lookback, 0),
        end=end + 1,
        service=query.get("service") or None,
        workspace=request[CALLER].workspace,
    )
    # A user is nobody who could be looked at.
    data = [_dependency(edge) for edge in found.edges if edge.client.kind != NODES[BY_USER]]
    return answer(envelope(data), pretty=_pretty(request))


def _dependency(edge: Edge) -> dict[str, object]:
    durations = edge.server_durations if edge.server_durations.calls else edge.client_durations
    percentiles = durations.percentiles if durations.calls else []
    return {
        "parent": edge.client.name,
        "child": edge.server.name,
        "callCount": round(edge.calls),
        "errorCount": round(edge.failed),
        "async": edge.connection_type == CONNECTIONS[MESSAGING],
        **{name: round(value / 1000) for name, value in zip(("p50", "p95", "p99"), percentiles, strict=False)},
    }


ROUTES: Final = (
    web.get(f"{PREFIX}/services", list_services),
    # Grafana's data source leaves the slashes in a name as they are.
    web.get(f"{PREFIX}/services/{{service:.+}}/operations", list_operation_names),
    web.get(f"{PREFIX}/operations", list_operations),
    web.get(f"{PREFIX}/traces", search_traces),
    web.get(f"{PREFIX}/traces/{{trace_id}}", get_trace),
    web.get(f"{PREFIX}/dependencies", list_dependencies),
)
