"""Tracing configs in a running daemon: changed over the API, soon in force for spans of the real SDK, and told to samplers."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.daemon import Daemon, clickhouse_alone, daemon_in, eventually, free_ports

CONFIGS = "/api/v1/workspaces/default/tracing-configs"
POLICY = {"service_policy": {"refresh_interval": "100ms"}}
ADAPTIVE = {"calculation_interval": "10s", "calculation_delay": "0", "initial_sampling_probability": 0.5}


def call(port: int, method: str, path: str, body: Any = None, version: int = 0) -> tuple[int, Any]:
    """Status and document of an answer."""
    headers = {"Content-Type": "application/json", **({"If-Match": f'"{version}"'} if version else {})}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        is_json = answer.headers.get_content_type().endswith("json")
        return answer.status, json.loads(text) if is_json else text.decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def sampling_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def grpc_sampling_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sampling_port: int, grpc_sampling_port: int) -> Iterator[Daemon]:
    """A daemon with the processor, and addresses for samplers with a file of strategies."""
    directory = tmp_path_factory.mktemp("daemon")
    with daemon_in(directory) as daemon:
        daemon.configure(journal={}, processors={"adaptive_sampling": None, **POLICY})
        document = yaml.safe_load(daemon.file.read_text())
        strategies = directory / "strategies.json"
        strategies.write_text(json.dumps({"service_strategies": [{"service": "filed", "type": "ratelimiting", "param": 3}]}))
        document["extensions"]["jaeger_remote_sampling"] = {
            "http": {"endpoint": f"127.0.0.1:{sampling_port}"},
            "grpc": {"endpoint": f"127.0.0.1:{grpc_sampling_port}"},
            "source": {"file": str(strategies), "reload_interval": "1ms"},
            "adaptive": ADAPTIVE,
        }
        document["service"]["extensions"].append("jaeger_remote_sampling")
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.start()
        daemon.await_ready()
        yield daemon
        assert daemon.stop() == 0, daemon.log


class Service:
    """A service with the real SDK, whose spans are sent one by one."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.name = name
        self._daemon = daemon
        self._provider = TracerProvider(resource=Resource({"service.name": name}))
        exporter = OTLPSpanExporter(f"127.0.0.1:{daemon.ports.grpc}", insecure=True)
        self._provider.add_span_processor(SimpleSpanProcessor(exporter))

    def span(self, name: str, ago_s: int = 0, **attributes: str | float) -> None:
        start = time.time_ns() - ago_s * 10**9
        self._provider.get_tracer("test").start_span(name, attributes={"url.path": "/", **attributes}, start_time=start).end()

    def stored(self, condition: str = "1") -> int:
        return self._daemon.stored(f"ServiceName = '{self.name}' AND {condition}")

    def passes(self) -> bool:
        """Whether a span is kept that comes now."""
        marker, after = uuid.uuid4().hex, Service(self._daemon, f"marker-{uuid.uuid4().hex}")
        self.span(marker)
        after.span("behind")
        # Both are in one journal: when the second one is stored, it is settled what became of the first one.
        eventually(lambda: after.stored() == 1, "the span behind")
        return self.stored(f"SpanName = '{marker}'") == 1


@pytest.fixture
def service(running: Daemon) -> Service:
    return Service(running, f"service-{uuid.uuid4().hex}")


def test_a_service_is_switched_off_and_on_while_the_daemon_runs(running: Daemon, service: Service) -> None:
    port = running.ports.query
    assert service.passes()
    status, made = call(port, "POST", CONFIGS, {"service": service.name, "enabled": False})
    assert status == 201
    eventually(lambda: not service.passes(), "a span that is dropped")
    dropped = running.metric("spanhouse_processor_dropped_spans_total", rule=made["id"], reason="disabled")
    assert dropped >= 1
    accounts = json.loads(running.get("/api/v1/ledger")[1])["exporters"][0]["workspaces"][0]["services"]
    assert next(each for each in accounts if each["service"] == service.name)["dropped"] == {"service_policy": dropped}
    status, toggled = call(port, "POST", f"{CONFIGS}/{made['id']}/toggle", version=1)
    assert (status, toggled["enabled"]) == (200, True)
    eventually(service.passes, "a span that is kept")
    assert call(port, "POST", f"{CONFIGS}/{made['id']}/toggle", version=1)[0] == 409


def test_paths_are_excluded_and_rates_applied(running: Daemon, service: Service) -> None:
    settings = {"service": f"{service.name}*", "excludedPaths": ["/healthz"], "samplingRate": 0.5}
    assert call(running.ports.query, "POST", CONFIGS, settings)[0] == 201

    def is_excluded() -> bool:
        before = running.metric("spanhouse_processor_dropped_spans_total", reason="excluded")
        service.span("check", **{"url.path": "/healthz"})
        service.passes()
        return running.metric("spanhouse_processor_dropped_spans_total", reason="excluded") > before

    eventually(is_excluded, "a span that is excluded")
    earlier = service.stored()
    for number in range(60):
        service.span(f"rated-{number}")
    service.passes()
    found = service.stored("SpanName LIKE 'rated-%'")
    assert 10 < found < 50
    assert service.stored("SpanName LIKE 'rated-%' AND TraceState = 'ot=th:8' AND AdjustedCount = 2") == found
    assert service.stored() >= earlier


def test_samplers_are_told_what_configs_and_files_say(
    running: Daemon, sampling_port: int, service: Service, tmp_path: Path
) -> None:
    query = running.ports.query
    asked = [
        (query, "/sampling"),
        (query, "/api/sampling"),
        (sampling_port, "/"),
        (sampling_port, "/sampling"),
        (sampling_port, "/x/y"),
    ]

    def answers(name: str) -> list[Any]:
        return [call(port, "GET", f"{path}?service={name}") for port, path in asked]

    operations = {
        "defaultSamplingProbability": 0.5,
        "defaultLowerBoundTracesPerSecond": 1 / 60,
        "defaultUpperBoundTracesPerSecond": 0,
        "perOperationStrategies": [],
    }
    unknown = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.5}, "operationSampling": operations}
    limited = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 3}}
    assert answers(service.name) == [(200, unknown)] * 5
    assert answers("filed") == [(200, limited)] * 5
    call(query, "POST", CONFIGS, {"service": service.name, "samplingRate": 0.25})
    rated = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.25}}
    eventually(lambda: answers(service.name) == [(200, rated)] * 5, "the rate of the config")
    for port, path in asked:
        for wrong in ("", "?service=a&service=b", "?Service=a"):
            assert call(port, "GET", path + wrong) == (400, "'service' parameter must be provided once\n")
    assert call(sampling_port, "POST", "/sampling?service=a")[0] == 405


def test_samplers_that_speak_grpc_are_told_the_same(running: Daemon, grpc_sampling_port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{grpc_sampling_port}") as channel:
        ask = channel.unary_unary("/jaeger.api_v2.SamplingManager/GetSamplingStrategy")
        assert ask(b"\x0a\x05filed", timeout=30) == b"\x08\x01\x1a\x02\x08\x03"


def test_rates_follow_what_services_send(sampling_port: int, service: Service) -> None:
    for _ in range(40):
        service.span("GET", ago_s=15, **{"sampler.type": "probabilistic", "sampler.param": 0.5})
    service.span("PUT", ago_s=15, **{"sampler.type": "lowerbound", "sampler.param": 0.5})
    service.span("HEAD", ago_s=15)

    def rates() -> dict[str, float]:
        strategy = call(sampling_port, "GET", f"/?service={service.name}")[1]
        return {
            each["operation"]: each["probabilisticSampling"]["samplingRate"]
            for each in strategy["operationSampling"]["perOperationStrategies"]
        }

    # 40 traces in 10 s are more than is wanted, and of the other one nothing was sampled by probability.
    found = eventually(lambda: (now := rates()).get("GET", 1) < 0.5 and "PUT" in now and now, "rates of what was sampled")
    assert found.keys() == {"GET", "PUT"}
    assert found["PUT"] == 1.0


def test_what_is_switched_off_does_not_get_in_because_the_store_was_away_at_the_start(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        daemon.start()
        daemon.await_ready()
        assert call(daemon.ports.query, "POST", CONFIGS, {"service": "numbers", "enabled": False})[0] == 201
        daemon.stop()
        endpoint = f"http://127.0.0.1:{daemon.ports.clickhouse}"
        daemon.configure(clickhouse={"endpoint": endpoint, "embedded": None}, journal={}, processors=POLICY)
        daemon.start()
        off, on = Service(daemon, "numbers"), Service(daemon, "letters")
        off.span("one")
        on.span("a")
        eventually(lambda: daemon.metric("spanhouse_tracing_configs_failures_total", reason="unreachable") > 1, "looks that fail")
        assert daemon.metric("otelcol_processor_incoming_items_total", processor="service_policy") == 0
        assert daemon.metric("spanhouse_queue_spans") == 2
        with clickhouse_alone(daemon):
            eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "spans that are settled")
            assert (off.stored(), on.stored()) == (0, 1)
            assert daemon.metric("spanhouse_processor_dropped_spans_total", reason="disabled") == 1
            assert daemon.metric("spanhouse_tracing_configs") == 1
            assert daemon.stop() == 0


def test_a_change_at_one_collector_is_in_force_at_another(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with daemon_in(tmp_path / "one") as one, daemon_in(tmp_path / "two") as two, clickhouse_alone(one):
        for daemon in (one, two):
            endpoint = f"http://127.0.0.1:{one.ports.clickhouse}"
            daemon.configure(clickhouse={"endpoint": endpoint, "embedded": None}, processors=POLICY)
            daemon.start()
            daemon.await_ready()
        made = call(one.ports.query, "POST", CONFIGS, {"service": "numbers", "enabled": False})[1]
        service = Service(two, "numbers")

        def is_dropped() -> bool:
            service.span("one")
            return two.metric("spanhouse_processor_dropped_spans_total", rule=made["id"], reason="disabled") > 0

        eventually(is_dropped, "a span that is dropped")
        path = f"{CONFIGS}/{made['id']}"
        assert call(two.ports.query, "PATCH", path, {"enabled": True}, version=1)[0] == 200
        late, answer = call(one.ports.query, "PATCH", path, {"comment": "late"}, version=1)
        assert (late, answer["currentVersion"], answer["current"]["enabled"]) == (409, 2, True)
        assert (one.stop(), two.stop()) == (0, 0)
