"""What goes wrong around a daemon: no ClickHouse, a killed one, a stop amid work, taken ports, mistakes in the file."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.support.daemon import EXPORT, START_DEADLINE_S, Daemon, clickhouse_alone, daemon_in, eventually
from tests.support.requests import Shape, generated_request, one_span_request


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon for one test alone, not started yet."""
    with daemon_in(tmp_path) as daemon:
        yield daemon


def test_spans_wait_for_a_clickhouse_that_comes_later(lone: Daemon) -> None:
    lone.configure(clickhouse={"endpoint": f"http://127.0.0.1:{lone.ports.clickhouse}"})
    lone.start()
    lone.export(generated_request(Shape(spans=100)))
    status, body = lone.get("/readyz")
    assert status == 503
    assert "clickhouse" in json.loads(body)["problems"]
    assert lone.get("/healthz")[0] == 200
    assert lone.metric("spanhouse_queue_spans") == 100
    with clickhouse_alone(lone):
        lone.await_ready()
        eventually(lambda: lone.metric("otelcol_exporter_sent_spans_total") == 100, "stored spans")
        assert lone.stored() == 100
        assert lone.stop() == 0


def test_clients_are_asked_to_come_back_when_the_bound_on_memory_is_reached(lone: Daemon) -> None:
    queue = {"max_bytes": 2_000_000, "block_on_overflow": False}
    lone.configure(
        clickhouse={"endpoint": f"http://127.0.0.1:{lone.ports.clickhouse}", "sending_queue": queue},
        service={"shutdown_timeout": "200ms", "telemetry": {"logs": {"encoding": "json"}}},
    )
    lone.start()
    request = generated_request(Shape(spans=500)).SerializeToString()
    accepted = 0
    while (answer := lone.post(request, "application/x-protobuf"))[0] == 200:
        accepted += 500
        assert lone.metric("otelcol_exporter_queue_size") <= 2_000_000
    assert answer[0] == 503
    with pytest.raises(grpc.RpcError) as refused:
        lone.export(request)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]  # grpc publishes no types
    assert lone.metric("spanhouse_queue_spans") == accepted
    assert lone.metric("otelcol_exporter_enqueue_failed_spans_total") == 1000
    # What could not be stored is told, and is the reason for a status that is not 0.
    assert lone.stop() == 1
    assert [event["spans"] for event in lone.events("spans_lost")] == [accepted]


def test_nothing_acknowledged_is_lost_or_doubled_when_clickhouse_is_killed_under_load(lone: Daemon) -> None:
    lone.start()
    pid = lone.events("clickhouse_ready")[0]["pid"]
    acknowledged = 0

    with grpc.insecure_channel(f"127.0.0.1:{lone.ports.grpc}") as channel:
        export = channel.unary_unary(EXPORT)
        for number in range(120):
            export(generated_request(Shape(spans=200), seed=number).SerializeToString(), timeout=60)
            acknowledged += 200
            if number == 40:
                os.kill(pid, signal.SIGKILL)

    eventually(lambda: lone.metric("otelcol_exporter_sent_spans_total") == acknowledged, "stored spans", 60)
    assert lone.stored() == acknowledged
    assert lone.metric("spanhouse_embedded_restarts_total") == 1
    assert [line for line in lone.log.splitlines() if not line.startswith("{")] == [], "the log is JSON alone"
    assert lone.metric("otelcol_exporter_send_failed_spans_total") == 0
    assert lone.stop() == 0


def test_a_stop_stores_what_was_acknowledged_before_it(lone: Daemon) -> None:
    lone.start()
    with grpc.insecure_channel(f"127.0.0.1:{lone.ports.grpc}") as channel:
        export = channel.unary_unary(EXPORT)
        for number in range(300):
            export(one_span_request(seed=number).SerializeToString(), timeout=60)
    assert lone.stop() == 0, lone.log
    with clickhouse_alone(lone):
        assert lone.stored() == 300


def test_a_second_signal_ends_a_daemon_that_cannot_store_at_once_and_without_a_journal_it_has_said_what_that_costs(
    lone: Daemon,
) -> None:
    lone.configure(
        clickhouse={"endpoint": f"http://127.0.0.1:{lone.ports.clickhouse}"},
        service={"shutdown_timeout": "5m", "telemetry": {"logs": {"encoding": "json"}}},
    )
    lone.start()
    told = lone.event("no_journal")
    assert told is not None
    assert "lost if the process is killed" in told["consequence"]
    lone.export(one_span_request())
    assert lone.process is not None
    lone.process.send_signal(signal.SIGTERM)
    eventually(lambda: lone.event("stopping"), "a stop that has begun")
    assert lone.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert lone.event("leaving_at_once")


def test_a_stop_does_not_wait_for_kernels_that_are_being_compiled(lone: Daemon, tmp_path: Path) -> None:
    lone.environment = {"SPANHOUSE_KERNEL_CACHE": str(tmp_path / "kernels")}
    lone.configure(journal={})
    lone.launch()
    eventually(lambda: lone.event("compiling_kernels"), "a compiler at work", START_DEADLINE_S)
    assert lone.stop() == 0, lone.log
    assert lone.event("stopped_while_starting")
    assert lone.event("kernels_ready") is None
    assert lone.events("stopped")[0]["nothing_lost"]


def test_an_error_at_the_start_does_not_wait_for_kernels_that_are_being_compiled(lone: Daemon, tmp_path: Path) -> None:
    lone.environment = {"SPANHOUSE_KERNEL_CACHE": str(tmp_path / "kernels")}
    (lone.directory / "data").write_text("no directory")
    lone.launch()
    assert lone.process is not None
    assert lone.process.wait(START_DEADLINE_S) == 1
    assert lone.event("compiling_kernels")
    assert lone.event("kernels_ready") is None
    assert lone.log.splitlines()[-1].startswith("spanhouse run: ")


def test_a_compiler_that_fails_ends_the_start_with_its_reason(lone: Daemon, tmp_path: Path) -> None:
    # Its process loads this when it starts; the daemon itself does not.
    (tmp_path / "sitecustomize.py").write_text("import sys\nif 'proto.warm' in sys.orig_argv: sys.exit('no memory left')")
    lone.environment = {"SPANHOUSE_KERNEL_CACHE": str(tmp_path / "kernels"), "PYTHONPATH": str(tmp_path)}
    lone.launch()
    assert lone.process is not None
    assert lone.process.wait(START_DEADLINE_S) == 1
    assert "no memory left" in lone.log
    assert "the kernels cannot be compiled" in lone.log.splitlines()[-1]


@pytest.mark.parametrize("which", ["grpc", "http", "query", "clickhouse"])
def test_a_taken_port_is_told_with_its_address_and_what_to_do(lone: Daemon, which: str) -> None:
    port = getattr(lone.ports, which)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        lone.launch()
        assert lone.process is not None
        assert lone.process.wait(START_DEADLINE_S) == 1
    last = lone.log.splitlines()[-1]
    assert last.startswith("spanhouse run: ")
    assert "127.0.0.1" in last
    assert str(port) in last
    assert "Traceback" not in lone.log


def test_mistakes_in_the_file_are_all_told_and_nothing_is_started(lone: Daemon) -> None:
    lone.file.write_text(lone.file.read_text().replace("grpc:", "grcp:").replace("listen:", "lissen:"))
    lone.launch()
    assert lone.process is not None
    assert lone.process.wait(60) == 1
    assert "did you mean grpc?" in lone.log
    assert "did you mean listen?" in lone.log
