"""The daemon with tail sampling, killed again and again under load: whole traces are stored once, or dropped and accounted for.

Spans of a trace come in several requests, some of them late. The process gets SIGKILL at random moments, and comes back with
another share of traces to keep; but what was decided stays decided. `SPANHOUSE_KILLS` sets how often, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.kills import Clients, kill_some_time

KILLS = int(os.environ.get("SPANHOUSE_KILLS", "5"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


def trace_of(number: int) -> int:
    """Ten requests, one behind the other, have spans of the same ten traces."""
    return (1 + number // 400 * 10 + number % 10) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128


def configure(daemon: Daemon, server: ClickHouse, database: str, chance: random.Random) -> None:
    """Another configuration each time; the journal and the table stay the same."""
    daemon.configure(
        clickhouse={"endpoint": server.url, "database": database, "sending_queue": {"num_consumers": chance.randrange(1, 5)}},
        batch={"send_batch_size": chance.choice([1, 200]), "timeout": chance.choice(["5ms", "100ms"])},
        journal={
            "sync": chance.choice(["interval", "always", "never"]),
            "sync_interval": "20ms",
            "segment_bytes": chance.choice([10_000, 100_000]),
        },
        processors={
            "tail_sampling": {
                "decision_wait": chance.choice(["50ms", "300ms"]),
                "policies": [
                    {
                        "name": "share",
                        "type": "probabilistic",
                        "probabilistic": {"sampling_percentage": chance.choice([20, 50, 80])},
                    }
                ],
            }
        },
        service={"shutdown_timeout": "5s"},
    )


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * KILLS)
def test_traces_are_stored_once_and_whole_or_dropped_whole_however_often_the_daemon_is_killed(
    tmp_path: Path, embedded_clickhouse: ClickHouse
) -> None:
    chance = random.Random(SEED)
    database = f"tail_{tmp_path.name}_{embedded_clickhouse.kind}".lower().replace("-", "_")[-60:]
    with daemon_in(tmp_path) as daemon:
        with Clients(daemon, trace_of) as clients:
            for _ in range(KILLS):
                configure(daemon, embedded_clickhouse, database, chance)
                kill_some_time(daemon, chance)
        configure(daemon, embedded_clickhouse, database, chance)
        daemon.start()
        eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty journal", 60.0)
        (account,) = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
        assert daemon.stop() == 0, daemon.log

    rows = embedded_clickhouse.execute(
        f"SELECT SpanName, count() FROM {database}.otel_traces GROUP BY SpanName FORMAT TSV"
    ).decode()
    times = {int(name): int(count) for name, count in (line.split("\t") for line in rows.splitlines())}
    doubled = [number for number, count in times.items() if count > 1]
    assert not doubled, f"{len(doubled)} spans are there twice"
    (entry,) = account["workspaces"]
    assert entry["dropped"].keys() == {"tail_sampling"}
    assert (entry["stored"], entry["waiting"]) == (len(times), 0)
    assert entry["accepted"] == len(times) + entry["dropped"]["tail_sampling"] >= len(clients.acknowledged)
    stored_of_trace: defaultdict[int, set[bool]] = defaultdict(set)
    for number in clients.acknowledged:
        stored_of_trace[trace_of(number)].add(number in times)
    torn = [trace for trace, stored in stored_of_trace.items() if len(stored) > 1]
    assert not torn, f"{len(torn)} of {len(stored_of_trace)} traces are stored in part"
    assert {True} in stored_of_trace.values()
    assert {False} in stored_of_trace.values()
    assert len(clients.acknowledged) > 50 * KILLS, "too little was acknowledged to prove anything"
    embedded_clickhouse.execute(f"DROP DATABASE {database} SYNC")
