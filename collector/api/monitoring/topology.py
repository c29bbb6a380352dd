"""GET /api/v1/workspaces/{workspace}/topology/difference."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.monitoring.asked import PREFIX
from collector.api.params import Parameter
from collector.api.problems import BadParameter
from collector.api.routing import JSON, NOW, Route
from collector.api.topology import NEAR, asked_topology, edge_facts, edge_identity, node_facts, node_identity
from collector.query.topology_difference import edges, nodes

OTHER_START: Final[Parameter[int | None]] = Parameter(
    "otherStart",
    "Start of the time range that is compared with, as `start`. Default: as much before `otherEnd` as `start` is before `end`.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example="2026-03-01T10:00:00Z",
)
OTHER_END: Final[Parameter[int | None]] = Parameter(
    "otherEnd",
    "End of that time range, as `end`. Default: `start`.",
    {"type": "string"},
    parsing.parse_time,
    None,
    example="2026-03-01T11:00:00Z",
)


async def get_topology_difference(request: web.Request) -> web.Response:
    """Nodes and edges of a time range beside those of another one: what came, what went, and what changed."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    other_end = OTHER_END.read(query)
    other_end = start if other_end is None else other_end
    other_start = OTHER_START.read(query)
    other_start = max(other_end - (end - start), 0) if other_start is None else other_start
    if other_start >= other_end:
        name = OTHER_START.name if OTHER_START.name in query else OTHER_END.name
        raise BadParameter(name, query.get(name, ""), "otherStart must lie before otherEnd")
    current, other = await asyncio.gather(asked_topology(request, start, end), asked_topology(request, other_start, other_end))
    seconds, other_seconds = ((each.end - each.start) / 10**9 for each in (current, other))
    return rendering.json_response(
        {
            "startUnixNano": str(current.start),
            "endUnixNano": str(current.end),
            "otherStartUnixNano": str(other.start),
            "otherEndUnixNano": str(other.end),
            "complete": current.complete and other.complete,
            "nodes": [
                {
                    **node_identity(each.key),
                    **_sides(
                        each.state,
                        None if each.current is None else node_facts(each.current, seconds),
                        None if each.other is None else node_facts(each.other, other_seconds),
                    ),
                }
                for each in nodes(current, other)
            ],
            "edges": [
                {
                    **edge_identity(*each.key),
                    **_sides(
                        each.state,
                        None if each.current is None else edge_facts(each.current, seconds),
                        None if each.other is None else edge_facts(each.other, other_seconds),
                    ),
                }
                for each in edges(current, other)
            ],
        }
    )


def _sides(state: str, current: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    change = None
    if current is not None and other is not None:
        change = {key: rendering.number(current[key] - other[key]) for key in ("callsPerSecond", "errorRate")}
    return {"state": state, "current": current, "other": other, "change": change}


ROUTES: Final = (
    Route(
        f"{PREFIX}/topology/difference",
        get_topology_difference,
        "What differs between the topologies of two time ranges",
        {JSON: schemas.reference("TopologyDifference")},
        (params.START, params.END, OTHER_START, OTHER_END, *NEAR),
    ),
)
