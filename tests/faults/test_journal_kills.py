"""The daemon, killed again and again under load: what it acknowledged is stored once, in the table and in its companion.

Clients send numbered spans and note which were acknowledged. The process gets SIGKILL at random moments: while it starts, works,
begins files, or stops; and comes back with another configuration. `SPANHOUSE_KILLS` sets how often, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.kills import Clients, kill_some_time

KILLS = int(os.environ.get("SPANHOUSE_KILLS", "8"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


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


@pytest.mark.soak
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
