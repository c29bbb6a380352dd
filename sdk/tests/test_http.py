"""Middlewares in real frameworks, with OpenTelemetry's instrumentation and without: ids in are ids out."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fastapi
import flask
import httpx
import pytest
import uvicorn
from opentelemetry import propagate, trace
from opentelemetry.instrumentation import propagators
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.trace import SpanKind
from spanhouse_sdk import asgi, get_trace_id, wsgi
from spanhouse_sdk.failures import Failure, FailureRule
from spanhouse_sdk.tracing_config import TracingConfig
from spanhouse_sdk.xtrace import XTraceResponsePropagator
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from werkzeug.serving import make_server

from tests.support.daemon import eventually as until
from tests.support.django_cart import django_asgi, django_wsgi

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
XTRACE = {"X-Trace-ID": str(uuid.UUID(TRACE)), "X-Span-ID": SPAN}
W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def outgoing() -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def rule(failure: Failure, **match: Any) -> FailureRule:
    return FailureRule(uuid.UUID(int=1), failure, 1.0, time.time() + 60, **match)


def fastapi_app(*, instrumented: bool) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_middleware(asgi.TraceMiddleware)

    @app.get("/cart/{number}")
    async def cart(number: int) -> dict[str, Any]:
        in_thread = await asyncio.to_thread(get_trace_id)
        in_task = await asyncio.create_task(asyncio.sleep(0, get_trace_id()))
        return {"ids": [get_trace_id(), in_thread, in_task], "out": outgoing()}

    @app.get("/sync")
    def sync() -> str | None:
        return get_trace_id()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("broken")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for _ in range(3):
                yield get_trace_id() or "-"

        return StreamingResponse(parts())

    if instrumented:
        FastAPIInstrumentor.instrument_app(app)
    return app


def starlette_app() -> Starlette:
    async def cart(request: Request) -> JSONResponse:
        return JSONResponse({"ids": [get_trace_id()], "out": outgoing()})

    async def broken(request: Request) -> JSONResponse:
        raise RuntimeError("broken")

    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for _ in range(3):
                yield get_trace_id() or "-"

        return StreamingResponse(parts())

    routes = [Route("/cart/{number}", cart), Route("/broken", broken), Route("/stream", stream)]
    return Starlette(routes=routes, middleware=[Middleware(asgi.TraceMiddleware)])


def flask_app(*, instrumented: bool) -> flask.Flask:
    app = flask.Flask("cart")
    app.wsgi_app = wsgi.TraceMiddleware(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/cart/<int:number>")
    def cart(number: int) -> dict[str, Any]:
        return {"ids": [get_trace_id()], "out": outgoing()}

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(get_trace_id() or "-" for _ in range(3))

    if instrumented:
        FlaskInstrumentor().instrument_app(app)
    return app


def client(kind: str) -> httpx.Client | Any:
    framework, _, instrumented = kind.partition("+")
    app = APPLICATIONS[framework](instrumented=bool(instrumented))
    if framework in ("flask", "django"):
        return httpx.Client(transport=httpx.WSGITransport(app, raise_app_exceptions=False), base_url="http://cart")
    return _Asynchronous(app)


class _Asynchronous:
    """Asks an ASGI application, each time from an event loop of its own."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://cart") as asking:
                return await asking.get(path, **options)

        return asyncio.run(ask())


APPLICATIONS: dict[str, Callable[..., Any]] = {
    "starlette": lambda instrumented: starlette_app(),
    "fastapi": fastapi_app,
    "flask": flask_app,
    "django": lambda instrumented: wsgi.TraceMiddleware(django_wsgi(instrumented=instrumented)),
    "django-asgi": lambda instrumented: asgi.TraceMiddleware(django_asgi(instrumented=instrumented)),
}
# FastAPI makes spans by itself, unless OpenTelemetry's instrumentation does; Starlette makes none.
KINDS = [
    "starlette",
    "fastapi",
    "fastapi+opentelemetry",
    "flask",
    "flask+opentelemetry",
    "django",
    "django+opentelemetry",
    "django-asgi",
    "django-asgi+opentelemetry",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("headers", [XTRACE, W3C, {**XTRACE, **W3C}], ids=["xtrace", "w3c", "both"])
def test_ids_in_are_ids_out(kind: str, headers: dict[str, str], spans: Callable[[], list[Any]]) -> None:
    answer = client(kind).get("/cart/7", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-trace-id"] == TRACE
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert (f"{server.context.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert answer.headers.get_list("x-span-id") == [f"{server.context.span_id:016x}"]
    assert answer.headers["x-parent-span-id"] == SPAN
    told = answer.json()
    assert set(told["ids"]) == {TRACE}
    assert told["out"]["x-trace-id"] == TRACE
    assert told["out"]["traceparent"].split("-")[1:3] == [TRACE, told["out"]["x-span-id"]]
    assert told["out"]["x-span-id"] in {f"{span.context.span_id:016x}" for span in spans()}


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_told_once_where_instrumentations_tell_them_too(kind: str, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    monkeypatch.setattr(propagators, "_RESPONSE_PROPAGATOR", XTraceResponsePropagator())
    answer = client(kind).get("/cart/7", headers=W3C)
    assert answer.headers.get_list("x-trace-id") == [TRACE]
    assert len(answer.headers.get_list("x-span-id")) == 1


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "within"])
def test_djangos_instrumentation_tells_ids_alone_and_makes_a_child_within_a_middleware(
    alone: bool, monkeypatch: pytest.MonkeyPatch, spans: Callable[[], list[Any]]
) -> None:
    monkeypatch.setattr(propagators, "_RESPONSE_PROPAGATOR", XTraceResponsePropagator())
    app = django_wsgi(instrumented=True)
    transport = httpx.WSGITransport(app if alone else wsgi.TraceMiddleware(app))
    answer = httpx.Client(transport=transport, base_url="http://cart").get("/cart/7", headers=XTRACE)
    django, *middleware = spans()
    assert django.name == "GET cart/<int:number>"
    assert answer.headers.get_list("x-trace-id") == [TRACE]
    assert answer.headers.get_list("x-span-id") == [f"{django.context.span_id:016x}"]
    assert [f"{span.context.span_id:016x}" for span in middleware] == ([] if alone else [f"{django.parent.span_id:016x}"])
    assert f"{[django, *middleware][-1].parent.span_id:016x}" == SPAN


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_without_ids_begins_a_trace(kind: str, spans: Callable[[], list[Any]]) -> None:
    answer = client(kind).get("/cart/7")
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert server.parent is None
    assert answer.headers["x-trace-id"] == f"{server.context.trace_id:032x}" == answer.json()["ids"][0]
    assert "x-parent-span-id" not in answer.headers


@pytest.mark.parametrize("kind", KINDS)
def test_propagation_that_is_switched_off_is_off_and_ids_are_told_all_the_same(kind: str, told: Any) -> None:
    told.say(TracingConfig(propagate_context=False))
    answer = client(kind).get("/cart/7", headers=W3C)
    assert answer.json()["out"] == {}
    assert answer.headers["x-trace-id"] == TRACE


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_switched_off_works_on_without_spans(kind: str, told: Any, spans: Callable[[], list[Any]]) -> None:
    told.say(TracingConfig(0.0))
    answer = client(kind).get("/cart/7", headers=W3C)
    assert answer.json()["ids"][0] == TRACE
    assert answer.json()["out"]["traceparent"].endswith("-00")
    assert spans() == []


@pytest.mark.parametrize("kind", KINDS)
def test_exceptions_and_streams_end_their_spans(kind: str, spans: Callable[[], list[Any]]) -> None:
    broken = client(kind).get("/broken", headers=W3C)
    assert broken.status_code == 500
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert not server.status.is_ok
    assert client(kind).get("/stream", headers=W3C).text == TRACE * 3
    assert len([span for span in spans() if span.kind is SpanKind.SERVER]) == 2
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("kind", KINDS)
def test_what_fails_on_purpose_fails_as_it_should_and_is_marked(kind: str, told: Any, spans: Callable[[], list[Any]]) -> None:
    asking = client(kind)
    for failure, status in [
        (Failure("error", 418, "tea"), 418),
        (Failure("unavailable"), 503),
        (Failure("timeout", 504, mean=1000), 504),
        (Failure("latency", mean=1000), 200),
    ]:
        told.say(rules=(rule(failure, paths=("/cart/*",), headers={"x-chaos": "y*"}),))
        before = len(spans())
        assert asking.get("/cart/7", headers={"X-Chaos": "no"}).status_code == 200
        assert asking.get("/cart/7", headers={"X-Chaos": "yes"}).status_code == status
        marked = [span for span in spans()[before:] if "spanhouse.failure.rule" in span.attributes]
        assert [dict(span.attributes)["spanhouse.failure.type"] for span in marked] == [failure.type]
    told.say(rules=(rule(Failure("unavailable"), attributes={"http.request.method": "POST"}),))
    assert asking.get("/cart/7").status_code == 200


def test_threads_of_starlette_have_the_context(spans: Callable[[], list[Any]]) -> None:
    assert client("fastapi").get("/sync", headers=XTRACE).json() == TRACE


@pytest.mark.parametrize(
    ("kind", "route"),
    [("starlette", "/cart/{number}"), ("flask", "/cart/<int:number>"), ("flask+opentelemetry", "/cart/<int:number>")],
)
def test_a_span_of_ours_has_the_name_of_its_route(kind: str, route: str, spans: Callable[[], list[Any]]) -> None:
    client(kind).get("/cart/7")
    (span,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert span.name == f"GET {route}"
    assert dict(span.attributes)["http.route"] == route
    assert dict(span.attributes)["http.response.status_code"] == 200


@pytest.mark.parametrize("kind", ["starlette", "flask"])
def test_a_span_of_a_request_without_a_route_has_the_name_of_its_method(kind: str, spans: Callable[[], list[Any]]) -> None:
    assert client(kind).get("/nowhere").status_code == 404
    (span,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert span.name == "GET"


@contextmanager
def served(kind: str) -> Iterator[int]:
    """A port on which a real server answers."""
    if kind == "flask":
        server: Any = make_server("127.0.0.1", 0, flask_app(instrumented=False))
        port, run, stop = server.server_port, server.serve_forever, server.shutdown
    else:
        uvicorns = uvicorn.Server(uvicorn.Config(fastapi_app(instrumented=False), port=0, log_level="critical", lifespan="off"))
        socket = uvicorns.config.bind_socket()
        port = socket.getsockname()[1]

        def run() -> None:
            uvicorns.run([socket])

        def stop() -> None:
            uvicorns.should_exit = True

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: kind == "flask" or uvicorns.started, "a server")
    try:
        yield port
    finally:
        stop()
        thread.join()
        if kind == "flask":
            server.server_close()


@pytest.mark.parametrize("kind", ["fastapi", "flask"])
def test_a_reset_breaks_the_connection(kind: str, told: Any) -> None:
    told.say(rules=(rule(Failure("reset")),))
    with served(kind) as port:
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/cart/7")
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                connection.getresponse().read()
            connection.close()


def test_paths_of_wsgi_are_text_and_a_status_that_is_none_is_for_the_server(spans: Callable[[], list[Any]]) -> None:
    def answer(environ: Any, start_response: Any) -> list[bytes]:
        start_response("fine", [])
        return []

    heard: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/größe".encode().decode("latin-1"), "wsgi.url_scheme": "http"}
    body = wsgi.TraceMiddleware(answer)(environ, lambda status, headers: heard.append((status, dict(headers))))
    body.close()  # type: ignore[attr-defined]  # servers call it where it is
    (span,) = spans()
    assert span.attributes["url.path"] == "/größe"
    assert heard[0][0] == "fine"
    assert heard[0][1]["x-trace-id"] == f"{span.context.trace_id:032x}"


def test_an_application_that_is_wrapped_tells_ids_with_exceptions_too(told: Any) -> None:
    async def broken(_: Request) -> None:
        raise RuntimeError("broken")

    async def ask() -> httpx.Response:
        app = asgi.TraceMiddleware(Starlette(routes=[Route("/broken", broken)]))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cart") as asking:
            return await asking.get("/broken", headers=XTRACE)

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["x-trace-id"]) == (500, TRACE)
