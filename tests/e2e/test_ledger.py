"""The account of two services' spans, of which a real ClickHouse refuses one, while the daemon is killed and started again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.requests import Shape, generated_request

EACH = 40
"""Spans of each of the services `frontend` and `checkout` in a request."""
POISON = "poison"


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """A name of its own for each test; dropped afterwards."""
    name = f"ledger_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


def configure(daemon: Daemon, clickhouse: ClickHouse, database: str, **exporter: Any) -> None:
    letters = {"directory": str(daemon.directory / "dead-letters")}
    settings = {"endpoint": clickhouse.url, "database": database, "dead_letters": letters, **exporter}
    daemon.configure(clickhouse=settings, journal={})


def services(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Service → its account; the workspace's own is the sum of them, and each adds up."""
    document = json.loads(daemon.get("/api/v1/ledger")[1])
    (workspace,) = document["exporters"][0]["workspaces"]
    entries = workspace.pop("services")
    for entry in (workspace, *entries):
        settled = entry["stored"] + entry["deadLetters"] + sum(entry["dropped"].values())
        assert entry["accepted"] + entry["renamed"] == settled + entry["waiting"]
        assert entry["waiting"] >= 0
    for key in ("accepted", "renamed", "stored", "deadLetters", "waiting"):
        assert workspace[key] == sum(entry[key] for entry in entries)
    return {entry.pop("service"): entry for entry in entries}


def test_the_account_of_each_service_adds_up_over_a_kill(tmp_path: Path, clickhouse: ClickHouse, database: str) -> None:
    request = generated_request(Shape(spans=2 * EACH, services=2))
    with daemon_in(tmp_path) as daemon:
        configure(daemon, clickhouse, database)
        daemon.start()
        daemon.export(request)
        eventually(lambda: services(daemon)["checkout"]["stored"] == EACH, "the first request")
        request.resource_spans[1].scope_spans[0].spans[7].name = POISON
        clickhouse.execute(f"ALTER TABLE {database}.otel_traces ADD CONSTRAINT sane CHECK SpanName != '{POISON}'")
        daemon.stop()

        # While it is away, what comes waits, and is still there after a kill.
        configure(daemon, clickhouse, database, endpoint="http://127.0.0.1:1")
        daemon.start()
        alone = generated_request(Shape(spans=3))
        alone.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
        daemon.export(request)
        daemon.export(alone)
        assert {name: entry["waiting"] for name, entry in services(daemon).items()} == {"checkout": EACH, "frontend": EACH + 2}
        eventually((tmp_path / "journal" / "refused.json").exists, "refused spans on disk")
        daemon.stop(signal.SIGKILL)

        configure(daemon, clickhouse, database)
        daemon.start()
        assert services(daemon)["checkout"]["accepted"] == 2 * EACH
        eventually(lambda: not daemon.metric("spanhouse_ledger_spans", state="waiting"), "an empty journal")
        account = services(daemon)
        assert account["checkout"] == entry_of(accepted=2 * EACH, stored=2 * EACH - 1, deadLetters=1)
        assert account["frontend"] == entry_of(accepted=2 * EACH + 2, stored=2 * EACH + 2)
        refused = {"trace_id_length": 1}
        assert json.loads(daemon.get("/api/v1/ledger")[1])["refused"] == [
            {"workspace": "default", "reasons": refused, "services": [{"service": "frontend", "reasons": refused}]}
        ]
        assert daemon.metric("spanhouse_ledger_spans", state="dead_letters", workspace="default") == 1
        assert daemon.stop() == 0, daemon.log


def entry_of(**numbers: int) -> dict[str, Any]:
    """An entry with these numbers, and nothing else."""
    return {"accepted": 0, "renamed": 0, "stored": 0, "deadLetters": 0, "dropped": {}, "waiting": 0, **numbers}
