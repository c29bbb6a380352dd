"""What the SDK costs a request beside plain OpenTelemetry: `python sdk/bench/overhead.py [http|grpc]`.

The same service with OpenTelemetry's own instrumentation answers requests: over HTTP made of FastAPI, without a network in
between; over gRPC made of grpc.aio, with its client in the same process. One process is plain; in the other are the sampler, the
propagators, ids in answers, and the middleware or interceptor. Both run at once, in turn, in small portions, so that whatever
else the machine does meets both; what counts is the ratio of their times.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

KINDS = ("plain", "spanhouse")
ROUNDS, REQUESTS = 150, 60
_TRACEPARENT = "00-{:032x}-00f067aa0ba902b7-01"
Ask = Callable[[int], Awaitable[Any]]
"""Makes one request, which has a number."""


def _set_up(kind: str) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    if kind == "plain":
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        trace.set_tracer_provider(provider)
    else:
        import spanhouse_sdk

        spanhouse_sdk.setup("bench", instrument=False, exporter=Nowhere())


@asynccontextmanager
async def _http(kind: str) -> AsyncIterator[Ask]:
    import fastapi
    from opentelemetry import trace
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = fastapi.FastAPI()
    if kind == "spanhouse":
        from spanhouse_sdk.asgi import TraceMiddleware

        app.add_middleware(TraceMiddleware)

    @app.get("/cart/{number}")
    async def cart(number: int) -> dict[str, int]:
        with trace.get_tracer("cart").start_as_current_span("SELECT cart"):
            return {"cart": number}

    FastAPIInstrumentor.instrument_app(app)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    async def ask(number: int) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/cart/{number}",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 12345),
            "headers": [
                (b"host", b"cart"),
                (b"user-agent", b"bench"),
                (b"accept", b"application/json"),
                (b"traceparent", _TRACEPARENT.format(number + 1).encode()),
            ],
        }
        await app(scope, receive, send)

    yield ask


@asynccontextmanager
async def _grpc(kind: str) -> AsyncIterator[Ask]:
    import grpc
    from opentelemetry import trace
    from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor

    interceptors = [aio_server_interceptor()]
    if kind == "spanhouse":
        from spanhouse_sdk.grpc_aio_server import AioServerInterceptor

        interceptors.append(AioServerInterceptor())

    async def cart(request: bytes, context: Any) -> bytes:
        with trace.get_tracer("cart").start_as_current_span("SELECT cart"):
            return request

    handlers = {"Get": grpc.unary_unary_rpc_method_handler(cart)}
    server = grpc.aio.server(interceptors=interceptors)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Cart", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=aio_client_interceptors()) as channel:
        call = channel.unary_unary("/shop.Cart/Get")

        async def ask(number: int) -> None:
            await call(b"%d" % number)

        yield ask
    await server.stop(None)


PROTOCOLS = {"http": _http, "grpc": _grpc}


async def _work(protocol: str, kind: str) -> None:
    """Make a portion of requests for each line that is read, and write how long that took, nanoseconds of this thread."""
    _set_up(kind)
    async with PROTOCOLS[protocol](kind) as ask:
        for _ in sys.stdin:
            began = time.thread_time_ns()
            for number in range(REQUESTS):
                await ask(number)
            print(time.thread_time_ns() - began, flush=True)


def _compare(protocol: str) -> None:
    """Print the time of a request of either kind, and their ratio."""
    environment = {**os.environ, "SPANHOUSE_ENDPOINT": "http://127.0.0.1:1"}
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, protocol, kind],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for kind in KINDS
    }
    times: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS + 5):
        for kind in KINDS if round_ % 2 else KINDS[::-1]:
            process = processes[kind]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            took = int(process.stdout.readline())
            if round_ >= 5:  # warm by then
                times[kind].append(took)
    for process in processes.values():
        process.communicate()
    # Whatever else the machine does makes rounds longer and never shorter, so the quicker ones say more.
    quick = {kind: statistics.quantiles(times[kind], n=4)[0] / REQUESTS / 1000 for kind in KINDS}
    for kind in KINDS:
        print(f"{protocol}  {kind:10} {quick[kind]:7.1f} µs a request, at the lower quartile of {ROUNDS} rounds")
    print(f"{protocol}  ratio      {quick['spanhouse'] / quick['plain']:7.3f}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [protocol, kind]:
            asyncio.run(_work(protocol, kind))
        case protocols:
            for each in protocols or PROTOCOLS:
                _compare(each)
