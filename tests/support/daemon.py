"""The daemon as users run it: `spanhouse run` as a process, on free ports, with ClickHouse inside in a directory of its own."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from exporters.embedded.accounts import ENVIRONMENT, Account, Accounts

ROOT = Path(__file__).resolve().parents[2]
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# The first start of a version compiles its kernels.
START_DEADLINE_S = 300.0
# Below those that Linux gives to connections, from 32768 on.
_FIRST_PORT, _PORTS = 12_000, 20_000


def eventually(condition: Callable[[], Any], what: str, deadline_s: float = 30.0) -> Any:
    """The first true value of a condition; fails when there is none within the deadline."""
    pause = threading.Event()
    waited_s = 0.0
    while not (value := condition()):
        assert waited_s < deadline_s, f"not within {deadline_s} s: {what}"
        pause.wait(0.05)
        waited_s += 0.05
    return value


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that were free a moment ago, all different.

    None that the kernel gives to connections, of which other tests open many: one of them would have the port before who is to
    listen there.
    """
    ports: set[int] = set()
    while len(ports) < count:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the daemon and its ClickHouse listen, on 127.0.0.1."""

    grpc: int
    http: int
    query: int
    clickhouse: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*free_ports(4))


@dataclass
class Daemon:
    """A daemon process; its configuration and log are files in `directory`."""

    directory: Path
    ports: Ports
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    database_context: ssl.SSLContext | None = None
    """For `sql`, where ClickHouse speaks TLS."""

    @property
    def file(self) -> Path:
        return self.directory / "collector.yaml"

    def configure(
        self,
        *,
        clickhouse: Mapping[str, Any] | None = None,
        service: Mapping[str, Any] | None = None,
        journal: Mapping[str, Any] | None = None,
        batch: Mapping[str, Any] | None = None,
        processors: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `collector.yaml`: the embedded ClickHouse unless `clickhouse` says otherwise, a journal if `journal` is given.

        Args:
            processors: by their ids, in their order, in front of `batch`.
        """
        chain = {**(processors or {}), "batch": batch}
        ports = self.ports
        embedded = {"path": str(self.directory / "data"), "listen": f"127.0.0.1:{ports.clickhouse}"}
        kept = {} if journal is None else {"journal": {"directory": str(self.directory / "journal"), **journal}}
        document = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": f"127.0.0.1:{ports.grpc}"},
                        "http": {"endpoint": f"127.0.0.1:{ports.http}"},
                    }
                }
            },
            "processors": chain,
            "exporters": {
                "clickhouse": {
                    "endpoint": "embedded",
                    "embedded": embedded,
                    "retry_on_failure": {"initial_interval": "200ms", "max_interval": "500ms"},
                    **(clickhouse or {}),
                }
            },
            "extensions": {"query": {"endpoint": f"127.0.0.1:{ports.query}"}, **kept},
            "service": {
                "extensions": ["query", *kept],
                "pipelines": {"traces": {"receivers": ["otlp"], "processors": [*chain], "exporters": ["clickhouse"]}},
                "telemetry": {"logs": {"encoding": "json"}},
                **(service or {}),
            },
        }
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self) -> None:
        """Start the process and wait until it takes spans."""
        self.launch()
        eventually(lambda: self._ended() or self.event("ready"), "a ready line", START_DEADLINE_S)
        assert not self._ended(), self.log

    def reload(self) -> tuple[int, dict[str, Any]]:
        """Have the configuration read again: status and document of the answer."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.ports.query}/api/v1/config/reload", method="POST")
        try:
            with urllib.request.urlopen(asked, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def await_ready(self) -> None:
        """Wait until everything works, the tables of the store included."""
        eventually(lambda: self.get("/readyz")[0] == 200, "a ready daemon")

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "collector", "run", "-c", str(self.file)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the process to end, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    # What it says.

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        lines = (line for line in self.log.splitlines() if line.startswith("{"))
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def event(self, name: str) -> dict[str, Any] | None:
        return next(iter(self.events(name)), None)

    def get(self, path: str, *, accept: str = "*/*") -> tuple[int, bytes]:
        """GET on the query port: status and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports.query}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; 0 when there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics")[1].decode().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(label in sample for label in wanted):
                total += float(value)
        return total

    # What it takes and gives.

    def export(self, request: ExportTraceServiceRequest | bytes, workspace: str | None = None) -> ExportTraceServiceResponse:
        """Send one request over gRPC; `workspace` is named in its metadata."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        metadata = [] if workspace is None else [("x-workspace-id", workspace)]
        with grpc.insecure_channel(f"127.0.0.1:{self.ports.grpc}") as channel:
            answer = channel.unary_unary(EXPORT)(body, timeout=60, metadata=metadata)
            return ExportTraceServiceResponse.FromString(answer)

    def post(self, body: bytes, media_type: str, **headers: str) -> tuple[int, bytes]:
        """Send one request over HTTP: status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=60)
        try:
            connection.request("POST", "/v1/traces", body, {"Content-Type": media_type, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def sql(self, statement: str, **parameters: str) -> str:
        """What ClickHouse answers to a statement, as tab-separated text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.clickhouse, timeout=60)
        if self.database_context is not None:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.ports.clickhouse, timeout=60, context=self.database_context
            )
        try:
            connection.request("POST", "/?" + urllib.parse.urlencode({"database": "otel", **parameters}), statement)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, text
            return text.removesuffix("\n")
        finally:
            connection.close()

    def stored(self, condition: str = "1") -> int:
        """Number of rows of otel_traces that fit."""
        return int(self.sql(f"SELECT count() FROM otel_traces WHERE {condition}"))

    def trace(self, trace_id: str) -> TracesData:
        """A trace, read back over the API as OTLP protobuf."""
        status, body = self.get(f"/api/v1/traces/{trace_id}", accept="application/x-protobuf")
        assert status == 200, body
        return TracesData.FromString(body)


@contextmanager
def daemon_in(directory: Path) -> Iterator[Daemon]:
    """A daemon that is configured but not started; whatever runs in the end is ended."""
    daemon = Daemon(directory, Ports.free())
    daemon.configure()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@contextmanager
def clickhouse_alone(daemon: Daemon) -> Iterator[None]:
    """A ClickHouse on the daemon's port and data, without the daemon."""
    listen = f"127.0.0.1:{daemon.ports.clickhouse}"
    command = [sys.executable, "-m", "collector.embedded", "--path", str(daemon.directory / "data"), "--listen", listen]
    environment = {**os.environ, ENVIRONMENT: Accounts([Account(reader=None)]).to_json()}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()  # written once it is ready
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)
