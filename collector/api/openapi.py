"""The OpenAPI document, made from the routes that the application really has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from collector.api import analysis_schemas, schemas
from collector.api.params import Parameter
from collector.api.problems import MEDIA_TYPE
from collector.api.routing import JSON, Route
from collector.api.schemas import reference

COMPONENTS: Final = {**schemas.COMPONENTS, **analysis_schemas.COMPONENTS}
_PATH_PARAMETERS: Final = {
    "workspace": "The workspace: 1 to 64 letters, digits, dots, underscores and hyphens.",
    "service": "The name of a service.",
    "key": "The key of attributes.",
    "config_id": "The id of a tracing config, a UUID.",
    "trace_id": "32 hexadecimal digits in either case, with or without the dashes of a UUID; 16 digits are padded with zeros.",
    "span_id": "16 hexadecimal digits in either case.",
}
_PROBLEMS: Final = {
    "400": "A parameter or header cannot be understood.",
    "401": "The daemon asks for a token, and none came that it knows.",
    "403": "The token does not allow this, or the request comes from another site.",
    "503": "The span store cannot be reached or is busy.",
    "504": "The query took longer than it may.",
}
_SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of a `tokens` extension."},
    "basic": {"type": "http", "scheme": "basic", "description": "The token's name, and the token as password."},
}
_WORKSPACE: Final = {
    "name": "X-Workspace-Id",
    "in": "header",
    "required": False,
    "description": "The workspace that is asked; needed where the token has several. `X-Scope-OrgID` means the same.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "default": "default"},
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": 'The version that is changed, as the header `ETag` of an answer gives it, such as `"3"`.',
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
}


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spanhouse query API",
            "version": version("spanhouse"),
            "description": "Traces, latencies, services and tracing configs. Nanoseconds are strings, because they exceed 2^53. "
            "The APIs of Jaeger, Tempo and Zipkin below /jaeger, /tempo and /zipkin are described by their owners.",
        },
        "paths": _paths(routes),
        "components": {"schemas": COMPONENTS, "securitySchemes": _SECURITY_SCHEMES},
        # The last stands for a daemon that asks nobody.
        "security": [{"bearer": []}, {"basic": []}, {}],
    }


def _paths(routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    problems = {
        **_PROBLEMS,
        **({"404": route.unknown} if route.unknown else {}),
        **({"409": route.conflict} if route.conflict else {}),
        **({"415": "The body is not said to be JSON."} if route.body else {}),
        **({"428": "The header If-Match does not name a version."} if route.names_version else {}),
    }
    in_path = re.findall(r"{(\w+)}", route.path)
    return {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [
            *(_path_parameter(name) for name in in_path),
            *(_query_parameter(parameter) for parameter in route.parameters),
            *([_IF_MATCH] if route.names_version else []),
            *([_WORKSPACE] if "workspace" not in in_path else []),
        ],
        **({"requestBody": {"required": True, "content": {JSON: {"schema": route.body}}}} if route.body else {}),
        "responses": {
            str(route.status): {
                "description": route.summary,
                "content": {
                    media_type: {"schema": schema} if schema is not None else {} for media_type, schema in route.answers.items()
                },
            },
            **{
                status: {"description": text, "content": {MEDIA_TYPE: {"schema": reference("Problem")}}}
                for status, text in sorted(problems.items())
            },
        },
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PATH_PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _query_parameter(parameter: Parameter[Any]) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.repeatable else parameter.schema
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
        **({"style": "form", "explode": True} if parameter.repeatable else {}),
    }
