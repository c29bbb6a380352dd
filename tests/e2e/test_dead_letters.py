"""Spans that a real ClickHouse refuses: set aside by the daemon, looked at, sent again and dropped by the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import ROOT, Daemon, daemon_in, eventually
from tests.support.requests import Shape, generated_request

pytestmark = pytest.mark.soak

POISON = "poison"
SPANS = 100
BAD = (7, 8, 63)


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """A name of its own for each test; dropped afterwards."""
    name = f"dead_letters_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


@pytest.fixture
def daemon(tmp_path: Path, clickhouse: ClickHouse, database: str) -> Iterator[Daemon]:
    """A running daemon that writes to a ClickHouse of the test's."""
    with daemon_in(tmp_path) as running:
        running.configure(
            clickhouse={
                "endpoint": clickhouse.url,
                "database": database,
                "dead_letters": {"directory": str(tmp_path / "dead-letters")},
            },
            journal={},
        )
        running.start()
        running.await_ready()
        yield running
        assert running.stop() == 0, running.log


def dead_letter(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "collector", "dead-letter", *arguments, "-c", str(daemon.file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def send_with_poison(daemon: Daemon) -> None:
    request = generated_request(Shape(spans=SPANS))
    spans = request.resource_spans[0].scope_spans[0].spans
    for place in BAD:
        spans[place].name = POISON
    daemon.export(request)


def test_bad_spans_are_set_aside_and_come_in_once_the_store_takes_them(
    daemon: Daemon, clickhouse: ClickHouse, database: str
) -> None:
    table = f"{database}.otel_traces"

    def stored() -> int:
        return int(clickhouse.execute(f"SELECT count() FROM {table}"))

    clickhouse.execute(f"ALTER TABLE {table} ADD CONSTRAINT sane CHECK SpanName != '{POISON}'")
    send_with_poison(daemon)
    eventually(lambda: daemon.metric("spanhouse_exporter_dead_letter_spans_total") == len(BAD), "dead letters")
    eventually(lambda: stored() == SPANS - len(BAD), "the other spans")
    eventually(lambda: not daemon.metric("spanhouse_queue_spans"), "an empty queue")
    numbers = {
        "accepted": SPANS,
        "renamed": 0,
        "stored": SPANS - len(BAD),
        "deadLetters": len(BAD),
        "dropped": {},
        "waiting": 0,
    }
    (account,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"][0]["workspaces"]
    assert account == {"workspace": "default", **numbers, "services": [{"service": "frontend", **numbers}]}

    listed = dead_letter(daemon, "list").stdout.splitlines()
    assert len(listed) == len(BAD)
    first, *_ = (line.split()[0] for line in listed)
    shown = json.loads(dead_letter(daemon, "show", first).stdout)
    assert shown["reason"] == "violated_constraint"
    assert "sane" in shown["error"]
    (span,) = shown["request"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["name"] == POISON

    refused = dead_letter(daemon, "retry", "no-such-entry")
    assert refused.returncode == 1
    assert "no-such-entry" in refused.stderr
    assert dead_letter(daemon, "drop", first).stdout == "1 spans dropped\n"

    clickhouse.execute(f"ALTER TABLE {table} DROP CONSTRAINT sane")
    retried = dead_letter(daemon, "retry", "--all", "--endpoint", f"127.0.0.1:{daemon.ports.grpc}")
    assert (retried.returncode, retried.stdout) == (0, f"{len(BAD) - 1} spans sent, 0 still set aside\n"), retried.stderr
    eventually(lambda: stored() == SPANS - 1, "the spans that were sent again")
    assert dead_letter(daemon, "list").stdout.startswith("no spans are set aside in ")
