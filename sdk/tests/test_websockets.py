"""WebSockets of real servers and clients: answers to handshakes tell their ids, and whatever ends a connection ends its spans."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import pytest
import strawberry.asgi
import uvicorn
from ariadne.asgi import GraphQL as AriadneGraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler
from opentelemetry import trace
from opentelemetry.instrumentation import propagators
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind
from spanhouse_sdk import asgi, get_trace_id
from spanhouse_sdk.failures import Failure
from spanhouse_sdk.xtrace import XTraceResponsePropagator
from starlette.applications import Starlette
from starlette.exceptions import WebSocketException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sdk.tests.test_graphql_subscriptions import QUERY, ariadne_schema, strawberry_schema
from sdk.tests.test_http import SPAN, TRACE, W3C, XTRACE, rule
from tests.support.waiting import until


async def answers(websocket: WebSocket) -> None:
    if websocket.path_params["product"] == "none":
        raise WebSocketException(1008)
    await websocket.accept()
    async for question in websocket.iter_text():
        if question == "break":
            raise RuntimeError("broken")
        with trace.get_tracer("cart").start_as_current_span("answer"):
            await websocket.send_text(get_trace_id() or "-")


def application(kind: str) -> Any:
    """FastAPI makes spans by itself, Starlette none, and OpenTelemetry's instrumentation takes FastAPI's place."""
    app: Any = Starlette() if kind == "starlette" else fastapi.FastAPI()
    app.add_middleware(asgi.TraceMiddleware)
    app.router.routes.append(WebSocketRoute("/prices/{product}", answers))
    if kind == "fastapi+opentelemetry":
        FastAPIInstrumentor.instrument_app(app)
    return app


KINDS = ["starlette", "fastapi", "fastapi+opentelemetry"]


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Where a real server answers."""
    config = uvicorn.Config(app, port=0, ws="websockets-sansio", log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    task = asyncio.create_task(server.serve([socket]))
    await until(lambda: server.started)
    yield f"ws://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    await task


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("headers", [XTRACE, W3C], ids=["xtrace", "w3c"])
async def test_ids_in_the_handshake_are_ids_in_its_answer(
    kind: str, headers: dict[str, str], spans: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagators, "_RESPONSE_PROPAGATOR", XTraceResponsePropagator())
    async with (
        served(application(kind)) as url,
        connect(f"{url}/prices/tea", additional_headers=headers) as websocket,
    ):
        assert websocket.response is not None
        answered = websocket.response.headers
        for _ in range(2):
            await websocket.send("?")
            assert await websocket.recv() == TRACE
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert (f"{server.context.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert answered.get_all("x-trace-id") == [TRACE]
    assert answered.get_all("x-span-id") == [f"{server.context.span_id:016x}"]
    assert {f"{span.context.trace_id:032x}" for span in spans()} == {TRACE}
    assert [span.parent.span_id for span in spans() if span.name == "answer"] == [server.context.span_id] * 2


@pytest.mark.parametrize("kind", KINDS)
async def test_connections_that_fail_or_are_refused_end_their_spans_and_no_others(
    kind: str, told: Any, spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async with served(application(kind)) as url:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"{url}/prices/none", additional_headers=W3C)
        async with connect(f"{url}/prices/tea", additional_headers=W3C) as broken:
            await broken.send("break")
            await broken.wait_closed()
        # Connections at the same time have contexts of their own, also where one is cut off.
        one, other = [await connect(f"{url}/prices/tea", additional_headers={"X-Trace-ID": uuid.uuid4().hex}) for _ in range(2)]
        one.transport.abort()
        await other.send("?")
        assert other.response is not None
        assert await other.recv() == other.response.headers["x-trace-id"]
        await other.close()
        told.say(rules=(rule(Failure("unavailable")),))
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"{url}/prices/tea", additional_headers=W3C)
        await until(lambda: len([span for span in spans() if span.kind is SpanKind.SERVER]) == 5)
    of_servers = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert [not span.status.is_ok for span in of_servers].count(True) == 1
    assert "detach" not in caplog.text
    assert not trace.get_current_span().get_span_context().is_valid


async def prices(below: int) -> AsyncIterator[int]:
    for price in range(below):
        yield price
    await asyncio.Event().wait()


def strawberry_server() -> Any:
    return strawberry.asgi.GraphQL(strawberry_schema(prices))


class WithoutTimer(GraphQLTransportWSHandler):
    """Ariadne waits a minute for a client's first message, and goes on to do so when it has come."""

    async def handle_connection_init_timeout(self, *_: Any) -> None:
        pass


def ariadne_server() -> Any:
    return AriadneGraphQL(ariadne_schema(prices), websocket_handler=WithoutTimer())


@pytest.mark.parametrize("server", [strawberry_server, ariadne_server])
@pytest.mark.parametrize("how", ["complete", "close", "abort"])
async def test_subscriptions_that_clients_end_half_way_end_their_spans(
    server: Callable[[], Any], how: str, spans: Callable[[], list[Any]], spans_named: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = Starlette()
    app.add_middleware(asgi.TraceMiddleware)
    app.mount("/graphql", server())
    async with served(app) as url:
        websocket = await connect(f"{url}/graphql/", subprotocols=["graphql-transport-ws"], additional_headers=W3C)
        for message in (
            {"type": "connection_init"},
            {"type": "subscribe", "id": "0", "payload": {"query": "query Name { name }"}},
            {"type": "subscribe", "id": "1", "payload": {"query": QUERY % 3}},
        ):
            await websocket.send(json.dumps(message))
        received = [json.loads(await websocket.recv()) for _ in range(6)]
        read = [each["payload"]["data"] for each in received if each["type"] == "next" and each["id"] == "1"]
        assert read == [{"prices": 0}, {"prices": 1}, {"prices": 2}]
        if how == "complete":
            await websocket.send(json.dumps({"type": "complete", "id": "1"}))
            await until(lambda: bool(spans_named("subscription OnPrice")))
        if how == "abort":
            websocket.transport.abort()
        else:
            await websocket.close()
        await until(lambda: len([span for span in spans() if span.kind is SpanKind.SERVER]) == 1)
    (subscription,) = spans_named("subscription OnPrice")
    (connection,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert (connection.name, f"{connection.parent.span_id:016x}") == ("GET /graphql", SPAN)
    assert subscription.parent.span_id == connection.context.span_id
    payloads = spans_named("Subscription.prices")
    assert len(payloads) == 3
    assert all(span.parent.span_id == subscription.context.span_id for span in payloads)
    assert "detach" not in caplog.text
