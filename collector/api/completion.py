"""GET /api/v1/tags, their values, and the operations of a service: what completes a search that is being typed."""

from __future__ import annotations

from typing import Final, cast, get_args

from aiohttp import web

from collector.api import params, parsing, rendering, schemas
from collector.api.params import Parameter
from collector.api.routing import CALLER, JSON, NOW, STORE, Route
from collector.api.services import NAME_CURSOR, next_cursor
from collector.query.operations import find_operations
from collector.query.tags import TagLevel, TagQuery, find_tag_values, find_tags

LIMIT: Final = params.limit(100, 1000, "names")
PREFIX: Final[Parameter[str]] = Parameter("prefix", "What the names begin with.", {"type": "string"}, str, "", example="http.")
LEVEL: Final[Parameter[str | None]] = Parameter(
    "level",
    "Only attributes of these.",
    {"type": "string", "enum": list(get_args(TagLevel))},
    parsing.choice(get_args(TagLevel)),
    None,
)
SERVICE: Final[Parameter[str]] = Parameter(
    "service", params.SERVICE.description, {"type": "string"}, str, "", required=True, example="cart"
)
_MOST_OPERATIONS: Final = 10_000


async def list_tags(request: web.Request) -> web.Response:
    """Keys of attributes in their order."""
    limit = LIMIT.read(request.query)
    found = await find_tags(request.app[STORE], _asked(request, limit + 1), NAME_CURSOR.read(request.query))
    return rendering.json_response(
        {
            "tags": [{"key": tag.key, "levels": list(tag.levels)} for tag in found[:limit]],
            "nextCursor": next_cursor([tag.key for tag in found], limit),
        }
    )


async def list_tag_values(request: web.Request) -> web.Response:
    """Values of attributes with one key in their order."""
    limit = LIMIT.read(request.query)
    found = await find_tag_values(request.app[STORE], _asked(request, limit + 1), request.match_info["key"])
    return rendering.json_response({"values": found[:limit], "complete": len(found) <= limit})


async def list_operations(request: web.Request) -> web.Response:
    """Names of a service's spans in their order, each with its kinds."""
    return await _operations_of(request, request.match_info["service"])


async def list_operations_by_query(request: web.Request) -> web.Response:
    """The same of a service that a parameter names."""
    return await _operations_of(request, SERVICE.read(request.query))


async def _operations_of(request: web.Request, service: str) -> web.Response:
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    limit, prefix = LIMIT.read(query), PREFIX.read(query)
    found = await find_operations(
        request.app[STORE],
        start=start,
        end=end,
        service=service,
        kind=params.KIND.read(query),
        limit=_MOST_OPERATIONS + 1,
        workspace=request[CALLER].workspace,
    )
    kinds: dict[str, list[str]] = {}
    for name, kind in found[:_MOST_OPERATIONS]:
        if name.startswith(prefix):
            kinds.setdefault(name, []).append(kind.lower())
    operations = [{"name": name, "kinds": kinds[name]} for name in list(kinds)[:limit]]
    return rendering.json_response({"operations": operations, "complete": len(kinds) <= limit and len(found) <= _MOST_OPERATIONS})


def _asked(request: web.Request, limit: int) -> TagQuery:
    """What is asked of attributes, of which so many are looked for."""
    query = request.query
    start, end = params.time_range(query, request.app[NOW]())
    # The parameter's own choice of values is that of the type.
    level = cast("TagLevel | None", LEVEL.read(query))
    return TagQuery(request[CALLER].workspace, start, end, level, PREFIX.read(query), limit)


_RANGE: Final = (params.START, params.END)
ROUTES: Final = (
    Route(
        "/api/v1/tags",
        list_tags,
        "Keys of attributes that spans have in the hours of a time range, for completion",
        {JSON: schemas.reference("Tags")},
        (*_RANGE, LEVEL, PREFIX, LIMIT, NAME_CURSOR),
    ),
    Route(
        "/api/v1/tags/{key}/values",
        list_tag_values,
        "Some values of attributes in the hours of a time range, for completion",
        {JSON: schemas.reference("TagValues")},
        (*_RANGE, LEVEL, PREFIX, LIMIT),
    ),
    Route(
        "/api/v1/services/{service}/operations",
        list_operations,
        "Names of the spans of a service in a time range",
        {JSON: schemas.reference("Operations")},
        (*_RANGE, params.KIND, PREFIX, LIMIT),
    ),
    Route(
        "/api/v1/operations",
        list_operations_by_query,
        "The same of a service whose name cannot stand in a path: the empty one, of spans without a name of a service",
        {JSON: schemas.reference("Operations")},
        (*_RANGE, SERVICE, params.KIND, PREFIX, LIMIT),
    ),
)
