"""The OpenAPI document as a page to read: HTML without scripts, which asks no other server for anything.

page = openapi_page(openapi_document(routes))
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

Json = Mapping[str, Any]

_STYLE: Final = files("collector.api").joinpath("openapi_page.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: its own style sheet, and nothing else."""
_BOUNDS: Final = {
    "default": "default",
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "shortest length",
    "maxLength": "longest length",
    "minItems": "fewest items",
    "maxItems": "most items",
    "maxProperties": "most members",
    "pattern": "matches",
    "format": "format",
    "contentEncoding": "encoded as",
}
"""What a schema bounds → in words."""


def openapi_page(document: Json) -> str:
    """The page of an OpenAPI 3.1 document: operations by their tags, then the schemas that they refer to."""
    operations: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    info, schemas = document["info"], document["components"]["schemas"]
    contents = "".join(
        f"<li><a href='#{_anchor('tag', tag)}'>{escape(tag)}</a><ul>"
        + "".join(
            f"<li><a href='#{_anchor('operation', operation['operationId'])}'><b>{method}</b> {escape(path)}</a></li>"
            for method, path, operation in found
        )
        + "</ul></li>"
        for tag, found in operations.items()
    )
    sections = "".join(
        f"<section><h2 id='{_anchor('tag', tag)}'>{escape(tag)}</h2>{''.join(_operation(*each) for each in found)}</section>"
        for tag, found in operations.items()
    )
    described = "".join(
        f"<article><h3 id='{_anchor('schema', name)}'>{escape(name)}</h3>{_described(schema)}</article>"
        for name, schema in sorted(schemas.items())
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<nav><h1>{escape(info['title'])}</h1><p>Version {escape(info['version'])}, as <a href='openapi.json'>OpenAPI</a></p>"
        f"<ul>{contents}<li><a href='#schemas'>schemas</a></li></ul></nav>"
        f"<main><p>{_prose(info['description'])}</p>{sections}<section><h2 id='schemas'>schemas</h2>{described}</section></main>"
        "</body></html>"
    )


def _operation(method: str, path: str, operation: Json) -> str:
    parameters = operation["parameters"]
    body = operation.get("requestBody")
    return (
        f"<article><h3 id='{_anchor('operation', operation['operationId'])}'><b>{method}</b> {escape(path)}</h3>"
        f"<p>{_prose(operation['summary'])}</p><pre>{escape(_request_line(method, path, parameters))}</pre>"
        + (_table(("parameter", "in", "is", "means"), map(_parameter, parameters)) if parameters else "")
        + (f"<h4>Body</h4>{''.join(_media_type(*each) for each in body['content'].items())}" if body else "")
        + "<h4>Answers</h4>"
        + _table(("status", "is", "means"), (_answer(*each) for each in operation["responses"].items()))
        + "</article>"
    )


def _request_line(method: str, path: str, parameters: Iterable[Json]) -> str:
    """An example of a request: with everything in its path, and the parameters that it needs."""
    query = []
    for parameter in parameters:
        example = str(parameter.get("example", ""))
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(example, safe=""))
        elif parameter["in"] == "query" and parameter["required"]:
            query.append((parameter["name"], example))
    return f"{method} {path}{'?' if query else ''}{urlencode(query)}"


def _parameter(parameter: Json) -> tuple[str, ...]:
    example = f"<p>Example: <code>{escape(str(parameter['example']))}</code></p>" if "example" in parameter else ""
    needed = "<p>needed</p>" if parameter["required"] else ""
    return (
        f"<code>{escape(parameter['name'])}</code>{needed}",
        parameter["in"],
        _summed_up(parameter["schema"]),
        f"{_prose(parameter['description'])}{example}",
    )


def _answer(status: str, answer: Json) -> tuple[str, ...]:
    content = "".join(_media_type(*each) for each in answer.get("content", {}).items())
    return status, content, _prose(answer["description"])


def _media_type(name: str, content: Json) -> str:
    return f"<p><code>{escape(name)}</code></p>{_described(content['schema']) if 'schema' in content else ''}"


def _summed_up(schema: Json) -> str:
    """What a value is, in a line, and its members where it has some that have no name of their own."""
    bounds = [f"{words} <code>{escape(str(schema[key]))}</code>" for key, words in _BOUNDS.items() if key in schema]
    return ", ".join([_type(schema), *bounds]) + _members(schema)


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return f"<a href='#{_anchor('schema', name)}'>{escape(name)}</a>"
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    for alternatives in ("oneOf", "anyOf"):
        if alternatives in schema:
            return " or ".join(map(_summed_up, schema[alternatives]))
    if schema.get("type") == "array":
        return f"list of {_summed_up(schema['items'])}" if "items" in schema else "list"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object whose members are each {_summed_up(schema['additionalProperties'])}"
    kinds = schema.get("type", "anything")
    return escape(kinds if isinstance(kinds, str) else " or ".join(kinds))


def _described(schema: Json) -> str:
    description = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    return f"{description}<div>{_summed_up(schema)}</div>"


def _members(schema: Json) -> str:
    needed = schema.get("required", ())
    members = [
        (
            f"<code>{escape(name)}</code>{'' if name in needed else '<p>may be left out</p>'}",
            _summed_up(member),
            _prose(member.get("description", "")),
        )
        for name, member in schema.get("properties", {}).items()
    ]
    return _table(("member", "is", "means"), members) if members else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead><tbody>{body}</tbody></table>"


def _prose(text: str) -> str:
    """A description, in which backticks stand around code."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(parts))


def _anchor(kind: str, name: str) -> str:
    return escape(f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}")
