"""Questions whose parameters may stand in a body as well as in the URL, for those that are too long for a URL."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiMapping

from collector.api.bodies import read_object
from collector.api.params import Parameter, refuse_unknown
from collector.api.problems import BadParameter
from collector.api.routing import JSON, Route

Answer = Callable[[web.Request, MultiMapping[str]], Awaitable[web.Response]]
"""Answers a request, of which it reads parameters only from those that it is given."""


def asked_either_way(
    path: str, answer: Answer, summary: str, schema: Mapping[str, Any], parameters: tuple[Parameter[Any], ...]
) -> tuple[Route, Route]:
    """GET with the parameters in the URL, and POST with them as a JSON object in the body."""

    async def by_url(request: web.Request) -> web.Response:
        return await answer(request, request.query)

    async def by_body(request: web.Request) -> web.Response:
        query = parameters_of(await read_object(request))
        refuse_unknown(query, parameters)
        return await answer(request, query)

    name, answers = answer.__name__, {JSON: schema}
    return (
        Route(path, by_url, summary, answers, parameters, operation=name),
        Route(path, by_body, summary, answers, method="POST", body=_body(parameters), operation=f"{name}_by_body"),
    )


def parameters_of(document: Mapping[str, Any]) -> MultiDict[str]:
    """The members of a body as if they stood in a URL.

    Raises:
        BadParameter: a value cannot stand there.
    """
    query: MultiDict[str] = MultiDict()
    for name, value in document.items():
        for item in value if isinstance(value, list) else [value]:
            match item:
                case bool():
                    query.add(name, "true" if item else "false")
                case str() | int():
                    query.add(name, str(item))
                case float() if math.isfinite(item):
                    query.add(name, repr(item))
                case _:
                    raise BadParameter(name, str(item), "must be a text, a number or a boolean, or a list of these")
    return query


def _body(parameters: Sequence[Parameter[Any]]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The parameters of GET, by their names; numbers and booleans may be written as such.",
        "properties": {parameter.name: _member(parameter) for parameter in parameters},
        "additionalProperties": False,
    }


def _member(parameter: Parameter[Any]) -> dict[str, Any]:
    if not parameter.repeatable:
        return {**parameter.schema, "description": parameter.description}
    one = dict(parameter.schema)
    return {"oneOf": [one, {"type": "array", "items": one}], "description": parameter.description}
