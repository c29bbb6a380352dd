"""The daemon, killed again and again under load: what it acknowledged is stored once, in the table and in its companion.

Clients send numbered spans and note which were acknowledged. The process gets SIGKILL at random moments: while it starts, works,
begins files, or stops; and comes back with another configuration. `SPANHOUSE_KILLS` sets how often, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually

KILLS = int(os.environ.get("SPANHOUSE_KILLS", "8"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))
CLIENTS = 3


@dataclass
class Clients:
    """Threads that send spans for as long as there is a daemon; none sends a span twice."""

    daemon: Daemon
    acknowledged: set[int] = field(default_factory=set)
    sent: int = 0
    _first: Any = field(default_factory=lambda: itertools.count(0, 40))
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Clients:
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.ports.http, timeout=30)
            try:
                while not self._over.is_set():
                    self._send_one(connection, next(self._first), chance.randrange(1, 40), chance.randrange(2000))
            except (OSError, http.client.HTTPException):
                self._over.wait(0.01)
            finally:
                connection.close()

    def _send_one(self, connection: http.client.HTTPConnection, first: int, count: int, filler: int) -> None:
        body = numbered(first, count, filler=filler).data.tobytes()
        self.sent += count
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == http.HTTPStatus.OK:
            self.acknowledged.update(range(first, first + count))


def configure(daemon: Daemon, server: ClickHouse, database: str, chance: random.Random) -> None:
    """Another configuration each time; the journal and the table stay the same."""
    daemon.configure(
        clickhouse={
            "endpoint": server.url,
            "database": database,
            "sending_queue": {"num_consumers": chance.randrange(1, 5)},
            "compress": chance.choice(["lz4", "none"]),
        },
        batch={
            "send_batch_size": chance.choice([1, 100, 2000]),
            "send_batch_max_size": chance.choice([0, 2000]),
            "timeout": chance.choice(["0s", "5ms", "100ms"]),
        },
        journal={
            "sync": chance.choice(["interval", "always", "never"]),
            "sync_interval": "20ms",
            "segment_bytes": chance.choice([10_000, 100_000]),
            "memory_bytes": chance.choice([0, 100_000, 10_000_000]),
        },
        service={"shutdown_timeout": "5s"},
    )


def kill_some_time(daemon: Daemon, chance: random.Random) -> None:
    """Start the daemon and kill it: as it starts, as it works, or as it stops."""
    assert daemon.process is None or daemon.process.poll() is not None
    how = chance.choice(["starting", "working", "working", "working", "stopping", "told twice"])
    pause = threading.Event()
    if how == "starting":
        daemon.launch()
        pause.wait(chance.uniform(0.2, 1.5))
    else:
        daemon.start()
        pause.wait(chance.uniform(0.0, 0.6))
    if how in ("stopping", "told twice"):
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        pause.wait(chance.uniform(0.0, 0.1))
    daemon.stop(signal.SIGTERM if how == "told twice" else signal.SIGKILL)


@pytest.mark.timeout(60 + 10 * KILLS)
def test_a_daemon_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path, clickhouse: ClickHouse) -> None:
    chance = random.Random(SEED)
    database = f"kills_{tmp_path.name}_{clickhouse.kind}".lower().replace("-", "_")[-60:]
    with daemon_in(tmp_path) as daemon:
        with Clients(daemon) as clients:
            for _ in range(KILLS):
                configure(daemon, clickhouse, database, chance)
                kill_some_time(daemon, chance)
        configure(daemon, clickhouse, database, chance)
        daemon.start()
        eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty journal", 60.0)
        (account,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
        assert daemon.stop() == 0, daemon.log

    def ask(what: str, table: str = "otel_traces") -> int:
        return int(clickhouse.execute(f"SELECT {what} FROM {database}.{table}"))

    rows = clickhouse.execute(f"SELECT SpanName, count() FROM {database}.otel_traces GROUP BY SpanName FORMAT TSV").decode()
    times = {int(name): int(count) for name, count in (line.split("\t") for line in rows.splitlines())}
    lost = clients.acknowledged - set(times)
    assert not lost, f"{len(lost)} of {len(clients.acknowledged)} acknowledged spans are missing"
    doubled = [number for number, count in times.items() if count > 1]
    assert not doubled, f"{len(doubled)} spans are there twice"
    assert ask("count()", "otel_traces_trace_id_ts") == ask("uniqExact(TraceId)", "otel_traces_trace_id_ts") == len(times)
    (entry,) = account["workspaces"]
    assert (entry["accepted"], entry["stored"], entry["waiting"]) == (len(times), len(times), 0)
    assert len(clients.acknowledged) > 100 * KILLS, "too little was acknowledged to prove anything"
    clickhouse.execute(f"DROP DATABASE {database} SYNC")
