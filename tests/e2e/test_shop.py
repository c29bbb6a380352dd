"""The shop of examples/shop, whose services run as processes of their own, and a daemon that has all that is said there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.channel_receivers import receiving
from tests.support.daemon import ROOT, Daemon, daemon_in, eventually, free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.soak

SHOP = ROOT / "examples" / "shop"
WORKSPACE = "/api/v1/workspaces/default"
CALLER = "00f067aa0ba902b7"
"""The span that calls the shop."""
ALL = ["shop-catalog", "shop-stock", "shop-storefront"]
ADDED = "300ms"
ADDED_NS = 300_000_000


@dataclass
class Shop:
    """A running shop, and the daemon that its spans go to."""

    daemon: Daemon
    session: aiohttp.ClientSession
    port: int

    async def ask(self, method: str, path: str, body: Any = None, version: int | None = None) -> Any:
        """The document that the query API answers."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        url = f"http://127.0.0.1:{self.daemon.ports.query}{WORKSPACE}/{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.status != 204 else None

    async def visit(
        self, method: str = "GET", path: str = "/products/tea", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """What becomes of a request at the storefront: its status, and the trace that the answer names."""
        async with self.session.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers) as answer:
            await answer.read()
            [trace_id] = answer.headers.getall("X-Trace-ID")
            return answer.status, trace_id

    async def services_of(self, trace_id: str) -> list[str]:
        """Whose spans of a trace are stored."""
        statement = f"SELECT DISTINCT ServiceName FROM otel_traces WHERE TraceId = '{trace_id}' ORDER BY 1"
        return (await asyncio.to_thread(self.daemon.sql, statement)).split()

    @asynccontextmanager
    async def slow_stock(self) -> AsyncIterator[None]:
        """The stock answers late, by a failure rule that it has heard of."""
        ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        said = {"name": "slow", "service": "shop-stock", "failure": {"type": "latency", "mean": ADDED}, "endsAt": ends}
        rule = await self.ask("POST", "failure-rules", said)
        try:
            await until(self._is_slow)
            yield
        finally:
            await self.ask("DELETE", f"failure-rules/{rule['id']}", version=rule["version"])

    async def _is_slow(self) -> bool:
        trace_id = (await self.visit())[1]
        await until(lambda: self.is_whole(trace_id))
        return await self.is_marked(trace_id)

    async def has(self, trace_id: str, service: str) -> bool:
        """Whether a span of a service in a trace is stored."""
        return service in await self.services_of(trace_id)

    async def has_child_of(self, span_id: str, trace_id: str) -> bool:
        """Whether a span of a trace is stored that another one has called."""
        condition = f"TraceId = '{trace_id}' AND ParentSpanId = '{span_id}'"
        return await asyncio.to_thread(self.daemon.stored, condition) > 0

    async def is_whole(self, trace_id: str) -> bool:
        """Whether all services have sent their spans of a trace."""
        return await self.services_of(trace_id) == ALL

    async def is_marked(self, trace_id: str) -> bool:
        """Whether the stock says that it was late on purpose."""
        condition = f"TraceId = '{trace_id}' AND SpanAttributes['spanhouse.failure.type'] = 'latency'"
        return await asyncio.to_thread(self.daemon.stored, condition) > 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, int]]:
    """A daemon and a shop, and the port of the storefront."""
    with daemon_in(tmp_path_factory.mktemp("shop")) as daemon:
        daemon.configure(journal={}, processors={"red_metrics": None, "topology": None}, batch={"timeout": "50ms"})
        document = yaml.safe_load(daemon.file.read_text())
        example = yaml.safe_load((SHOP / "collector.yaml").read_text())["extensions"]
        for name in ("alerting", "load_tests"):
            document["extensions"][name] = example[name]
            document["service"]["extensions"].append(name)
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.start()
        daemon.await_ready()
        ports = free_ports(3)
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{daemon.ports.grpc}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "SPANHOUSE_ENDPOINT": f"http://127.0.0.1:{daemon.ports.query}",
            "SPANHOUSE_REFRESH_INTERVAL": "0.2",
            "SHOP_STOREFRONT_PORT": str(ports[0]),
            "SHOP_CATALOG_PORT": str(ports[1]),
            "SHOP_STOCK_PORT": str(ports[2]),
        }
        log = daemon.directory / "shop.log"
        with log.open("wb") as written:
            services = subprocess.Popen(
                [sys.executable, "-m", "shop", "--visits-per-second", "0"],
                cwd=SHOP,
                env={**os.environ, **environment},
                stdout=written,
                stderr=written,
            )
        try:
            eventually(lambda: services.poll() is not None or "shop: open" in log.read_text(), "an open shop")
            yield daemon, ports[0]
        finally:
            services.terminate()
            status = services.wait(60)
        assert status == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
        assert daemon.stop() == 0, daemon.log


@pytest.fixture
async def shop(running: tuple[Daemon, int]) -> AsyncIterator[Shop]:
    daemon, port = running
    async with aiohttp.ClientSession() as session:
        yield Shop(daemon, session, port)


async def test_one_trace_crosses_all_three_protocols(shop: Shop) -> None:
    caller = {"traceparent": f"00-{uuid.uuid4().hex}-{CALLER}-01"}
    status, trace_id = await shop.visit("POST", "/orders", {"product": "tea", "quantity": 2}, caller)
    assert status == 201
    assert trace_id == caller["traceparent"].split("-")[1]
    await until(lambda: shop.is_whole(trace_id))
    # The first of its spans is the last that ends.
    await until(lambda: shop.has_child_of(CALLER, trace_id))
    spans = {}
    for resource in (await asyncio.to_thread(shop.daemon.trace, trace_id)).resource_spans:
        [service] = (each.value.string_value for each in resource.resource.attributes if each.key == "service.name")
        spans.update({span.span_id: (service, span) for scope in resource.scope_spans for span in scope.spans})
    [last] = (span for _, span in spans.values() if span.name == "UPDATE")
    way = []
    while last is not None:
        service, span = spans[last.span_id]
        way.append((service, span.name, Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()))
        parent = last.parent_span_id
        last = spans[parent][1] if parent in spans else None
    assert parent.hex() == CALLER
    reserve = "/spanhouse.shop.stock.v1.Stock/Reserve"
    assert way[::-1] == [
        ("shop-storefront", "POST /orders", "server"),
        ("shop-storefront", "POST", "client"),
        ("shop-catalog", "mutation PlaceOrder", "server"),
        ("shop-catalog", "Mutation.order", "internal"),
        ("shop-catalog", reserve, "client"),
        ("shop-stock", reserve, "server"),
        ("shop-stock", "UPDATE", "client"),
    ]


async def test_a_tracing_config_switches_a_service_off_and_on(shop: Shop) -> None:
    async def traced(expected: list[str]) -> bool:
        _, trace_id = await shop.visit()
        # Children end first, and are sent first by their services; the storefront's span is the last of all.
        await until(lambda: shop.has(trace_id, "shop-storefront"))
        return await shop.services_of(trace_id) == expected

    config = await shop.ask("POST", "tracing-configs", {"service": "shop-stock", "enabled": False})
    await until(lambda: traced(["shop-catalog", "shop-storefront"]))
    await shop.ask("POST", f"tracing-configs/{config['id']}/toggle", version=config["version"])
    await until(lambda: traced(ALL))


async def test_a_load_test_shows_what_fails_on_purpose_behind_the_service_that_it_asks(shop: Shop) -> None:
    said = {
        "name": "tea",
        "service": "shop-storefront",
        "rate": 10,
        "concurrency": 10,
        "duration": "1s",
        "request": {"kind": "http", "url": f"http://127.0.0.1:{shop.port}/products/tea"},
    }
    test = await shop.ask("POST", "load-tests", said)
    async with shop.slow_stock():
        run = (await shop.ask("POST", f"load-tests/{test['id']}/runs"))["id"]
        found: dict[str, Any] = {}

        async def is_over() -> bool:
            found.update(await shop.ask("GET", f"load-test-runs/{run}"))
            return found["state"] != "running"

        await until(is_over)
    assert found["state"] == "completed"
    figures = found["result"]
    assert figures["succeeded"] > 0
    assert figures["failed"] == 0
    # The stock brought the failure about, not what sends.
    assert figures["injected"] == []
    assert min(int(figures["serviceTime"][each]) for each in ("p50", "p99")) >= ADDED_NS * 0.98


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_failure_rule_makes_an_alert_fire_be_acknowledged_and_resolve(shop: Shop) -> None:
    async with receiving() as receiver:
        target = {"type": "webhook", "url": f"{receiver.url}/hook", "signingKey": {"secret": "shop_hook"}}
        channel = await shop.ask("POST", "channels", {"name": "people", "target": target})
        rule = {
            "name": "The shop is slow",
            "condition": {"measure": "latency", "of": "p50", "above": "250ms"},
            "scope": {"service": "shop-storefront", "kind": "server"},
            "window": "1m",
            "channels": [channel["id"]],
        }
        await shop.ask("POST", "alert-rules", rule)

        async def told(what: str) -> bool:
            """Whether people were told, while customers come by."""
            assert (await shop.visit())[0] == 200
            return any(each.document["type"] == f"alert.{what}" for each in receiver.received)

        async with shop.slow_stock():
            await until(lambda: told("fired"), 240)
            [alert] = (await shop.ask("GET", "alerts"))["alerts"]
            assert alert["status"] == "active"
            # Among the traces that show it is one that the stock has made late.
            evidence = receiver.received[0].document["data"]["evidence"]
            assert await shop.is_marked(evidence[0]["traceIds"][0])
            await shop.ask("POST", f"alerts/{alert['id']}/acknowledge", {"note": "it is the stock"})
            await until(lambda: told("acknowledged"))
        await until(lambda: told("resolved"), 240)
        assert (await shop.ask("GET", f"alerts/{alert['id']}"))["status"] == "resolved"
        assert [each.document["type"] for each in receiver.received] == ["alert.fired", "alert.acknowledged", "alert.resolved"]
        assert receiver.faults == []
