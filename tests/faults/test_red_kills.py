"""The daemon, killed again and again while it counts spans: each acknowledged span is counted once, though half are not stored.

`SPANHOUSE_KILLS` sets how often the process gets SIGKILL, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import daemon_in, eventually
from tests.support.kills import Clients, configure_anew, kill_some_time

KILLS = int(os.environ.get("SPANHOUSE_KILLS", "2"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))
PROCESSORS = {"red_metrics": {"max_series": 100_000}, "probabilistic_sampler": {"sampling_percentage": 50}}


@pytest.mark.soak
@pytest.mark.timeout(120 + 20 * KILLS)
def test_every_span_is_counted_once_however_often_the_daemon_is_killed(tmp_path: Path, genuine_clickhouse: ClickHouse) -> None:
    chance = random.Random(SEED)
    database = f"counted_{tmp_path.name}".lower().replace("-", "_")[-60:]
    with daemon_in(tmp_path) as daemon:
        with Clients(daemon) as clients:
            for _ in range(KILLS):
                configure_anew(daemon, genuine_clickhouse, database, chance, PROCESSORS)
                kill_some_time(daemon, chance)
        configure_anew(daemon, genuine_clickhouse, database, chance, PROCESSORS)
        daemon.start()
        eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty journal", 60.0)
        assert daemon.stop() == 0, daemon.log
    assert len(clients.acknowledged) > 100 * KILLS, "too little was acknowledged to prove anything"

    def counted(table: str, count: str) -> dict[int, float]:
        rows = genuine_clickhouse.execute(
            f"SELECT SpanName, {count} FROM {database}.{table} GROUP BY SpanName FORMAT TSV"
        ).decode()
        return {int(name): float(value) for name, value in (line.split("\t") for line in rows.splitlines())}

    by_minute, stored = counted("otel_red_minute", "sum(Spans)"), counted("otel_traces", "count()")
    lost = clients.acknowledged - set(by_minute)
    assert not lost, f"{len(lost)} of {len(clients.acknowledged)} acknowledged spans are not counted"
    assert set(by_minute.values()) == {1}, "some spans are counted twice"
    assert counted("otel_red_quarter_hour", "sum(Spans)") == counted("otel_red_hour", "sum(Spans)") == by_minute
    assert set(stored) < set(by_minute)
    assert 0.3 * len(by_minute) < len(stored) < 0.7 * len(by_minute)
    genuine_clickhouse.execute(f"DROP DATABASE {database} SYNC")
