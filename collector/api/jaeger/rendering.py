"""Traces in the JSON of Jaeger's page, and the envelope that they come in.

Times are whole microseconds, cut off rather than rounded, so that nothing begins before what caused it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from collector.api.problems import Problem
from collector.api.rendering import UNKNOWN_SERVICE, json_bytes, number
from collector.query.attributes import Attributes, Value, typed_values
from collector.query.spans import Event, Resource, Spans
from collector.query.store import ERROR, KINDS, STATUS_CODES
from collector.query.tree import ROOT, build_tree

_MICROSECOND: Final = 10**3
_EXACT: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps."""
_SAMPLED_FLAGS: Final = 0xFF

Tag = dict[str, Any]


def envelope(data: Any, *, total: int = 0, errors: Sequence[dict[str, Any]] | None = None) -> dict[str, Any]:
    """What every answer is in."""
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors or None}


def error_answer(problem: Problem) -> web.Response:
    """An error in the envelope."""
    body = orjson.dumps(envelope(None, errors=[{"code": problem.status, "msg": problem.detail}]))
    return web.Response(status=problem.status, body=body, content_type="application/json")


def answer(document: dict[str, Any], *, pretty: bool = False) -> web.Response:
    """A 200 with the document, indented on request."""
    return web.Response(body=written(document, pretty=pretty), content_type="application/json")


def written(document: dict[str, Any], *, pretty: bool = False) -> bytes:
    """The bytes of a document."""
    body = json_bytes(document)
    return json.dumps(orjson.loads(body), indent=4, ensure_ascii=False).encode() if pretty else body


def trace(spans: Spans, *, raw: bool = False) -> dict[str, Any]:
    """A trace. Unless it is `raw`, spans bear what is odd about their place in the tree as warnings, and refer to each other so
    that pages draw that tree: of a client and a server with one id, the server gets another; nothing is its own ancestor."""
    processes: dict[tuple[str, Resource], str] = {}
    warnings: list[list[str]] = [[] for _ in range(len(spans))]
    span_ids, parent_ids = list(spans.span_ids), list(spans.parent_span_ids)
    if not raw:
        tree = build_tree(spans)
        for warning in tree.warnings:
            warnings[warning.row].append(warning.text)
            if warning.kind == "shared-span-id":
                span_ids[warning.row] = _id_of_server(spans, warning.row)
            elif warning.kind in ("cycle", "own-parent"):
                parent_ids[warning.row] = ""
        parent_ids = [
            parent_id if above == ROOT else span_ids[above] for parent_id, above in zip(parent_ids, tree.parents, strict=True)
        ]
    rendered = [
        {
            "traceID": spans.trace_id,
            "spanID": span_ids[row],
            "flags": spans.flags[row] & _SAMPLED_FLAGS,
            "operationName": spans.names[row],
            "references": list(_references(spans, row, parent_ids[row])),
            "startTime": spans.starts[row] // _MICROSECOND,
            "duration": spans.durations[row] // _MICROSECOND,
            "tags": [*_tags(spans.attributes[row]), *_fields(spans, row)],
            "logs": [_log(event) for event in spans.events[row]],
            "processID": processes.setdefault((spans.services[row], spans.resources[row]), f"p{len(processes) + 1}"),
            "warnings": warnings[row] or None,
        }
        for row in range(len(spans))
    ]
    return {
        "traceID": spans.trace_id,
        "spans": rendered,
        "processes": {
            name: {
                "serviceName": service or UNKNOWN_SERVICE,
                "tags": [tag for tag in _tags(resource.attributes) if tag["key"] != "service.name"],
            }
            for (service, resource), name in processes.items()
        },
        "warnings": None if spans.complete else [f"The trace is larger: these are its earliest {len(spans)} spans."],
    }


def _id_of_server(spans: Spans, row: int) -> str:
    """An id for a server that shares its client's: always the same one."""
    what = f"{spans.trace_id} {spans.span_ids[row]} {spans.services[row]} {spans.starts[row]}"
    return hashlib.blake2b(what.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _references(spans: Spans, row: int, parent_id: str) -> Iterator[dict[str, str]]:
    # The parent stands first: readers take the first reference that leads to a span.
    if parent_id:
        yield {"refType": "CHILD_OF", "traceID": spans.trace_id, "spanID": parent_id}
    for link in spans.links[row]:
        yield {"refType": "FOLLOWS_FROM", "traceID": link.trace_id, "spanID": link.span_id}


def _fields(spans: Spans, row: int) -> Iterator[Tag]:
    """What Jaeger has no members for."""
    kind, status, scope = spans.kinds[row], spans.status_codes[row], spans.scopes[row]
    if kind:
        yield _tag("span.kind", KINDS[kind].lower() if kind in range(len(KINDS)) else str(kind))
    if status == ERROR:
        yield _tag("error", True)
    if status:
        yield _tag("otel.status_code", STATUS_CODES[status].upper() if status in range(len(STATUS_CODES)) else str(status))
    for key, text in (
        ("otel.status_description", spans.status_messages[row]),
        ("otel.scope.name", scope.name),
        ("otel.scope.version", scope.version),
        ("w3c.tracestate", spans.trace_states[row]),
    ):
        if text:
            yield _tag(key, text)
    yield from _tags(scope.attributes)


def _log(event: Event) -> dict[str, Any]:
    named = [_tag("event", event.name)] if event.name else []
    return {"timestamp": event.time // _MICROSECOND, "fields": [*named, *_tags(event.attributes)]}


def _tags(attributes: Attributes) -> list[Tag]:
    return [_tag(key, value) for key, value in typed_values(attributes)]


def _tag(key: str, value: Value) -> Tag:
    match value:
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int():
            return {"key": key, "type": "int64", "value": value if -_EXACT <= value <= _EXACT else str(value)}
        case float():
            return {"key": key, "type": "float64", "value": number(value)}
        case bytes():
            return {"key": key, "type": "binary", "value": base64.b64encode(value).decode()}
        case str():
            return {"key": key, "type": "string", "value": value}
        case None:
            return {"key": key, "type": "string", "value": ""}
    return {"key": key, "type": "string", "value": json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))}


def _plain(value: Value) -> Any:
    """A nested value as JSON has it, bytes in base64."""
    match value:
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case bytes():
            return base64.b64encode(value).decode()
        case float():
            return number(value)
    return value
