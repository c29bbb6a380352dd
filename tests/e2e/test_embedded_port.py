"""The embedded ClickHouse's port beside a running daemon: what Grafana on the same machine gets, and nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import ROOT, Daemon, eventually
from tests.support.requests import Shape, generated_request


def _port(daemon: Daemon) -> ClickHouse:
    return ClickHouse("reader", daemon.ports.clickhouse)


def test_anybody_on_this_machine_reads_and_nobody_writes(daemon: Daemon) -> None:
    daemon.export(generated_request(Shape(spans=50)))
    port = _port(daemon)
    eventually(lambda: int(port.execute("SELECT count() FROM otel.otel_traces")) >= 50, "stored spans")
    assert int(port.execute("SELECT count() FROM otel.otel_traces_trace_id_ts")) >= 1
    for statement in ("DROP TABLE otel.otel_traces", "INSERT INTO otel.otel_traces (TraceId) VALUES ('x')"):
        assert port.post(statement).headers["X-ClickHouse-Exception-Code"] == "164"
    assert port.as_user("spanhouse", "").post("SELECT 1").status == 403


def test_the_owners_password_is_nowhere_to_be_read(daemon: Daemon) -> None:
    pid = daemon.events("clickhouse_ready")[0]["pid"]
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    accounts = next(line for line in environment.split(b"\0") if line.startswith(b"SPANHOUSE_EMBEDDED_ACCOUNTS="))
    digest = json.loads(accounts.partition(b"=")[2])[0]["password_sha256"]
    assert digest.encode() not in command
    assert digest not in daemon.log
    assert (daemon.directory / "data").stat().st_mode & 0o077 == 0


def _doctor(daemon: Daemon) -> str:
    command = [sys.executable, "-m", "collector", "doctor", "-c", str(daemon.file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout


def test_the_doctor_knows_a_daemon_that_runs_already(daemon: Daemon) -> None:
    held = [line for line in _doctor(daemon).splitlines() if "is held by" in line]
    assert len(held) == 4
    assert all(line.startswith("ok ") and "which runs already" in line for line in held)


def test_the_doctor_does_not_ask_for_rights_that_only_the_daemon_has(daemon: Daemon) -> None:
    said = _doctor(daemon)
    assert "ok    ClickHouse: " in said
    for subject in ("ClickHouse", "rights", "table"):
        assert f"fail  {subject}: " not in said
        assert f"warn  {subject}: " not in said
