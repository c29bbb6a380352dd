"""Tempo's traces by id, in both versions, and what Grafana asks to see whether anybody is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from aiohttp import web

from collector.api.asked import lenient_trace_id, parsed
from collector.api.otlp_json import PROTOBUF as PROTOBUF_JSON
from collector.api.otlp_json import resource_spans
from collector.api.problems import BadParameter, Problem
from collector.api.rendering import UNKNOWN_SERVICE, json_bytes, json_response
from collector.api.routing import CALLER, JSON, SETTINGS, STORE
from collector.api.traces import prefers_protobuf
from collector.query.otlp import to_traces_data
from collector.query.spans import Spans
from collector.query.trace import find_trace

PREFIX: Final = "/tempo/api"
_PROTOBUF: Final = "application/protobuf"
_PARTIAL: Final = 1
"""The number of PARTIAL among Tempo's statuses; COMPLETE is 0, and not written."""


def error_answer(problem: Problem) -> web.Response:
    """An error as Tempo words it: a line of text."""
    return web.Response(status=problem.status, text=problem.detail)


async def echo(_: web.Request) -> web.Response:
    """Grafana's health check."""
    return web.Response(text="echo")


async def build_information(_: web.Request) -> web.Response:
    """What Grafana reads to know what may be asked: the version is that of the Tempo whose requests are served."""
    own = version("spanhouse")
    return json_response(
        {"version": "2.6.0", "revision": f"spanhouse-{own}", "branch": "", "buildDate": "", "buildUser": "", "goVersion": ""}
    )


async def get_trace_v1(request: web.Request) -> web.Response:
    """A trace, of any age; 404 without a body where there is none."""
    spans = await _find(request)
    if spans is None:
        return web.Response(status=404)

    def render() -> tuple[bytes, str]:
        if prefers_protobuf(request.headers.get("Accept", "")):
            return _protobuf(spans), _PROTOBUF
        return json_bytes({"batches": resource_spans(spans, PROTOBUF_JSON)}), JSON

    return await _rendered(render)


def _protobuf(spans: Spans) -> bytes:
    """The trace as Grafana can read it.

    It reads each span's status unasked, and fails without; shows no span whose resource has no attributes; and of one that ends
    before it starts subtracts to centuries.
    """
    data = to_traces_data(spans)
    for resource in data.resource_spans:
        if not resource.resource.attributes:
            resource.resource.attributes.add(key="service.name").value.string_value = UNKNOWN_SERVICE
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.status.SetInParent()
                span.end_time_unix_nano = max(span.end_time_unix_nano, span.start_time_unix_nano)
    return data.SerializeToString()


async def get_trace_v2(request: web.Request) -> web.Response:
    """A trace, of any age; an empty one where there is none."""
    if request.query.get("q"):
        raise BadParameter("q", request.query["q"], "spans of a trace cannot be chosen here; leave it out")
    spans = await _find(request)
    complete = spans is None or spans.complete
    message = "" if complete else f"The trace is larger: these are its earliest {len(spans or ())} spans."

    def render() -> tuple[bytes, str]:
        if prefers_protobuf(request.headers.get("Accept", "")):
            trace = _protobuf(spans) if spans else b""
            status = b"" if complete else bytes((3 << 3, _PARTIAL)) + _member(4, message.encode())
            return _member(1, trace) + _member(2, b"") + status, _PROTOBUF
        trace_json = {"resourceSpans": resource_spans(spans, PROTOBUF_JSON)} if spans else {}
        return json_bytes(
            {"trace": trace_json, "metrics": {}, "status": "COMPLETE" if complete else "PARTIAL", "message": message}
        ), JSON

    return await _rendered(render)


async def _find(request: web.Request) -> Spans | None:
    trace_id = parsed("traceID", request.match_info["trace_id"], lenient_trace_id)
    return await find_trace(
        request.app[STORE], trace_id, workspace=request[CALLER].workspace, max_spans=request.app[SETTINGS].max_spans
    )


async def _rendered(render: Callable[[], tuple[bytes, str]]) -> web.Response:
    # Large traces take a while: not on the event loop.
    body, media_type = await asyncio.to_thread(render)
    return web.Response(body=body, content_type=media_type, headers={"Vary": "Accept"})


def _member(number: int, content: bytes) -> bytes:
    """A message or text as a member of a protobuf message."""
    length = bytearray()
    rest = len(content)
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes((number << 3 | 2,)) + bytes(length) + content


ROUTES: Final = (
    web.get(f"{PREFIX}/echo", echo),
    web.get(f"{PREFIX}/status/buildinfo", build_information),
    web.get(f"{PREFIX}/traces/{{trace_id}}", get_trace_v1),
    web.get(f"{PREFIX}/v2/traces/{{trace_id}}", get_trace_v2),
)
