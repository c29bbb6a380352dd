"""Load tests of a running daemon, which ends in order, or is killed, while they run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import Daemon, daemon_in, eventually

WORKSPACE = "/api/v1/workspaces/default"


class Handler(BaseHTTPRequestHandler):
    """Answers everything with `ok`, over connections that stay open, but `/never` not at all."""

    protocol_version = "HTTP/1.1"
    asked_in_vain = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/never":
            self.asked_in_vain.set()
            threading.Event().wait(120)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def target() -> Iterator[int]:
    """A server's port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


def post(daemon: Daemon, path: str, body: Any = None) -> Any:
    """The document of an answer that is no problem."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.ports.query, timeout=30)
    try:
        connection.request("POST", WORKSPACE + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
        assert answer.status < 300, document
        return document
    finally:
        connection.close()


def found(daemon: Daemon, run: str) -> Any:
    return json.loads(daemon.get(f"{WORKSPACE}/load-test-runs/{run}")[1])


def started(daemon: Daemon, test: str) -> tuple[str, int]:
    """A run that has stored something, and the process that sends."""
    run = post(daemon, f"/load-tests/{test}/runs")["id"]
    eventually(lambda: daemon.sql(f"SELECT sum(Succeeded) FROM otel_load_test_progress WHERE RunId = '{run}'") != "0", "progress")
    return run, next(generators(daemon))


def generators(daemon: Daemon) -> Iterator[int]:
    """Process ids of the daemon's generators."""
    assert daemon.process is not None
    for child in Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split():
        if b"collector.monitor.load" in Path(f"/proc/{child}/cmdline").read_bytes():
            yield int(child)


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_run_ends_with_its_daemon_and_keeps_what_it_has(tmp_path: Path) -> None:
    with target() as port, daemon_in(tmp_path) as daemon:
        daemon.configure()
        document = yaml.safe_load(daemon.file.read_text())
        document["extensions"]["load_tests"] = None
        document["service"]["extensions"].append("load_tests")
        daemon.file.write_text(yaml.safe_dump(document))
        daemon.start()
        daemon.await_ready()
        request = {"kind": "http", "url": f"http://localhost:{port}/"}
        test = post(daemon, "/load-tests", {"name": "long", "rate": 50, "duration": "10m", "request": request})["id"]

        # Killed: nobody could write that it ended.
        killed, generator = started(daemon, test)
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGKILL)
        daemon.process.wait()
        eventually(lambda: is_gone(generator), "the end of the generator")
        daemon.start()
        daemon.await_ready()
        left = found(daemon, killed)
        assert left["result"]["succeeded"] > 0
        assert left["endedAtUnixNano"] is None

        # In order, while somebody follows it.
        run, generator = started(daemon, test)
        assert daemon.metric("spanhouse_load_tests") == 1
        refused = {"kind": "http", "url": "http://10.0.0.1/"}
        saved = post(daemon, "/saved-requests", {"name": "away", "request": refused})["id"]
        with pytest.raises(AssertionError, match="leads to a private address"):
            post(daemon, f"/saved-requests/{saved}/executions")
        assert daemon.metric("spanhouse_request_executions_total", outcome="refused") == 1
        follower = http.client.HTTPConnection("127.0.0.1", daemon.ports.query, timeout=30)
        follower.request("GET", f"{WORKSPACE}/load-test-runs/{run}/events")
        assert follower.getresponse().readline() == b"event: progress\n"
        request = {"kind": "http", "url": f"http://localhost:{port}/never"}
        saved = post(daemon, "/saved-requests", {"name": "waits", "timeout": "1m", "request": request})["id"]
        waiter = http.client.HTTPConnection("127.0.0.1", daemon.ports.query, timeout=30)
        waiter.request("POST", f"{WORKSPACE}/saved-requests/{saved}/executions")
        assert Handler.asked_in_vain.wait(30)
        assert daemon.stop() == 0
        follower.close()
        waiter.close()
        assert is_gone(generator)
        said = daemon.event("load_test_ended")
        assert said is not None
        assert (said["run"], said["state"], daemon.event("load_test_not_stored")) == (run, "interrupted", None)
