"""What the SDK costs a request beside plain OpenTelemetry: `python sdk/bench/overhead.py [CASE...]`, with the cases of `CASES`.

The same service with OpenTelemetry's own instrumentation answers requests: over HTTP made of FastAPI, without a network in
between; over gRPC made of grpc.aio, with its client in the same process. Its handler makes one span and answers, and does nothing
else, unless it is to make a query: then it reads twenty rows from SQLite, by OpenTelemetry's instrumentation, and answers JSON.
All traces are kept, a tenth of them, or none (`http-tenth`, `http-off`): by the tracing config, and plain by a sampler that keeps
as many.

One process is plain. In another are the sampler, the propagators, ids in answers, and the middleware or interceptor. Over gRPC
there is a third: plain, but calls have as many headers, of the same size, as with the SDK, and what they say is constant. That is
what headers cost by themselves, in grpcio and in OpenTelemetry's instrumentation.
All run at once, in turn, in small portions, so that whatever else the machine does meets all; what counts is the ratio of their
times. As processes that do the same differ by some per cent for as long as they live, several of each are tried.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

PROCESSES, ROUNDS, REQUESTS = 7, 30, 60
"""Processes of each kind, one after the other; portions of each; requests of a portion."""
WARMING = 4
"""Portions that do not count."""
RATES = {"tenth": 0.1, "off": 0.0}
_TRACEPARENT = "00-{:032x}-00f067aa0ba902b7-01"
_SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Numbers times this, modulo 2**128, are evenly distributed, as ids of traces are."""
_HEADERS = (("x-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736"), ("x-span-id", "00f067aa0ba902b7"))
Ask = Callable[[int], Awaitable[Any]]
"""Makes one request, which has a number."""


def _set_up(kind: str, rate: float) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    if kind == "spanhouse":
        import spanhouse_sdk

        spanhouse_sdk.setup("bench", instrument=False, exporter=Nowhere())
    else:
        sampler = TraceIdRatioBased(rate)
        # As by default, but that the caller does not decide.
        provider = TracerProvider(ParentBased(sampler, remote_parent_sampled=sampler) if rate < 1 else None)
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        trace.set_tracer_provider(provider)
    if kind == "headers":
        _send_headers()


def _send_headers() -> None:
    from opentelemetry import propagate
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.propagators.textmap import TextMapPropagator

    class Constant(TextMapPropagator):
        fields = frozenset(name for name, _ in _HEADERS)

        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            return context

        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            for name, value in _HEADERS:
                setter.set(carrier, name, value)

    propagate.set_global_textmap(CompositePropagator([propagate.get_global_textmap(), Constant()]))


def _work_of(handler: str) -> Callable[[], Any]:
    """What the service does for a request; returns what it answers, which can be JSON."""
    if handler == "query":
        import sqlite3

        from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

        SQLite3Instrumentor().instrument()
        connection = sqlite3.connect(":memory:")
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE cart (product INTEGER PRIMARY KEY, name TEXT, quantity INTEGER)")
        cursor.executemany("INSERT INTO cart VALUES (?, ?, ?)", [(each, f"product {each}", each % 7) for each in range(1000)])
        statement = "SELECT product, name, quantity FROM cart WHERE product >= ? ORDER BY product LIMIT 20"
        return lambda: connection.cursor().execute(statement, (400,)).fetchall()
    from opentelemetry import trace

    def only_a_span() -> int:
        with trace.get_tracer("cart").start_as_current_span("SELECT cart"):
            return 1

    return only_a_span


@asynccontextmanager
async def _http(kind: str, handler: str) -> AsyncIterator[Ask]:
    import fastapi
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    work = _work_of(handler)
    app = fastapi.FastAPI()
    if kind == "spanhouse":
        from spanhouse_sdk.asgi import TraceMiddleware

        app.add_middleware(TraceMiddleware)

    @app.get("/cart/{number}")
    async def cart(number: int) -> dict[str, Any]:
        return {"cart": work()}

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
                (b"traceparent", _TRACEPARENT.format((number + 1) * _SCATTER % 2**128).encode()),
            ],
        }
        await app(scope, receive, send)

    yield ask


@asynccontextmanager
async def _grpc(kind: str, handler: str) -> AsyncIterator[Ask]:
    import grpc
    from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor

    work = _work_of(handler)
    interceptors = [aio_server_interceptor()]
    if kind == "spanhouse":
        from spanhouse_sdk.grpc_aio_server import AioServerInterceptor

        interceptors.append(AioServerInterceptor())

    async def cart(request: bytes, context: Any) -> bytes:
        if kind == "headers":
            context.set_trailing_metadata(_HEADERS)
        return json.dumps(work()).encode()

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
KINDS = {"http": ("plain", "spanhouse"), "grpc": ("plain", "headers", "spanhouse")}
CASES = ("http", "grpc", "http-query", "grpc-query", "http-tenth", "grpc-tenth", "http-off", "grpc-off")


async def _work(case: str, kind: str) -> None:
    """Make a portion of requests for each line that is read, and write how long that took, nanoseconds of this thread."""
    protocol, _, variant = case.partition("-")
    _set_up(kind, RATES.get(variant, 1.0))
    async with PROTOCOLS[protocol](kind, variant) as ask:
        for _ in sys.stdin:
            began = time.thread_time_ns()
            for number in range(REQUESTS):
                await ask(number)
            print(time.thread_time_ns() - began, flush=True)


def _times(case: str) -> dict[str, float]:
    """Microseconds of a request in one process of each kind."""
    protocol, _, variant = case.partition("-")
    kinds = KINDS[protocol]
    # No collector answers, so the rate is what holds until one has.
    environment = {"SPANHOUSE_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER_ARG": str(RATES.get(variant, 1.0))}
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, case, kind],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for kind in kinds
    }
    times: dict[str, list[int]] = {kind: [] for kind in kinds}
    for round_ in range(ROUNDS + WARMING):
        # Always in the same order: whoever came twice in succession would find the caches warm.
        for kind in kinds:
            process = processes[kind]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            took = int(process.stdout.readline())
            if round_ >= WARMING:
                times[kind].append(took)
    for process in processes.values():
        process.communicate()
    # Whatever else the machine does makes rounds longer and never shorter, so the quicker ones say more.
    return {kind: statistics.quantiles(times[kind], n=4)[0] / REQUESTS / 1000 for kind in kinds}


def _compare(case: str) -> None:
    """Print the time of a request of each kind, and the ratio to that of the first."""
    found = [_times(case) for _ in range(PROCESSES)]
    for kind in found[0]:
        took = statistics.median(times[kind] for times in found)
        ratio = statistics.median(times[kind] / times["plain"] for times in found)
        print(f"{case:10}  {kind:9} {took:7.1f} µs a request  ratio {ratio:.3f}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [case, kind]:
            asyncio.run(_work(case, kind))
        case cases:
            for each in cases or CASES:
                _compare(each)
