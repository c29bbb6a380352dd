"""What the SDK costs a request beside plain OpenTelemetry: `python sdk/bench/overhead.py`.

The same FastAPI application with OpenTelemetry's own instrumentation answers requests with W3C headers, without a network in
between. One process is plain; in the other are the sampler, the propagators, ids in answers and the middleware. Both run at once,
in turn, in small portions, so that whatever else the machine does meets both; what counts is the ratio of their times.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from typing import Any

ROUNDS, REQUESTS = 150, 60
_TRACEPARENT = "00-{:032x}-00f067aa0ba902b7-01"


def _application(kind: str) -> Any:
    from opentelemetry import trace
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
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
    import fastapi

    app = fastapi.FastAPI()
    if kind == "spanhouse":
        from spanhouse_sdk.asgi import TraceMiddleware

        app.add_middleware(TraceMiddleware)

    @app.get("/cart/{number}")
    async def cart(number: int) -> dict[str, int]:
        with trace.get_tracer("cart").start_as_current_span("SELECT cart"):
            return {"cart": number}

    FastAPIInstrumentor.instrument_app(app)
    return app


async def _answer(app: Any, number: int) -> None:
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

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    await app(scope, receive, send)


def _work(kind: str) -> None:
    """Answer a portion of requests for each line that is read, and write how long that took, nanoseconds of this thread."""
    app = _application(kind)
    with asyncio.Runner() as runner:

        async def portion() -> int:
            began = time.thread_time_ns()
            for number in range(REQUESTS):
                await _answer(app, number)
            return time.thread_time_ns() - began

        for _ in sys.stdin:
            print(runner.run(portion()), flush=True)


def main() -> None:
    """Print the time of a request of either, and their ratio."""
    environment = {**os.environ, "SPANHOUSE_ENDPOINT": "http://127.0.0.1:1"}
    kinds = ("plain", "spanhouse")
    processes = {
        kind: subprocess.Popen(
            [sys.executable, __file__, kind],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for kind in kinds
    }
    times: dict[str, list[int]] = {kind: [] for kind in kinds}
    for round_ in range(ROUNDS + 5):
        for kind in kinds if round_ % 2 else kinds[::-1]:
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
    quick = {kind: statistics.quantiles(times[kind], n=4)[0] / REQUESTS / 1000 for kind in kinds}
    for kind in kinds:
        print(f"{kind:10} {quick[kind]:7.1f} µs a request, at the lower quartile of {ROUNDS} rounds")
    print(f"ratio      {quick['spanhouse'] / quick['plain']:7.3f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _work(sys.argv[1])
    else:
        main()
