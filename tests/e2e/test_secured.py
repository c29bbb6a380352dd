"""The daemon with encryption, tokens and workspaces, as `config/examples/secured.yaml` has it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from tests.support.certificates import Authority
from tests.support.daemon import ROOT, Daemon, daemon_in, eventually
from tests.support.requests import Shape, generated_request

SHOP, READER, METRICS = "shop-token-0123456789", "reader-token-0123456789", "metrics-token-0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("secured")
    secret = directory / "shop-token"
    secret.write_text(SHOP)
    with daemon_in(directory) as daemon:
        document = yaml.safe_load(daemon.file.read_text())
        guarded = {"tls": authority.issue("127.0.0.1", file="server").settings, "auth": {"authenticator": "tokens"}}
        for protocol in document["receivers"]["otlp"]["protocols"].values():
            protocol.update(guarded)
        document["extensions"]["query"].update(guarded)
        document["extensions"]["tokens"] = {
            "tokens": [
                {"name": "shop", "token_file": str(secret), "role": "ingest", "workspaces": ["shop"]},
                {"name": "reader", "token": "${env:READER}", "role": "read", "workspaces": ["shop", "cart"]},
                {"name": "metrics", "token": "${env:METRICS}", "role": "read", "workspaces": "*"},
            ]
        }
        document["service"]["extensions"].append("tokens")
        database = document["exporters"]["clickhouse"]
        database["embedded"]["tls"] = {**guarded["tls"], "client_ca_file": str(authority.file)}
        database["tls"] = authority.issue("spanhouse", file="client").settings
        daemon.database_context = authority.client_context(authority.issue("grafana"))
        daemon.file.write_text(yaml.safe_dump(document, sort_keys=False))
        daemon.environment = {"READER": READER, "METRICS": METRICS}
        daemon.start()
        yield daemon
        assert daemon.stop() == 0, daemon.log


def export(exporter: SpanExporter, name: str) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span(name):
        pass
    provider.shutdown()


def ask(daemon: Daemon, authority: Authority, path: str, **headers: str) -> tuple[int, Any]:
    async def get() -> tuple[int, str]:
        url = f"https://127.0.0.1:{daemon.ports.query}{path}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with aiohttp.ClientSession() as session, session.get(url, headers=sent, ssl=authority.client_context()) as answer:
            return answer.status, await answer.text()

    return asyncio.run(get())


def test_spans_go_in_and_out_by_token_over_tls(secured: Daemon, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    token = {"authorization": f"Bearer {SHOP}"}
    credentials = grpc.ssl_channel_credentials(authority.cert)
    export(GrpcExporter(f"127.0.0.1:{secured.ports.grpc}", credentials=credentials, headers=token), "over grpc")
    url = f"https://127.0.0.1:{secured.ports.http}/v1/traces"
    export(HttpExporter(url, certificate_file=str(authority.file), headers=token), "over http")
    eventually(lambda: secured.stored() == 2, "stored spans")
    assert secured.sql("SELECT DISTINCT Workspace FROM otel_traces") == "shop"

    reader = {"Authorization": f"Bearer {READER}"}
    status, text = ask(secured, authority, "/api/v1/traces", **reader, X_Workspace_Id="shop")
    assert status == 200
    assert text.count('"traceId"') == 2
    trace_id = secured.sql("SELECT TraceId FROM otel_traces LIMIT 1")
    path = f"/api/v1/traces/{trace_id}"
    assert ask(secured, authority, path, **reader, X_Workspace_Id="shop")[0] == 200
    assert ask(secured, authority, path, **reader, X_Workspace_Id="cart")[0] == 404
    assert ask(secured, authority, path, **reader, X_Workspace_Id="other")[0] == 403
    assert ask(secured, authority, path)[0] == 401
    assert ask(secured, authority, path, Authorization=f"Bearer {SHOP}")[0] == 403
    assert ask(secured, authority, "/readyz")[0] == 200

    with pytest.raises(AssertionError, match="Authentication failed"):
        secured.sql("SELECT 1", user="nobody")

    def counts_refusals() -> str:
        status, shown = ask(secured, authority, "/metrics", Authorization=f"Bearer {METRICS}")
        assert status == 200
        return shown if 'spanhouse_embedded_refused_requests_total{reason="unauthenticated"} 1.0' in shown else ""

    metrics = eventually(counts_refusals, "the database's refusal among the metrics")
    assert 'spanhouse_query_refused_requests_total{extension="query",reason="unauthenticated"} 1.0' in metrics
    for said in (metrics, secured.log):
        assert not [secret for secret in (SHOP, READER, METRICS) if secret in said]


def test_peers_that_do_not_speak_tls_leave_nothing_in_the_log_but_what_is_ours(secured: Daemon) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", secured.ports.grpc), timeout=30) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with suppress(ConnectionError):
                while peer.recv(4096):
                    pass
    assert [line for line in secured.log.splitlines() if not line.startswith("{")] == []


def test_what_the_daemon_writes_is_nobody_elses_business(secured: Daemon) -> None:
    written = [path for path in (secured.directory / "data").rglob("*") if path.is_file() or path.is_dir()]
    assert written
    assert [path for path in written if path.stat().st_mode & stat.S_IRWXO] == []


def test_a_listener_for_everybody_needs_consent_and_is_warned_of(tmp_path: Path) -> None:
    with daemon_in(tmp_path) as daemon:
        document = yaml.safe_load(daemon.file.read_text())
        open_port = document["extensions"]["query"]
        open_port["endpoint"] = f"0.0.0.0:{daemon.ports.query}"
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.launch()
        assert daemon.process is not None
        assert daemon.process.wait(60) == 1
        assert "extensions.query.endpoint: listens on 0.0.0.0" in daemon.log
        assert "or say insecure_listen: true" in daemon.log

        open_port["insecure_listen"] = True
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.start()
        assert [event["key"] for event in daemon.events("open_listener")] == ["extensions.query"]
        assert daemon.stop() == 0


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_replay_and_demo_send_with_the_variables_of_services(
    secured: Daemon, authority: Authority, tmp_path: Path, protocol: str
) -> None:
    file = tmp_path / "request.pb"
    file.write_bytes(generated_request(Shape(spans=7), seed=hash(protocol) % 1000).SerializeToString())
    port = secured.ports.grpc if protocol == "grpc" else secured.ports.http
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SHOP},x-workspace-id=shop",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.file),
    }

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "collector", *arguments, "--endpoint", f"https://127.0.0.1:{port}"]
        return subprocess.run(command, cwd=ROOT, env={**environment, **variables}, capture_output=True, text=True, timeout=60)

    sent = run("replay", str(file), "--protocol", protocol)
    assert (sent.returncode, sent.stdout) == (0, "7 spans sent in 1 requests, 0 rejected, 0 failed\n"), sent.stderr
    refused = run("replay", str(file), "--protocol", protocol, OTEL_EXPORTER_OTLP_HEADERS="")
    assert refused.returncode == 1
    assert "no token came" in refused.stderr
    if protocol == "grpc":
        before = secured.stored()
        played = run("demo", "--duration", "1")
        assert played.returncode == 0, played.stderr
        eventually(lambda: secured.stored() > before, "spans of the demo")
