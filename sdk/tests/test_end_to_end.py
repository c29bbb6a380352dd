"""With a genuine collector: one trace over three protocols, and what people say over its API is done within seconds."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
from spanhouse_sdk import asgi, get_trace_id
from spanhouse_sdk.follower import Follower
from spanhouse_sdk.settings import Settings
from spanhouse_sdk.strawberry import ResolverSpansExtension
from spanhouse_sdk.tracing_config import TracingConfig

from sdk.tests import test_grpc
from sdk.tests.test_http import outgoing
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


@pytest.fixture(scope="module")
def exporter(daemon: Daemon, provider: TracerProvider) -> Iterator[BatchSpanProcessor]:
    exporter = BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{daemon.ports.grpc}", insecure=True))
    provider.add_span_processor(exporter)
    yield exporter
    exporter.shutdown()


def shop(stock: Callable[[], str]) -> FastAPI:
    """A service over HTTP that answers by GraphQL, whose resolver calls the stock."""

    @strawberry.type
    class Query:
        @strawberry.field
        def stock(self) -> str:
            return stock()

    schema = strawberry.Schema(Query, extensions=[ResolverSpansExtension])
    app = FastAPI()
    app.add_middleware(asgi.TraceMiddleware)

    @app.get("/cart")
    def cart() -> Any:
        return schema.execute_sync("query Stock { stock }").data

    return app


def asked(app: FastAPI, headers: dict[str, str]) -> str:
    """What the stock has said to the shop."""

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cart") as client:
            return (await client.get("/cart", headers=headers)).json()["stock"]

    return asyncio.run(ask())


def call(ask: Callable[[dict[str, str]], str]) -> str:
    """Ask another service in a span of its own, which goes along."""
    with trace.get_tracer("shop").start_as_current_span("call", kind=SpanKind.CLIENT):
        return ask(outgoing())


def check_stored(daemon: Daemon, trace_id: str, made: list[Any], order: list[str]) -> None:
    """Stored is what was made; of the spans in this order each is above the next, and the first has a caller elsewhere."""
    eventually(lambda: daemon.stored(f"TraceId = '{trace_id}'") == len(made), "all spans")
    scopes = [scope for each in daemon.trace(trace_id).resource_spans for scope in each.scope_spans]
    stored = {span.span_id.hex(): span for scope in scopes for span in scope.spans}
    assert len(stored) == len(made)
    for mine in made:
        span = stored[f"{mine.context.span_id:016x}"]
        assert span.parent_span_id == mine.parent.span_id.to_bytes(8, "big")
        assert (span.name, span.trace_state) == (mine.name, mine.context.trace_state.to_header())
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (mine.start_time, mine.end_time)
        assert span.kind == mine.kind.value + 1
    by_id = {span.context.span_id: span for span in made}
    [last] = (span for span in made if span.name == order[-1])
    way = [last]
    while (parent := by_id.get(way[-1].parent.span_id)) is not None:
        way.append(parent)
    assert way[-1].parent.span_id == int(SPAN, 16)
    # FastAPI makes spans of its own in between.
    assert [span.name for span in reversed(way) if span.name in order] == order


def test_a_trace_from_http_by_graphql_to_grpc_is_stored(daemon: Daemon, exporter: BatchSpanProcessor, spans: Any) -> None:
    with test_grpc.threaded() as (channel, _):
        stock = channel.unary_unary("/shop.Cart/unary_unary")
        answer = asked(shop(lambda: call(lambda _: stock(b"1").decode())), {"X-Trace-ID": TRACE, "X-Span-ID": SPAN})
    assert answer == TRACE
    assert exporter.force_flush()
    check_stored(daemon, TRACE, spans(), ["query Stock", "Query.stock", "call", "shop.Cart/unary_unary"])


def test_a_trace_from_grpc_by_http_to_graphql_is_stored(daemon: Daemon, exporter: BatchSpanProcessor, spans: Any) -> None:
    trace_id = uuid.uuid4()
    app = shop(lambda: get_trace_id() or "-")

    def cart(request: bytes, context: Any) -> bytes:
        return call(lambda headers: asked(app, headers)).encode()

    with test_grpc.threaded({"unary_unary": cart}) as (channel, _):
        metadata = (("x-trace-id", str(trace_id)), ("x-span-id", SPAN))
        assert channel.unary_unary("/shop.Cart/unary_unary")(b"1", metadata=metadata).decode() == trace_id.hex
    assert exporter.force_flush()
    check_stored(daemon, trace_id.hex, spans(), ["shop.Cart/unary_unary", "call", "query Stock", "Query.stock"])
