"""Who is measured: the floor, spanhouse, the plain way and rotel, each as a process behind one small interface."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from bench.loads import LOADS, Load
from bench.processes import Process, answers_ok, free_port, listens, python_module

MAX_REQUEST_MIB: Final = 64


@dataclass(frozen=True, slots=True)
class Contender:
    """A receiver under measurement.

    Attributes:
        name: as in the report.
        process: its one process, not yet started.
        grpc, http: `host:port` where it takes spans.
        writes: whether it writes what it takes to the sink.
        loads: names of the loads that it can take.
        share: how much of a load's requests it is sent, where less is enough to measure it.
    """

    name: str
    process: Process
    grpc: str
    http: str
    writes: bool = True
    loads: frozenset[str] = field(default_factory=lambda: frozenset(LOADS))
    share: float = 1.0

    def endpoint(self, load: Load) -> str:
        """Where this load is sent."""
        return self.grpc if load.protocol == "grpc" else self.http


def floor(directory: Path, sink_port: int) -> Contender:
    """Servers that only take the bytes and acknowledge them."""
    grpc, http = free_port(), free_port()
    command = python_module("bench.floor", "--grpc", grpc, "--http", http)
    process = Process("floor", command, lambda: listens(grpc) and listens(http), directory / "floor.log")
    return Contender("floor", process, _loopback(grpc), _loopback(http), writes=False)


def bare(directory: Path, sink_port: int) -> Contender:
    """Spanhouse's gRPC server, doing the same."""
    grpc = free_port()
    process = Process("bare", python_module("bench.bare", "--grpc", grpc), lambda: listens(grpc), directory / "bare.log")
    takes = frozenset(name for name, load in LOADS.items() if load.protocol == "grpc")
    return Contender("bare", process, _loopback(grpc), "", writes=False, loads=takes)


def plain(directory: Path, sink_port: int) -> Contender:
    """Message objects, loops, and clickhouse-connect. It knows no OTLP/JSON."""
    grpc, http = free_port(), free_port()
    command = python_module("bench.plain", "--grpc", grpc, "--http", http, "--sink", sink_port)
    process = Process("plain", command, lambda: listens(grpc) and listens(http), directory / "plain.log")
    takes = frozenset(LOADS) - {"http-json"}
    return Contender("plain", process, _loopback(grpc), _loopback(http), loads=takes, share=0.2)


def rotel(directory: Path, sink_port: int) -> Contender | None:
    """The Rust collector of the `rotel` distribution, with its ClickHouse exporter; None where it is not installed."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        return None
    grpc, http = free_port(), free_port()
    options = {
        "otlp-grpc-endpoint": _loopback(grpc),
        "otlp-http-endpoint": _loopback(http),
        "otlp-grpc-max-recv-msg-size-mib": MAX_REQUEST_MIB,
        # It drops what is left of a request larger than two batches; the largest real one has 25,000 spans.
        "traces-batch-max-size": 32_768,
        "exporter": "clickhouse",
        "clickhouse-exporter-endpoint": f"http://{_loopback(sink_port)}",
        "clickhouse-exporter-database": "otel",
        "clickhouse-exporter-compression": "lz4",
    }
    agent = str(Path(found.origin).with_name("rotel-agent"))
    command = [agent, "start", *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
    process = Process("rotel", command, lambda: listens(grpc) and listens(http), directory / "rotel.log")
    return Contender("rotel", process, _loopback(grpc), _loopback(http))


def spanhouse(directory: Path, sink_port: int) -> Contender:
    """The daemon with its ClickHouse exporter writing to the sink."""
    return spanhouse_writing_to(directory, {"endpoint": f"http://{_loopback(sink_port)}", "create_schema": False})


def spanhouse_writing_to(
    directory: Path, clickhouse: dict[str, object], journal: dict[str, object] | None = None, *, name: str = "spanhouse"
) -> Contender:
    """The daemon with this `exporters.clickhouse` section; it keeps its files under `directory`.

    Args:
        journal: the `extensions.journal` section; without one, spans wait in memory.
    """
    directory.mkdir(exist_ok=True)
    kept = {} if journal is None else {"journal": journal}
    grpc, http, query = free_port(), free_port(), free_port()
    configuration = {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": _loopback(grpc), "max_recv_msg_size_mib": MAX_REQUEST_MIB},
                    "http": {"endpoint": _loopback(http)},
                }
            }
        },
        "processors": {"batch": {"send_batch_size": 8192, "timeout": "200ms"}},
        "exporters": {"clickhouse": clickhouse},
        "extensions": {"query": {"endpoint": _loopback(query)}, **kept},
        "service": {
            "extensions": ["query", *kept],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["clickhouse"]}},
        },
    }
    file = directory / "collector.yaml"
    file.write_text(yaml.safe_dump(configuration, sort_keys=False))
    command = [str(Path(sys.executable).with_name("spanhouse")), "run", "-c", str(file)]
    url = f"http://{_loopback(query)}/healthz"
    process = Process(name, command, lambda: answers_ok(url) and listens(grpc), directory / "spanhouse.log", directory)
    return Contender(name, process, _loopback(grpc), _loopback(http))


CONTENDERS: Final[dict[str, Callable[[Path, int], Contender | None]]] = {
    "floor": floor,
    "bare": bare,
    "spanhouse": spanhouse,
    "plain": plain,
    "rotel": rotel,
}


def _loopback(port: int) -> str:
    return f"127.0.0.1:{port}"
