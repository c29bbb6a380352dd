"""Interceptors for gRPC over real connections: all kinds of calls, with threads and with asyncio."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import aio_client_interceptors as instrumented_aio_clients
from opentelemetry.instrumentation.grpc import aio_server_interceptor as instrumented_aio_server
from opentelemetry.instrumentation.grpc import client_interceptor as instrumented_client
from opentelemetry.instrumentation.grpc import grpcext
from opentelemetry.instrumentation.grpc import server_interceptor as instrumented_server
from opentelemetry.trace import SpanKind
from spanhouse_sdk import get_trace_id
from spanhouse_sdk.failures import Failure, FailureRule
from spanhouse_sdk.grpc_aio_server import AioServerInterceptor
from spanhouse_sdk.grpc_client import ClientInterceptor, aio_client_interceptors
from spanhouse_sdk.grpc_metadata import response_ids
from spanhouse_sdk.grpc_server import ServerInterceptor
from spanhouse_sdk.tracing_config import TracingConfig
from spanhouse_sdk.xtrace import XTracePropagator

from tests.support.daemon import eventually
from tests.support.waiting import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
SERVICE = "shop.Cart"


def text() -> bytes:
    return (get_trace_id() or "-").encode()


class Handlers(grpc.GenericRpcHandler):
    """One method for each kind of call; `asked` is what was found in the metadata of the last."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods
        self.asked: dict[str, Any] = {}

    def service(self, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        self.asked = dict(details.invocation_metadata)
        kind = next((kind for kind in KINDS if name.startswith(kind)), "unary_unary")
        return getattr(grpc, f"{kind}_rpc_method_handler")(self._methods[name]) if name in self._methods else None


def one(request: Any, context: Any) -> bytes:
    return text()


def said_before(request: Any, context: Any) -> bytes:
    context.send_initial_metadata((("mine", "1"),))
    context.set_trailing_metadata((("mine", "2"),))
    return text()


def aborting(request: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such cart")


def raising(request: Any, context: Any) -> None:
    raise RuntimeError("broken")


def many(request: Any, context: Any) -> Iterator[bytes]:
    for _ in range(3):
        with trace.get_tracer("cart").start_as_current_span("item"):
            item = text()
        yield item


def endless(request: Any, context: Any) -> Iterator[bytes]:
    while True:
        yield text()


def of_many(requests: Any, context: Any) -> bytes:
    return b"%d" % len(list(requests)) + text()


def echo(requests: Any, context: Any) -> Iterator[bytes]:
    for _ in requests:
        yield text()


THREADED = {
    "unary_unary": one,
    "unary_unary_said": said_before,
    "unary_unary_aborting": aborting,
    "unary_unary_raising": raising,
    "unary_stream": many,
    "unary_stream_endless": endless,
    "stream_unary": of_many,
    "stream_stream": echo,
}


async def aio_one(request: Any, context: Any) -> bytes:
    return await asyncio.create_task(asyncio.sleep(0, text()))


async def aio_said(request: Any, context: Any) -> bytes:
    await context.send_initial_metadata((("mine", "1"),))
    context.set_trailing_metadata((("mine", "2"),))
    return text()


async def aio_aborting(request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such cart")


async def aio_raising(request: Any, context: Any) -> None:
    raise RuntimeError("broken")


async def aio_waiting(request: Any, context: Any) -> None:
    await asyncio.Event().wait()


async def aio_many(request: Any, context: Any) -> AsyncIterator[bytes]:
    for _ in range(3):
        with trace.get_tracer("cart").start_as_current_span("item"):
            item = text()
        await asyncio.sleep(0)
        yield item


async def aio_endless(request: Any, context: Any) -> AsyncIterator[bytes]:
    while True:
        yield text()
        await asyncio.sleep(0)


async def aio_of_many(requests: Any, context: Any) -> bytes:
    return b"%d" % len([each async for each in requests]) + text()


async def aio_echo(requests: Any, context: Any) -> AsyncIterator[bytes]:
    async for _ in requests:
        yield text()


async def aio_writing(requests: Any, context: Any) -> None:
    async for _ in requests:
        await context.write(text())


ASYNCHRONOUS = {
    "unary_unary": aio_one,
    "unary_unary_said": aio_said,
    "unary_unary_aborting": aio_aborting,
    "unary_unary_raising": aio_raising,
    "unary_unary_waiting": aio_waiting,
    "unary_unary_threaded": one,
    "unary_stream": aio_many,
    "unary_stream_endless": aio_endless,
    "unary_stream_threaded": many,
    "stream_unary": aio_of_many,
    "stream_stream": aio_echo,
    "stream_stream_writing": aio_writing,
}


@contextmanager
def threaded(methods: dict[str, Any] = THREADED, *, instrumented: bool = False) -> Iterator[tuple[grpc.Channel, Handlers]]:
    handlers = Handlers(methods)
    with ThreadPoolExecutor(2) as executor:
        before = [instrumented_server()] if instrumented else []
        server = grpc.server(executor, [handlers], [*before, ServerInterceptor(span_ids=not instrumented)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            inner = grpcext.intercept_channel(channel, instrumented_client()) if instrumented else channel
            yield grpc.intercept_channel(inner, ClientInterceptor()), handlers
        server.stop(None).wait()


@asynccontextmanager
async def asynchronous(*, instrumented: bool = False) -> AsyncIterator[tuple[grpc.aio.Channel, Handlers]]:
    handlers = Handlers(ASYNCHRONOUS)
    before = [instrumented_aio_server()] if instrumented else []
    server = grpc.aio.server(None, [handlers], [*before, AioServerInterceptor(span_ids=not instrumented)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    clients = [*aio_client_interceptors(), *(instrumented_aio_clients() if instrumented else [])]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=clients) as channel:
        yield channel, handlers
    await server.stop(None)


def calling() -> Any:
    """A span that calls, in the trace of a caller."""
    context = XTracePropagator().extract({"x-trace-id": TRACE, "x-span-id": SPAN})
    return trace.get_tracer("shop").start_as_current_span("shop", context)


def check(spans: list[Any], told: Any, caller: Any, *, instrumented: bool) -> None:
    """The server's span is a child of the client's, if there is one, or of the caller's; and the client was told of it."""
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    clients = [span.context for span in spans if span.kind is SpanKind.CLIENT]
    assert len(clients) == instrumented
    assert server.parent.span_id == (clients or [caller.get_span_context()])[0].span_id
    # The servers here tell the ids of their spans where OpenTelemetry's instrumentation does not stand in front.
    assert told is None or response_ids(told) == (TRACE, None if instrumented else f"{server.context.span_id:016x}")
    for item in (span for span in spans if span.name == "item"):
        assert item.parent.span_id == server.context.span_id


@pytest.mark.parametrize("instrumented", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_go_there_and_back_with_threads(kind: str, instrumented: bool, spans: Callable[[], list[Any]]) -> None:
    with threaded(instrumented=instrumented) as (channel, handlers):
        with calling() as caller:
            request: Any = iter([b"1", b"2"]) if kind.startswith("stream") else b"1"
            call = getattr(channel, kind)(f"/{SERVICE}/{kind}")
            if kind.endswith("stream"):
                response = call(request)
                # What OpenTelemetry's instrumentation returns for these is a generator, and has no metadata.
                told = response.initial_metadata() if hasattr(response, "initial_metadata") else None
                answers = list(response)
            else:
                answer, response = call.with_call(request)
                told, answers = response.trailing_metadata(), [answer]
        assert all(answer.endswith(TRACE.encode()) for answer in answers)
        assert len(answers) == {"unary_stream": 3, "stream_stream": 2}.get(kind, 1)
        assert handlers.asked["x-trace-id"] == TRACE
        eventually(lambda: len([span for span in spans() if span.kind is SpanKind.SERVER]) == 1, "the server's span")
    check(spans(), told, caller, instrumented=instrumented)


# What runs in threads or writes its responses itself, OpenTelemetry's instrumentation cannot serve.
OURS_ALONE = ["unary_unary_threaded", "unary_stream_threaded", "stream_stream_writing"]


@pytest.mark.parametrize(
    ("method", "instrumented"), [*((kind, True) for kind in KINDS), *((method, False) for method in [*KINDS, *OURS_ALONE])]
)
async def test_ids_go_there_and_back_with_asyncio(method: str, instrumented: bool, spans: Callable[[], list[Any]]) -> None:
    kind = "_".join(method.split("_")[:2])
    async with asynchronous(instrumented=instrumented) as (channel, handlers):
        with calling() as caller:
            request: Any = iter([b"1", b"2"]) if kind.startswith("stream") else b"1"
            call = getattr(channel, kind)(f"/{SERVICE}/{method}")(request)
            if kind.endswith("stream"):
                first = await call.initial_metadata()
                answers = [each async for each in call]
            else:
                answers = [await call]
            told = await call.trailing_metadata()
        assert not kind.endswith("stream") or response_ids(first) == response_ids(told)
        assert all(answer.endswith(TRACE.encode()) for answer in answers)
        assert len(answers) == {"unary_stream": 3, "stream_stream": 2}.get(kind, 1)
        assert handlers.asked["x-trace-id"] == TRACE
        assert "tracestate" not in handlers.asked
    check(spans(), told, caller, instrumented=instrumented)


def outcomes(spans: list[Any]) -> list[tuple[int, bool]]:
    return [(span.attributes["rpc.grpc.status_code"], span.status.is_ok) for span in spans if span.kind is SpanKind.SERVER]


def test_errors_end_spans_and_have_ids_with_threads(spans: Callable[[], list[Any]]) -> None:
    with threaded() as (channel, _):
        for name, code in (("aborting", grpc.StatusCode.NOT_FOUND), ("raising", grpc.StatusCode.UNKNOWN)):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{SERVICE}/unary_unary_{name}")(b"1")
            assert caught.value.code() is code
            assert response_ids(caught.value.trailing_metadata()) is not None
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(f"/{SERVICE}/nothing")(b"1")
        _, call = channel.unary_unary(f"/{SERVICE}/unary_unary_said").with_call(b"1")
        for metadata, mine in ((call.initial_metadata(), "1"), (call.trailing_metadata(), "2")):
            assert dict(metadata)["mine"] == mine
            assert response_ids(metadata) is not None
    assert outcomes(spans()) == [(5, True), (2, False), (0, True)]


async def test_errors_end_spans_and_have_ids_with_asyncio(spans: Callable[[], list[Any]]) -> None:
    async with asynchronous() as (channel, _):
        for name, code in (("aborting", grpc.StatusCode.NOT_FOUND), ("raising", grpc.StatusCode.UNKNOWN)):
            call = channel.unary_unary(f"/{SERVICE}/unary_unary_{name}")(b"1")
            assert await call.code() is code
            assert response_ids(await call.trailing_metadata()) is not None
        call = channel.unary_unary(f"/{SERVICE}/unary_unary_said")(b"1")
        for metadata, mine in ((await call.initial_metadata(), "1"), (await call.trailing_metadata(), "2")):
            assert dict(metadata)["mine"] == mine
            assert response_ids(metadata) is not None
    assert outcomes(spans()) == [(5, True), (2, False), (0, True)]


def test_streams_that_are_cancelled_half_way_end_their_spans_with_threads(
    spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with threaded() as (channel, _):
        call = channel.unary_stream(f"/{SERVICE}/unary_stream_endless")(b"1")
        next(call)
        call.cancel()
        eventually(spans, "the server's span")
    assert outcomes(spans()) == [(1, True)]
    assert "detach" not in caplog.text


async def test_streams_that_are_cancelled_half_way_end_their_spans_with_asyncio(
    spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async with asynchronous() as (channel, _):
        call = channel.unary_stream(f"/{SERVICE}/unary_stream_endless")(b"1")
        async for _ in call:
            break
        call.cancel()
        await until(lambda: bool(spans()))
    assert outcomes(spans()) == [(1, True)]
    assert "detach" not in caplog.text


async def test_a_call_that_is_cancelled_ends_its_span_with_asyncio(spans: Callable[[], list[Any]]) -> None:
    async with asynchronous() as (channel, handlers):
        call = channel.unary_unary(f"/{SERVICE}/unary_unary_waiting")(b"1")
        await until(lambda: bool(handlers.asked))
        call.cancel()
        await until(lambda: bool(spans()))
    assert outcomes(spans()) == [(1, True)]


@pytest.mark.parametrize("make", [ServerInterceptor, AioServerInterceptor], ids=["threads", "asyncio"])
async def test_methods_whose_handlers_change_or_never_end_are_served_by_the_latest(make: Any) -> None:
    interceptor, kept = make(), grpc.unary_unary_rpc_method_handler(one)

    async def intercepted(method: str, handler: Any) -> Any:
        async def found(_: Any) -> Any:
            return handler

        details = grpc.aio._interceptor.ClientCallDetails(method, None, None, None, None)
        if make is AioServerInterceptor:
            return await interceptor.intercept_service(found, details)
        return interceptor.intercept_service(lambda _: handler, details)

    first = await intercepted("/shop.Cart/Get", kept)
    assert await intercepted("/shop.Cart/Get", kept) is first
    assert await intercepted("/shop.Cart/Get", grpc.unary_unary_rpc_method_handler(one)) is not first
    assert await intercepted("/shop.Cart/Get", None) is None
    for number in range(3000):
        await intercepted(f"/shop.Cart/{number}", kept)
    assert len(interceptor._wrapped._made) <= 1024


def test_nothing_goes_out_when_propagation_is_switched_off(told: Any) -> None:
    told.say(TracingConfig(propagate_context=False))
    with threaded() as (channel, handlers), calling():
        channel.unary_unary(f"/{SERVICE}/unary_unary")(b"1")
        assert not {"traceparent", "x-trace-id", "baggage"} & set(handlers.asked)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure("error", 429, "slow down"), grpc.StatusCode.UNAVAILABLE),
        (Failure("error", 500, "broken"), grpc.StatusCode.UNKNOWN),
        (Failure("timeout", 504, mean=1000), grpc.StatusCode.DEADLINE_EXCEEDED),
        (Failure("unavailable"), grpc.StatusCode.UNAVAILABLE),
        (Failure("reset"), grpc.StatusCode.UNAVAILABLE),
        (Failure("latency", mean=1000), grpc.StatusCode.OK),
    ],
    ids=["429", "500", "timeout", "unavailable", "reset", "latency"],
)
async def test_what_fails_on_purpose_fails_as_it_should(failure: Failure, code: Any, told: Any, spans_named: Any) -> None:
    told.say(rules=(FailureRule(uuid.UUID(int=1), failure, 1.0, time.time() + 60, (f"/{SERVICE}/*",)),))
    async with asynchronous() as (channel, _):
        for kind in ("unary_unary", "unary_stream"):
            call: Any = getattr(channel, kind)(f"/{SERVICE}/{kind}")(b"1")
            if kind == "unary_stream" and code is grpc.StatusCode.OK:
                assert len([each async for each in call]) == 3
            assert await call.code() is code
    with threaded() as (channel, _):
        try:
            channel.unary_unary(f"/{SERVICE}/unary_unary")(b"1")
            found = grpc.StatusCode.OK
        except grpc.RpcError as error:
            found = error.code()
        assert found is code

    def made() -> list[Any]:
        return [*spans_named(f"{SERVICE}/unary_unary"), *spans_named(f"{SERVICE}/unary_stream")]

    # The caller of a connection that is reset knows before the span of the call has ended.
    await until(lambda: len(made()) == 3)
    assert [span.attributes["spanhouse.failure.type"] for span in made()] == [failure.type] * 3
