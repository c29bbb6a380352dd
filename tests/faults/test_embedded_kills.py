"""The embedded ClickHouse, killed again and again under load: what was acknowledged is in both tables, once.

`SPANHOUSE_EMBEDDED_KILLS` sets how often, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from collector.embedded import process
from collector.embedded.process import EmbeddedConfig, EmbeddedServer
from exporters.embedded.accounts import Account
from tests.support.clickhouse import ClickHouse
from tests.support.waiting import until
from tests.support.ways import assert_stored_once, load, way_to

KILLS = int(os.environ.get("SPANHOUSE_EMBEDDED_KILLS", "5"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


@pytest.mark.soak
@pytest.mark.timeout(120 + 10 * KILLS)
async def test_an_engine_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A crash soon after the one before makes the next start wait for longer, up to half a minute.
    monkeypatch.setattr(process, "_LONGEST_DELAY_S", 0.05)
    monkeypatch.setattr(process, "_FIRST_DELAY_S", 0.05)
    chance, over = random.Random(SEED), asyncio.Event()
    config = EmbeddedConfig(path=tmp_path / "data", listen="127.0.0.1:0", accounts=(Account(reader=None),))
    async with EmbeddedServer(config) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.supervise())
        async with way_to(server.url, tmp_path, "otel") as way:
            loading = asyncio.create_task(load(way, chance, over))
            for _ in range(KILLS):
                # Some kills hit a start, and most of them an engine at work.
                if chance.random() < 0.7:
                    await way.until_stored()
                await asyncio.sleep(chance.uniform(0, 0.3))
                pid = server.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: server.pid not in (None, pid))  # type: ignore[misc]  # a default binds it
            over.set()
            await loading
            await way.settle()
            assert way.settled == {"stored": len(way.taken)}
            await asyncio.to_thread(assert_stored_once, ClickHouse("embedded", server.port), "otel", way.taken)
        await server.stop()
