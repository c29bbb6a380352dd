"""With a genuine collector: one trace over three protocols, and what people say over its API is done within seconds."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from spanhouse_sdk import asgi
from spanhouse_sdk.follower import Follower
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.strawberry import ResolverSpansExtension
from spanhouse_sdk.tracing_config import TracingConfig

from sdk.tests import test_grpc
from tests.support.daemon import Daemon, daemon_in, eventually

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WORKSPACE = "/api/v1/workspaces/default"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory: Path = tmp_path_factory.mktemp("daemon")
    with daemon_in(directory) as daemon:
        daemon.configure(batch={"timeout": "100ms"})
        daemon.start()
        daemon.await_ready()
        yield daemon


def say(daemon: Daemon, method: str, path: str, body: Any, **headers: str) -> Any:
    url = f"http://127.0.0.1:{daemon.ports.query}{WORKSPACE}/{path}"
    said = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(said, timeout=30) as answer:
        return json.load(answer)


def test_what_is_said_over_the_api_is_done_within_seconds(daemon: Daemon) -> None:
    settings = Settings("cart", f"http://127.0.0.1:{daemon.ports.query}", refresh_interval_s=0.1, fault_injection=True)
    following = Follower(settings)
    following.start()
    try:
        eventually(lambda: following.config.rule == "default", "the collector's default")
        said = {"service": "ca*", "samplingRate": 0.25, "excludedPaths": ["/healthz"], "propagateContext": False}
        made = say(daemon, "POST", "tracing-configs", said)
        eventually(lambda: following.config == TracingConfig(0.25, ("/healthz",), False, "glob"), "the config")
        say(daemon, "PATCH", f"tracing-configs/{made['id']}", {"enabled": False}, **{"If-Match": '"1"'})
        eventually(lambda: not following.config.enabled, "a service that is switched off")
        rule = {"name": "r", "service": "cart", "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
        say(
            daemon,
            "POST",
            "failure-rules",
            {**rule, "failure": {"type": "latency", "mean": "250ms", "distribution": "exponential"}},
        )
        eventually(lambda: following.injects, "the rule")
        say(daemon, "PUT", "failure-injection", {"enabled": False})
        eventually(lambda: not following.injects, "the end of it")
    finally:
        following.stop()


def test_one_trace_over_three_protocols_is_stored_as_it_was(
    daemon: Daemon, told: Any, spans: Any, provider: TracerProvider
) -> None:
    exporter = BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{daemon.ports.grpc}", insecure=True))
    provider.add_span_processor(exporter)
    with test_grpc.threaded() as (channel, _):

        @strawberry.type
        class Query:
            @strawberry.field
            def stock(self) -> str:
                with trace.get_tracer("shop").start_as_current_span("call", kind=SpanKind.CLIENT):
                    return channel.unary_unary("/shop.Cart/unary_unary")(b"1").decode()

        schema = strawberry.Schema(Query, extensions=[ResolverSpansExtension])
        app = FastAPI()
        app.add_middleware(asgi.TraceMiddleware)

        @app.get("/cart")
        def cart() -> Any:
            return schema.execute_sync("query Stock { stock }").data

        transport = httpx.ASGITransport(app)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://cart") as client:
                return await client.get("/cart", headers={"X-Trace-ID": TRACE, "X-Span-ID": SPAN})

        assert asyncio.run(ask()).json() == {"stock": TRACE}
    assert exporter.force_flush()
    made = {span.context.span_id: span for span in spans()}
    eventually(lambda: daemon.stored(f"TraceId = '{TRACE}'") == len(made), "all spans")
    scopes = [scope for each in daemon.trace(TRACE).resource_spans for scope in each.scope_spans]
    stored = [span for scope in scopes for span in scope.spans]
    assert len(stored) == len(made)
    for span in stored:
        mine = made[int.from_bytes(span.span_id, "big")]
        assert span.parent_span_id == mine.parent.span_id.to_bytes(8, "big")
        assert (span.name, span.trace_state) == (mine.name, mine.context.trace_state.to_header())
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (mine.start_time, mine.end_time)
    by_name = {span.name: span for span in made.values()}
    order = ["shop.Cart/unary_unary", "call", "Query.stock"]
    for child, parent in pairwise(order):
        assert by_name[child].parent.span_id == by_name[parent].context.span_id
    (server,) = [span for span in made.values() if span.parent.span_id == int(SPAN, 16)]
    assert server.kind is SpanKind.SERVER
