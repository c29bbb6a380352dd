"""Services in Node join as docs/runtimes/javascript.md says: by environment variables alone, and with its propagator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon, eventually

pytestmark = pytest.mark.soak

NODE = ROOT / "tests" / "node"
BY_ENVIRONMENT = "@opentelemetry/auto-instrumentations-node/register"
WITH_PROPAGATOR = str(ROOT / "docs" / "runtimes" / "xtrace.cjs")


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """OpenTelemetry's packages, as the lock file has them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    installed = NODE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (NODE / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True)


@contextmanager
def service(daemon: Daemon, name: str, require: str, log: Path, following: str = "") -> Iterator[str]:
    """A service in a process of its own, whose address this is; in the end it has sent what it has."""
    environment = {
        "NODE_OPTIONS": f"--require {require}",
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{daemon.ports.http}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_NODE_RESOURCE_DETECTORS": "env,host,os,process",
        "OTEL_NODE_ENABLED_INSTRUMENTATIONS": "http,undici",
        "NEXT": following,
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            ["node", "server.cjs"], cwd=NODE, env={**os.environ, **environment}, stdout=written, stderr=written
        )
    try:
        eventually(lambda: process.poll() is not None or log.read_text().endswith("\n"), "a port")
        yield f"http://127.0.0.1:{int(log.read_text())}/"
    finally:
        process.terminate()
        process.wait(60)


def asked(url: str, **headers: str) -> dict[str, str]:
    """The headers that the last service was asked with."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def test_services_in_node_join_by_environment_variables_and_take_x_trace_headers(daemon: Daemon, tmp_path: Path) -> None:
    trace, by_w3c = uuid.uuid4(), uuid.uuid4().hex
    with (
        service(daemon, "node-behind", BY_ENVIRONMENT, tmp_path / "behind") as behind,
        service(daemon, "node-before", WITH_PROPAGATOR, tmp_path / "before", behind) as before,
    ):
        headers = asked(before, X_Trace_ID=str(trace), X_Span_ID="00f067aa0ba902b7")
        contradicted = asked(before, X_Trace_ID=str(trace), traceparent=f"00-{by_w3c}-00f067aa0ba902b7-01")
        malformed = asked(before, X_Trace_ID=f"{trace}0", X_Span_ID="00f067aa0ba902b7")
        alone = asked(behind, X_Trace_ID=str(uuid.uuid4()))
    rows = f"SELECT ServiceName, SpanKind, SpanId, ParentSpanId FROM otel_traces WHERE TraceId = '{trace.hex}'"
    eventually(lambda: len(daemon.sql(rows).splitlines()) == 3, "three spans")
    spans = {(service, kind): (span, parent) for service, kind, span, parent in map(str.split, daemon.sql(rows).splitlines())}
    server, client = spans["node-before", "Server"], spans["node-before", "Client"]
    assert server[1] == "00f067aa0ba902b7"
    assert client[1] == server[0]
    assert spans["node-behind", "Server"][1] == client[0]
    assert headers["traceparent"] == f"00-{trace.hex}-{client[0]}-01"
    assert (headers["x-trace-id"], headers["x-span-id"], headers["x-parent-span-id"]) == (trace.hex, client[0], server[0])
    assert contradicted["x-trace-id"] == by_w3c
    assert malformed["x-trace-id"] not in ("", trace.hex)
    # Without the propagator these headers mean nothing, and do no harm.
    assert "traceparent" not in alone
