"""GET /api/v1/topology."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from collector.api import params, rendering, schemas
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.query.percentiles import PERCENTILES
from collector.query.topology import Durations, Edge, Incoming, Node, find_topology

LIMIT: Final = params.limit(1_000, 10_000, "edges, those with the most calls")
SERVICE: Final = params.optional_text("service", "Only what is near this service.", "cart")
DEPTH: Final = params.whole_number("depth", "So many calls away from `service`, towards clients and towards servers.", 1, 1, 10)


async def get_topology(request: web.Request) -> web.Response:
    """Nodes, and the calls between them, in a time range."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    found = await find_topology(
        request.app[STORE],
        start=start,
        end=end,
        service=SERVICE.read(query),
        depth=DEPTH.read(query),
        limit=LIMIT.read(query),
        workspace=request[CALLER].workspace,
    )
    seconds = (found.end - found.start) / 10**9
    return rendering.json_response(
        {
            "startUnixNano": str(found.start),
            "endUnixNano": str(found.end),
            "complete": found.complete,
            "nodes": [_node(node, calls, seconds) for node, calls in found.nodes.items()],
            "edges": [_edge(edge, seconds) for edge in found.edges],
        }
    )


def _node(node: Node, calls: Incoming, seconds: float) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind,
        **_rates(calls.calls, calls.failed, seconds),
        "durations": _durations(calls.durations),
    }


def _edge(edge: Edge, seconds: float) -> dict[str, Any]:
    return {
        "client": {"name": edge.client.name, "kind": edge.client.kind},
        "server": {"name": edge.server.name, "kind": edge.server.kind},
        "connectionType": edge.connection_type,
        **_rates(edge.calls, edge.failed, seconds),
        "clientDurations": _durations(edge.client_durations),
        "serverDurations": _durations(edge.server_durations),
    }


def _rates(calls: float, failed: float, seconds: float) -> dict[str, Any]:
    return {
        "calls": calls,
        "failedCalls": failed,
        "callsPerSecond": calls / seconds,
        "errorRate": failed / calls if calls else 0.0,
    }


def _durations(durations: Durations) -> dict[str, Any] | None:
    if not durations.calls:
        return None
    return {
        "meanNanos": durations.mean,
        **{f"p{percent}Nanos": value for percent, value in zip(PERCENTILES, durations.percentiles, strict=True)},
    }


ROUTES: Final = (
    Route(
        "/api/v1/topology",
        get_topology,
        "Services and what has no spans, and the calls between them in a time range",
        {JSON: schemas.reference("Topology")},
        (params.START, params.END, SERVICE, DEPTH, LIMIT),
    ),
)
