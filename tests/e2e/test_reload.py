"""The configuration is read again while spans pass: by signal, by a changed file, and when asked to over the API."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.daemon import START_DEADLINE_S, Daemon, daemon_in, eventually
from tests.support.requests import EPOCH, key_values

RELOADS = 100
SPANS = 20
BATCH = {"send_batch_size": 64, "timeout": "5ms"}
UNWATCHED = {"config_check_interval": "0"}
"""Of a daemon that does not look at its file by itself."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet."""
    with daemon_in(tmp_path) as daemon:
        yield daemon


def marks(number: int) -> dict[str, Any]:
    """Two processors that both mark spans with a number."""
    return {
        f"attributes/{name}": {"actions": [{"key": name, "action": "upsert", "value": number}]} for name in ("first", "second")
    }


def with_others(number: int) -> dict[str, Any]:
    """The same, with some of those processors around them that are more than work on a batch."""
    first, second = marks(number).items()
    policies = [{"name": "all", "type": "always_sample"}]
    sampling = {"decision_wait": "20ms", "num_traces": 1000 + number, "policies": policies}
    return dict(
        [
            *([("memory_limiter", {"check_interval": "1s", "limit_mib": 1 << 20 | number})] if number % 2 else []),
            *([("service_policy", {"refresh_interval": f"{1 + number}s"})] if number % 3 else []),
            *([("topology", {"max_series": 100 + number})] if number % 5 else []),
            first,
            *([("tail_sampling", sampling)] if number % 4 == 3 else []),
            second,
        ]
    )


def request(number: int, spans: int) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": "shop"}))
    scope_spans = resource_spans.scope_spans.add()
    for index in range(spans):
        identity = (number * spans + index + 1).to_bytes(8, "big")
        scope_spans.spans.add(trace_id=identity * 2, span_id=identity, name="GET", start_time_unix_nano=EPOCH)
    return message


def processed(daemon: Daemon) -> float:
    """Spans that have been through the second processor."""
    return daemon.metric("otelcol_processor_incoming_items_total", processor="attributes/second")


def shown(daemon: Daemon) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(daemon.get("/api/v1/config")[1])["configuration"]
    return configuration


@pytest.mark.soak
def test_spans_meet_one_configuration_or_the_other_and_none_is_lost(daemon: Daemon) -> None:
    """A hundred times while spans come: each span has both marks of one configuration. Processors come, go and change."""
    daemon.configure(processors=with_others(0), journal={}, batch=BATCH, service=UNWATCHED)
    daemon.start()
    over = threading.Event()
    sent: list[int] = []

    def send() -> None:
        while not over.is_set():
            daemon.export(request(len(sent), SPANS))
            sent.append(SPANS)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for number in range(1, RELOADS + 1):
            batch = {"send_batch_size": 64 + number, "timeout": "5ms"}
            daemon.configure(processors=with_others(number), journal={}, batch=batch, service=UNWATCHED)
            status, answer = daemon.reload()
            assert (status, answer["atRestart"]) == (200, [])
            assert {"processors.attributes/first.actions", "processors.batch.send_batch_size"} < set(answer["applied"])
            # One request may have been on its way; a span of one behind it has then met what is in force now.
            behind = (len(sent) + 2) * SPANS
            eventually(lambda behind=behind: processed(daemon) >= behind, "spans that came after the change")
    finally:
        over.set()
        sender.join()
    eventually(lambda: daemon.stored() == sum(sent), "all spans")
    mixed = "SpanAttributes['first'] != SpanAttributes['second'] OR SpanAttributes['first'] = ''"
    assert daemon.stored(mixed) == 0
    assert int(daemon.sql("SELECT uniqExact(SpanId) FROM otel_traces")) == sum(sent)
    met = daemon.sql("SELECT uniqExact(SpanAttributes['first']) FROM otel_traces WHERE SpanAttributes['first'] != '0'")
    assert int(met) == RELOADS
    assert daemon.metric("spanhouse_config_reloads_total", outcome="success") == RELOADS
    assert daemon.stop() == 0, daemon.log


def test_a_signal_amid_the_start_has_it_read_again_when_the_daemon_runs(daemon: Daemon) -> None:
    daemon.configure(processors=marks(1), service=UNWATCHED)
    daemon.launch()
    eventually(lambda: daemon.event("starting"), "the beginning of a start", START_DEADLINE_S)
    daemon.configure(processors=marks(2), service=UNWATCHED)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.event("config_reloaded"), "a line of the log", START_DEADLINE_S)
    assert shown(daemon)["processors"]["attributes/first"]["actions"][0]["value"] == 2
    assert daemon.stop() == 0, daemon.log


def test_a_signal_and_a_changed_file_have_it_read_again_and_a_mistake_changes_nothing(daemon: Daemon) -> None:
    service = {"config_check_interval": "100ms"}
    daemon.configure(processors=marks(1), service=service)
    daemon.start()

    daemon.configure(processors=marks(2), service=service)
    eventually(lambda: shown(daemon)["processors"]["attributes/first"]["actions"][0]["value"] == 2, "the changed file")

    wrong = {"attributes/first": {"actions": [{"key": "first", "action": "upserd", "value": 3}]}}
    daemon.configure(processors=wrong, service=service)
    eventually(lambda: daemon.event("config_not_reloaded"), "a line of the log")
    status, answer = daemon.reload()
    assert status == 422
    (problem,) = answer["problems"]
    assert problem["key"] == "processors.attributes/first.actions[0].action"
    assert "upsert" in problem["hint"]
    daemon.export(request(0, 1))
    eventually(lambda: daemon.stored("SpanAttributes['second'] = '2'") == 1, "a span by the configuration before it")
    assert daemon.metric("spanhouse_config_reloads_total", outcome="failure") >= 2

    # What cannot change while spans pass is told of.
    daemon.configure(processors=marks(2), service={**service, "shutdown_timeout": "11s"})
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    told = eventually(lambda: daemon.event("restart_needed"), "a line of the log")
    assert told["changed"] == ["service.shutdown_timeout"]
    assert shown(daemon)["service"]["shutdown_timeout"] == "10s"
    assert daemon.stop() == 0, daemon.log
