"""Servers of aiohttp, with OpenTelemetry's instrumentation and without, over real connections: ids in are ids out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.trace import SpanKind
from spanhouse_sdk import get_trace_id
from spanhouse_sdk.aiohttp import trace_requests
from spanhouse_sdk.failures import Failure
from spanhouse_sdk.tracing_config import TracingConfig
from spanhouse_sdk.xtrace import XTracePropagator

from sdk.tests.test_http import SPAN, TRACE, W3C, XTRACE, outgoing, rule
from tests.support.waiting import until

# OpenTelemetry's instrumentation inherits from a class that aiohttp would not have inherited from.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class _InstrumentedApplication:DeprecationWarning")


async def cart(request: web.Request) -> web.Response:
    return web.json_response({"id": get_trace_id(), "out": outgoing()})


async def broken(request: web.Request) -> web.Response:
    raise RuntimeError("broken")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(3):
        await response.write((get_trace_id() or "-").encode())
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    async for _ in response:
        await response.send_str(get_trace_id() or "-")
    return response


@asynccontextmanager
async def served(*, instrumented: bool = False) -> AsyncIterator[ClientSession]:
    """A client of a server."""
    instrumentor = AioHttpServerInstrumentor()
    if instrumented:
        instrumentor.instrument()
    app = web.Application()
    trace_requests(app)
    app.router.add_get("/cart/{number}", cart)
    for handler in (broken, stream, websocket):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()
    if instrumented:
        instrumentor.uninstrument()


@pytest.mark.parametrize("instrumented", [False, True])
@pytest.mark.parametrize("headers", [XTRACE, W3C], ids=["xtrace", "w3c"])
async def test_ids_in_are_ids_out(instrumented: bool, headers: dict[str, str], spans: Callable[[], list[Any]]) -> None:
    async with served(instrumented=instrumented) as session:
        async with session.get("/cart/7", headers=headers) as answer:
            found = await answer.json()
        await until(lambda: bool(spans()))
    (server,) = spans()
    assert server.kind is SpanKind.SERVER
    assert (f"{server.context.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert server.name == "GET /cart/{number}"
    assert answer.headers.getall("x-trace-id") == [TRACE] == [found["id"]]
    assert answer.headers["x-span-id"] == f"{server.context.span_id:016x}" == found["out"]["x-span-id"]
    assert answer.headers["x-parent-span-id"] == SPAN


@pytest.mark.parametrize("instrumented", [False, True])
async def test_exceptions_streams_and_websockets_have_ids_and_end_their_spans(
    instrumented: bool, spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async with served(instrumented=instrumented) as session:
        for path, status in (("/broken", 500), ("/nothing", 404), ("/stream", 200)):
            async with session.get(path, headers=W3C) as answer:
                assert (answer.status, answer.headers["x-trace-id"]) == (status, TRACE)
                text = await answer.text()
        assert text == TRACE * 3
        async with session.ws_connect("/websocket", headers=W3C) as connection:
            await connection.send_str("?")
            assert await connection.receive_str() == TRACE
        await until(lambda: len(spans()) == 4)
    assert [span.status.is_ok for span in spans()] == [False, True, True, True]
    assert not trace.get_current_span().get_span_context().is_valid
    assert "detach" not in caplog.text


@pytest.mark.parametrize("instrumented", [False, True])
async def test_configs_and_failure_rules_hold(instrumented: bool, told: Any, spans: Callable[[], list[Any]]) -> None:
    async with served(instrumented=instrumented) as session:
        for failure, status in [(Failure("unavailable"), 503), (Failure("latency", mean=1000), 200)]:
            told.say(rules=(rule(failure, paths=("/cart/*",), headers={"x-chaos": "yes"}),))
            for chaos, expected in (("no", 200), ("yes", status)):
                async with session.get("/cart/7", headers={"X-Chaos": chaos}) as answer:
                    assert answer.status == expected
        told.say(rules=(rule(Failure("reset")),))
        with pytest.raises(ClientConnectionError):
            await session.get("/cart/7")
        # The client asks once more where a connection that was used before breaks off.
        await until(lambda: len(spans()) == 6)
        marked = [span.attributes.get("spanhouse.failure.type") for span in spans()]
        assert marked == [None, "unavailable", None, "latency", "reset", "reset"]
        told.say(TracingConfig(propagate_context=False))
        async with session.get("/cart/7", headers=W3C) as answer:
            assert (await answer.json())["out"] == {}
            assert answer.headers["x-trace-id"] == TRACE


async def test_clients_send_ids_on(spans: Callable[[], list[Any]]) -> None:
    async with served() as session:
        with trace.get_tracer("shop").start_as_current_span("shop", XTracePropagator().extract(XTRACE)) as shop:
            tracing = ClientSession(session._base_url, trace_configs=[create_trace_config()])
            async with tracing, tracing.get("/cart/7") as answer:
                assert (await answer.json())["id"] == TRACE
    asked, server = [next(span for span in spans() if span.kind is kind) for kind in (SpanKind.CLIENT, SpanKind.SERVER)]
    assert (server.parent.span_id, asked.parent.span_id) == (asked.context.span_id, shop.get_span_context().span_id)


@pytest.mark.parametrize(
    "header", [b"baggage: a=\xff", b"traceparent: \xff", b"tracestate: \xff=1", b"x-trace-id: \xff", b"x-span-id: \xff"]
)
async def test_bytes_that_are_no_text_count_as_none(header: bytes, told: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with served() as session:
        assert session._base_url is not None
        reader, writer = await asyncio.open_connection(session._base_url.host, session._base_url.port)
        for closing in (b"keep-alive", b"close"):
            writer.write(b"GET /cart/7 HTTP/1.1\r\nHost: cart\r\nConnection: " + closing + b"\r\n" + header + b"\r\n\r\n")
        answers = await reader.read()
        writer.close()
    assert answers.count(b"200 OK") == 2
    assert sum("counts as none" in record.message for record in caplog.records) == (header.startswith(b"baggage"))
