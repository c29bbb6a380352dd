"""GET /api/v1/topology, and the same below a workspace."""

from __future__ import annotations

from typing import Any, Final, cast, get_args

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.query.percentiles import PERCENTILES
from collector.query.topology import Direction, Durations, Edge, Incoming, Node, Topology, find_topology
from collector.query.topology_export import as_dot, as_mermaid

DOT: Final = "text/vnd.graphviz"
MERMAID: Final = "text/vnd.mermaid"

LIMIT: Final = params.limit(1_000, 10_000, "edges, those with the most calls")
SERVICE: Final = params.optional_text("service", "Only what is near this service.", "cart")
DEPTH: Final = params.whole_number("depth", "So many calls away from `service`.", 1, 1, 10)
DIRECTION: Final[params.Parameter[str]] = params.Parameter(
    "direction",
    "From `service` to those that it calls (`downstream`), to those that call it (`upstream`), or both.",
    {"type": "string", "enum": list(get_args(Direction)), "default": "both"},
    parsing.choice(get_args(Direction)),
    "both",
)
FORMAT: Final[params.Parameter[str]] = params.Parameter(
    "format",
    "JSON, or a text for Graphviz or Mermaid to draw.",
    {"type": "string", "enum": ["json", "dot", "mermaid"], "default": "json"},
    parsing.choice(("json", "dot", "mermaid")),
    "json",
)
_TEXTS: Final = {"dot": (DOT, as_dot), "mermaid": (MERMAID, as_mermaid)}


async def get_topology(request: web.Request) -> web.Response:
    """Nodes, and the calls between them, in a time range."""
    start, end = params.time_range(request.query, request.app[NOW]())
    found = await asked_topology(request, start, end)
    form = FORMAT.read(request.query)
    if form in _TEXTS:
        media_type, text_of = _TEXTS[form]
        return web.Response(text=text_of(found), content_type=media_type)
    seconds = (found.end - found.start) / 10**9
    return rendering.json_response(
        {
            "startUnixNano": str(found.start),
            "endUnixNano": str(found.end),
            "complete": found.complete,
            "nodes": [{**node_identity(node), **node_facts(calls, seconds)} for node, calls in found.nodes.items()],
            "edges": [
                {**edge_identity(edge.client, edge.server, edge.connection_type), **edge_facts(edge, seconds)}
                for edge in found.edges
            ],
        }
    )


async def asked_topology(request: web.Request, start: int, end: int) -> Topology:
    """The topology of [start, end), nanoseconds, near what the request names."""
    query = request.query
    return await find_topology(
        request.app[STORE],
        start=start,
        end=end,
        service=SERVICE.read(query),
        depth=DEPTH.read(query),
        direction=cast("Direction", DIRECTION.read(query)),
        limit=LIMIT.read(query),
        workspace=request[CALLER].workspace,
    )


def node_identity(node: Node) -> dict[str, Any]:
    """Which node it is."""
    return {"name": node.name, "kind": node.kind}


def edge_identity(client: Node, server: Node, connection_type: str) -> dict[str, Any]:
    """Which edge it is."""
    return {"client": node_identity(client), "server": node_identity(server), "connectionType": connection_type}


def node_facts(calls: Incoming, seconds: float) -> dict[str, Any]:
    """Calls to a node in so many seconds."""
    return {**_rates(calls.calls, calls.failed, seconds), "durations": _durations(calls.durations)}


def edge_facts(edge: Edge, seconds: float) -> dict[str, Any]:
    """The calls of so many seconds."""
    return {
        **_rates(edge.calls, edge.failed, seconds),
        "clientDurations": _durations(edge.client_durations),
        "serverDurations": _durations(edge.server_durations),
    }


def _rates(calls: float, failed: float, seconds: float) -> dict[str, Any]:
    return {
        "calls": rendering.count(calls),
        "failedCalls": rendering.count(failed),
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


NEAR: Final = (SERVICE, DEPTH, DIRECTION, LIMIT)
"""What a topology is cut down to."""
_SUMMARY: Final = "Services and what has no spans, and the calls between them in a time range"
_ANSWERS: Final = {JSON: schemas.reference("Topology"), DOT: None, MERMAID: None}
_PARAMETERS: Final = (params.START, params.END, *NEAR, FORMAT)

ROUTES: Final = (
    Route("/api/v1/topology", get_topology, _SUMMARY, _ANSWERS, _PARAMETERS),
    Route(
        "/api/v1/workspaces/{workspace}/topology",
        get_topology,
        _SUMMARY,
        _ANSWERS,
        _PARAMETERS,
        operation="get_workspace_topology",
    ),
)
