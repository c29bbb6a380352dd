"""The OpenAPI document, made from the routes that the application really has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from collector.api import (
    alert_deliveries,
    alert_rules,
    alerts,
    analysis_schemas,
    audit,
    channels,
    failure_rules,
    load_test_runs,
    load_tests,
    saved_requests,
    schemas,
    search_tail,
    trace_annotations,
    trace_schemas,
    tracing_schemas,
)
from collector.api.many import schemas as many_schemas
from collector.api.monitoring import schemas as monitoring_schemas
from collector.api.params import SPAN_ID_EXAMPLE, TRACE_ID_EXAMPLE, Parameter
from collector.api.problems import MEDIA_TYPE
from collector.api.routing import JSON, Route
from collector.api.schemas import reference

COMPONENTS: Final = {
    **schemas.COMPONENTS,
    **trace_schemas.COMPONENTS,
    **tracing_schemas.COMPONENTS,
    **analysis_schemas.COMPONENTS,
    **search_tail.COMPONENTS,
    **many_schemas.COMPONENTS,
    **monitoring_schemas.COMPONENTS,
    **trace_annotations.COMPONENTS,
    **audit.COMPONENTS,
    **channels.COMPONENTS,
    **alert_deliveries.COMPONENTS,
    **alert_rules.COMPONENTS,
    **alerts.COMPONENTS,
    **failure_rules.COMPONENTS,
    **load_tests.COMPONENTS,
    **load_test_runs.COMPONENTS,
    **saved_requests.COMPONENTS,
}
_PATH_PARAMETERS: Final = {
    "workspace": ("The workspace: 1 to 64 letters, digits, dots, underscores and hyphens.", "default"),
    "service": ("The name of a service.", "cart"),
    "key": ("The key of attributes.", "http.route"),
    "object_id": ("The id of the object, a UUID.", "8d1c7a52-0f3e-4c55-9a8b-6a0f5de2c1b7"),
    "config_id": ("The id of a tracing config, a UUID.", "3f2b8c1e-7d52-5a4e-9c0e-2f6d7a1b9e40"),
    "alert_id": ("The id of an alert, a UUID.", "0b5d9f5e-6c1a-5a0e-8a49-2f7c0d9c3b61"),
    "execution_id": ("The id of an execution of a saved request, a UUID.", "0d9c2f0e-3b5e-4a6c-8f11-64f7c9d8b3a5"),
    "run_id": ("The id of a run of a load test, a UUID.", "5e0c4c1d-62a4-4b0e-8c39-1b8a53f0d7a2"),
    "trace_id": (
        "32 hexadecimal digits in either case, with or without the dashes of a UUID; 16 digits are padded with zeros.",
        TRACE_ID_EXAMPLE,
    ),
    "span_id": ("16 hexadecimal digits in either case.", SPAN_ID_EXAMPLE),
}
"""Name → what it is, and an example."""
_PROBLEMS: Final = {
    "400": "A parameter, header or body cannot be understood.",
    "401": "The daemon asks for a token, and none came that it knows.",
    "403": "The token does not allow this, or the request comes from another site.",
    "422": "The query would take more than one may.",
    "429": "As many requests about the workspace are being answered as may be; ask again after `Retry-After` seconds.",
    "431": "A header or the URL is too long; searches take their parameters as a body, too.",
    "500": "The daemon has made a mistake; its log says which.",
    "502": "The span store refused the query.",
    "503": "The span store cannot be reached or is busy, or the daemon answers as many requests as it may.",
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
    "example": "default",
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": 'The version that is changed, as the header `ETag` of an answer gives it, such as `"3"`.',
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    "example": '"3"',
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The header `ETag` of an answer before; where the answer would be the same, there is a 304 without it.",
    "schema": {"type": "string"},
    "example": '"9f86d081884c7d659a2feaa0c55ad015"',
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
        **({"413": "The body is too large.", "415": "The body is not said to be JSON."} if route.body else {}),
        **({"428": "The header If-Match does not name a version."} if route.names_version else {}),
    }
    in_path = re.findall(r"{(\w+)}", route.path)
    return {
        "operationId": route.operation or route.handler.__name__,
        "tags": [_tag(route.path)],
        "summary": route.summary,
        "parameters": [
            *(_path_parameter(name) for name in in_path),
            *(_query_parameter(parameter) for parameter in route.parameters),
            *([_IF_MATCH] if route.names_version else []),
            *([_IF_NONE_MATCH] if route.has_tag else []),
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
            **({"304": {"description": "The answer is that which If-None-Match names."}} if route.has_tag else {}),
            **{
                status: {"description": text, "content": {MEDIA_TYPE: {"schema": reference("Problem")}}}
                for status, text in sorted(problems.items())
            },
        },
    }


def _tag(path: str) -> str:
    """What a path is about: its first part that is neither the API's beginning nor the workspace."""
    return path.removeprefix("/api/v1/").removeprefix("workspaces/{workspace}/").partition("/")[0]


def _path_parameter(name: str) -> dict[str, Any]:
    description, example = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
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
        **_example(parameter),
    }


def _example(parameter: Parameter[Any]) -> dict[str, Any]:
    """The member `example`; a value that the schema names serves where the parameter has none of its own."""
    schema = parameter.schema
    if parameter.example:
        return {"example": [parameter.example] if parameter.repeatable else parameter.example}
    if schema["type"] == "boolean":
        return {"example": True}
    named = [*(schema[key] for key in ("default", "minimum") if key in schema), *schema.get("enum", ())]
    return {"example": [named[0]] if parameter.repeatable else named[0]} if named else {}
