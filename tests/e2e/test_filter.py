"""What a filter drops is not stored, and the ledger has it under the filter's name, over a restart as well."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import Daemon, clickhouse_alone, daemon_in, eventually
from tests.support.requests import EPOCH, key_values

HEALTH = {"traces": {"span": ['attributes["url.path"] == "/healthz"', 'Len(attributes["absent"]) > 0']}}
NOISE = {"traces": {"spanevent": ['name == "noise"']}}


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet."""
    with daemon_in(tmp_path) as daemon:
        yield daemon


def request(paths: list[str]) -> ExportTraceServiceRequest:
    """A span for each path, with two events."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    spans = resource_spans.scope_spans.add().spans
    for number, path in enumerate(paths, 1):
        span = spans.add(trace_id=bytes([number]) * 16, span_id=bytes([number]) * 8, name="GET", start_time_unix_nano=EPOCH)
        span.attributes.extend(key_values({"url.path": path}))
        for name in ("noise", "news"):
            span.events.add(name=name, time_unix_nano=EPOCH)
    return message


def account(daemon: Daemon) -> dict[str, object]:
    """The ledger's account of the default workspace."""
    (exporter,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
    (workspace,) = exporter["workspaces"]
    return {key: workspace[key] for key in ("accepted", "stored", "dropped", "waiting")}


def test_what_a_filter_drops_is_not_stored_and_stands_in_the_ledger(stopped: Daemon) -> None:
    stopped.configure(processors={"filter/health": HEALTH, "filter/noise": NOISE}, journal={})
    stopped.start()
    stopped.export(request(["/cart", "/healthz", "/pay", "/healthz"]))

    settled = {"accepted": 4, "stored": 2, "dropped": {"filter/health": 2}, "waiting": 0}
    eventually(lambda: account(stopped) == settled, "an account of which nothing waits")
    rows = stopped.sql("SELECT SpanAttributes['url.path'], toJSONString(Events.Name) FROM otel_traces ORDER BY 1 FORMAT TSVRaw")
    assert rows.splitlines() == ['/cart\t["news"]', '/pay\t["news"]']
    labels = {"processor": "filter/health", "exporter": "clickhouse"}
    assert stopped.metric("otelcol_processor_incoming_items_total", **labels) == 4
    assert stopped.metric("otelcol_processor_outgoing_items_total", **labels) == 2
    assert stopped.metric("otelcol_processor_filter_spans_filtered_total", filter="filter/health") == 2
    # The condition that cannot be worked out for the spans that the first one left.
    assert stopped.metric("spanhouse_processor_failures_total", **labels, rule="traces.span[1]") == 2
    assert stopped.event("rule_not_evaluated")
    assert stopped.stop() == 0, stopped.log

    stopped.start()
    assert account(stopped) == settled
    assert stopped.stop() == 0, stopped.log


def test_what_waited_for_the_store_while_the_daemon_was_killed_is_filtered_once(stopped: Daemon) -> None:
    away = {"endpoint": f"http://127.0.0.1:{stopped.ports.clickhouse}"}
    stopped.configure(processors={"filter/health": HEALTH}, clickhouse=away, journal={})
    stopped.start()
    stopped.export(request(["/cart", "/healthz", "/pay"]))
    # It has been cut, and what is left of it was sent in vain.
    eventually(lambda: stopped.metric("otelcol_processor_outgoing_items_total") == 2, "filtered spans")
    assert account(stopped) == {"accepted": 3, "stored": 0, "dropped": {}, "waiting": 3}
    stopped.stop(signal.SIGKILL)

    stopped.start()
    with clickhouse_alone(stopped):
        settled = {"accepted": 3, "stored": 2, "dropped": {"filter/health": 1}, "waiting": 0}
        eventually(lambda: account(stopped) == settled, "an account of which nothing waits")
        assert stopped.stored() == 2
        assert stopped.stop() == 0, stopped.log
