"""Two tiers of collectors: the first keeps the spans of each trace together, the second stores them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import EPOCH, key_values

TRACES = 60
SPANS_PER_REQUEST = 2


@dataclass
class Tiers:
    """Daemons: one in front of two that store."""

    edge: Daemon
    stores: tuple[Daemon, Daemon]

    def homes(self) -> dict[str, set[int]]:
        """Trace id → which of the stores have spans of it."""
        found: dict[str, set[int]] = {}
        for place, store in enumerate(self.stores):
            for trace_id in store.sql("SELECT DISTINCT TraceId FROM otel_traces").split():
                found.setdefault(trace_id, set()).add(place)
        return found

    def spans(self) -> int:
        """Different spans that are stored anywhere."""
        return sum(int(store.sql("SELECT uniqExact(TraceId, SpanId) FROM otel_traces")) for store in self.stores)


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[Tiers]:
    with ExitStack() as stack:
        for name in ("edge", "left", "right"):
            (tmp_path / name).mkdir()
        edge, left, right = (stack.enter_context(daemon_in(tmp_path / name)) for name in ("edge", "left", "right"))
        edge.configure(journal={})
        document = yaml.safe_load(edge.file.read_text())
        document["exporters"] = {
            "loadbalancing": {
                "resolver": {"static": {"hostnames": [f"127.0.0.1:{store.ports.grpc}" for store in (left, right)]}},
                "protocol": {"otlp": {"tls": {"insecure": True}, "compression": "none"}},
                "retry_on_failure": {"initial_interval": "100ms", "max_interval": "300ms"},
                "dead_letters": {"directory": str(tmp_path / "dead-letters")},
            }
        }
        document["service"]["pipelines"]["traces"]["exporters"] = ["loadbalancing"]
        edge.file.write_text(yaml.safe_dump(document))
        for daemon in (left, right, edge):
            daemon.start()
        yield Tiers(edge, (left, right))


def part(turn: int) -> ExportTraceServiceRequest:
    """A few spans of every trace; each turn sends others of the same traces."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource_spans.scope_spans.add().spans
    for number in range(TRACES * SPANS_PER_REQUEST):
        spans.add(
            trace_id=(1 + number % TRACES).to_bytes(16),
            span_id=(1 + turn * TRACES * SPANS_PER_REQUEST + number).to_bytes(8),
            name="GET",
            start_time_unix_nano=EPOCH,
            end_time_unix_nano=EPOCH + 1,
        )
    return request


def test_every_trace_is_whole_at_one_collector_through_outages_and_kills(tiers: Tiers) -> None:
    edge, (left, right) = tiers.edge, tiers.stores
    a_turn = TRACES * SPANS_PER_REQUEST
    for turn in range(3):
        edge.export(part(turn))
    eventually(lambda: tiers.spans() == 3 * a_turn, "all spans in the second tier")
    homes = tiers.homes()
    assert len(homes) == TRACES
    assert {place for home in homes.values() for place in home} == {0, 1}

    # A tier that stores nothing is ready, keeps accounts, and has nothing to ask for.
    assert edge.get("/readyz")[0] == 200
    (exporter,) = json.loads(edge.get("/api/v1/ledger")[1])["exporters"]
    assert [(each["accepted"], each["stored"]) for each in exporter["workspaces"]] == [(3 * a_turn, 3 * a_turn)]
    assert edge.get(f"/api/v1/traces/{1:032x}")[0] == 404
    assert edge.metric("otelcol_loadbalancer_num_backends") == 2

    # One store is away, and the first tier is killed while spans wait for it.
    assert right.stop() == 0, right.log
    edge.export(part(3))
    eventually(lambda: edge.metric("otelcol_loadbalancer_backend_outcome_total", success="false") >= 2, "failed attempts")
    assert edge.get("/readyz")[0] == 503
    edge.stop(signal.SIGKILL)
    edge.start()
    right.start()
    eventually(lambda: tiers.spans() == 4 * a_turn, "all spans in the second tier")
    assert tiers.homes() == homes
    assert all(len(home) == 1 for home in homes.values())
    for daemon in (edge, left, right):
        assert daemon.stop() == 0, daemon.log
