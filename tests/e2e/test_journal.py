"""The journal as operators meet it: an outage, a full disk, a stop, and what the daemon says of each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.daemon import ROOT, Daemon, clickhouse_alone, daemon_in, eventually
from tests.support.requests import Shape, generated_request

LOGS = {"telemetry": {"logs": {"encoding": "json"}}}


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a journal, for one test alone, not started yet; its ClickHouse is away."""
    with daemon_in(tmp_path) as daemon:
        configure(daemon)
        yield daemon


def configure(daemon: Daemon, shutdown_timeout: str = "200ms", **journal: Any) -> None:
    away = {"endpoint": f"http://127.0.0.1:{daemon.ports.clickhouse}"}
    daemon.configure(clickhouse=away, journal=journal, service={"shutdown_timeout": shutdown_timeout, **LOGS})


def request(number: int, spans: int = 100) -> bytes:
    return generated_request(Shape(spans=spans), seed=number).SerializeToString()


def ledger(daemon: Daemon) -> tuple[int, int, int]:
    """Of the workspace `default`: spans accepted, stored, and waiting."""
    status, body = daemon.get("/api/v1/ledger")
    assert status == 200
    document = json.loads(body)
    assert document["lasting"]
    (exporter,) = document["exporters"]
    (entry,) = exporter["workspaces"]
    return entry["accepted"], entry["stored"], entry["waiting"]


def test_an_outage_costs_disk_and_a_stop_amid_it_loses_nothing(lone: Daemon) -> None:
    lone.start()
    for number in range(5):
        lone.export(request(number))
    assert ledger(lone) == (500, 0, 500)
    assert lone.stop() == 0, lone.log
    assert [event["spans"] for event in lone.events("spans_kept")] == [500]

    lone.start()
    lone.export(request(5))
    with clickhouse_alone(lone):
        eventually(lambda: lone.metric("spanhouse_ledger_spans", state="waiting") == 0, "an empty journal")
        assert lone.stored() == 600
        assert ledger(lone) == (600, 600, 0)
        assert lone.stop() == 0


def test_a_second_signal_amid_a_stop_loses_nothing(lone: Daemon) -> None:
    configure(lone, shutdown_timeout="5m")
    lone.start()
    lone.export(request(0))
    assert lone.process is not None
    lone.process.send_signal(signal.SIGTERM)
    eventually(lambda: lone.event("stopping"), "a stop that has begun")
    lone.stop(signal.SIGTERM)
    told = lone.event("leaving_at_once")
    assert told is not None
    assert "journal" in told["consequence"]
    lone.start()
    with clickhouse_alone(lone):
        eventually(lambda: lone.metric("spanhouse_ledger_spans", state="stored") == 100, "stored spans")
        assert lone.stored() == 100


def test_at_its_bound_clients_are_asked_to_come_back_and_the_daemon_is_not_ready(lone: Daemon) -> None:
    configure(lone, max_bytes=1_000_000, segment_bytes=100_000)
    lone.start()
    accepted = 0
    while (answer := lone.post(request(accepted), "application/x-protobuf"))[0] == 200:
        accepted += 100
    assert answer[0] == 503
    with pytest.raises(grpc.RpcError) as refused:
        lone.export(request(accepted))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in {key for key, _ in refused.value.trailing_metadata()}
    status, body = lone.get("/readyz")
    assert status == 503
    assert "full" in json.loads(body)["problems"]["journal"]
    assert lone.metric("spanhouse_journal_bytes") <= 1_000_000
    with clickhouse_alone(lone):
        lone.await_ready()
        eventually(lambda: lone.post(request(accepted), "application/x-protobuf")[0] == 200, "a request that is taken")
        eventually(lambda: lone.metric("spanhouse_ledger_spans", state="waiting") == 0, "an empty journal")
        assert lone.stored() == accepted + 100
        assert lone.metric("spanhouse_ledger_spans", state="refused") > 0


def test_a_second_daemon_on_the_same_journal_is_told_what_to_do(lone: Daemon, tmp_path: Path) -> None:
    lone.start()
    command = [sys.executable, "-m", "collector", "run", "-c", str(lone.file)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    last = second.stderr.splitlines()[-1]
    assert lone.process is not None
    assert f"in use by the process with id {lone.process.pid}; stop it" in last
    assert str(tmp_path / "journal") in last
    assert "Traceback" not in second.stderr
