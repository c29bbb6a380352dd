"""A genuine ClickHouse that is gone, again and again or for long, or whose disk is full: then it has each span once.

`SPANHOUSE_STORE_KILLS` sets how often the server is killed, `SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector import metrics
from tests.support import genuine_clickhouse as genuine
from tests.support.clocks import RunningClock
from tests.support.own_clickhouse import OwnClickHouse
from tests.support.proxy import proxy_to
from tests.support.small_disk import small_disk, take_bytes, take_files
from tests.support.ways import assert_stored_once, go_through, load, way_to

KILLS = int(os.environ.get("SPANHOUSE_STORE_KILLS", "5"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))


@pytest.fixture
def library() -> Path:
    try:
        return genuine.obtain()
    except genuine.Unavailable as why:
        pytest.skip(f"no genuine ClickHouse: {why}")


@pytest.fixture
def own(library: Path, tmp_path: Path) -> Iterator[OwnClickHouse]:
    server = OwnClickHouse(library, tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB and few files."""
    with small_disk(tmp_path, "size=48m,nr_inodes=2000") as point:
        yield point


@pytest.mark.parametrize(("take", "reason"), [(take_bytes, "not_enough_space"), (take_files, "filesystem_error")])
async def test_a_server_whose_disk_is_full_has_everything_once_there_is_room(
    library: Path, disk: Path, tmp_path: Path, take: Callable[[Path], None], reason: str
) -> None:
    server, time = OwnClickHouse(library, disk), RunningClock()
    server.start()
    rest = disk / "rest"
    rest.mkdir()
    try:
        async with way_to(server.clickhouse.url, tmp_path, "otel", clock=time.clock) as way:
            await way.send(0)
            await way.settle()
            take(rest)
            await go_through(way, reason, lambda: shutil.rmtree(rest), time)
            assert_stored_once(server.clickhouse, "otel", way.taken)
    finally:
        server.kill()


@pytest.mark.soak
@pytest.mark.timeout(60 + 10 * KILLS)
async def test_a_server_that_is_killed_again_and_again_under_load(own: OwnClickHouse, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    over = asyncio.Event()
    async with proxy_to(own.port) as proxy, way_to(proxy.url, tmp_path, "otel", exporter={"timeout": "5s"}) as way:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load(way, chance, over))
            for _ in range(KILLS):
                await way.until_stored()
                await asyncio.sleep(chance.uniform(0, 0.3))
                own.kill()
                await asyncio.sleep(chance.uniform(0, 0.2))
                await asyncio.to_thread(own.start)
                proxy.port = own.port
            over.set()
        await way.settle()
        assert way.settled == {"stored": len(way.taken)}
        assert_stored_once(own.clickhouse, "otel", way.taken)


@pytest.mark.soak
async def test_a_long_outage_with_more_than_fits_into_memory_and_a_restart_amid_it(own: OwnClickHouse, tmp_path: Path) -> None:
    memory_bytes = 200_000
    journal = {"memory_bytes": memory_bytes, "segment_bytes": 300_000}
    batch = {"send_batch_size": 500, "send_batch_max_size": 500}

    async with proxy_to(own.port) as proxy:
        async with way_to(proxy.url, tmp_path, "otel", journal=journal, batch=batch, drain_s=0.05) as way:
            await way.send(0)
            await way.settle()
            own.kill()
            for first in range(10, 10_000, 10):
                assert await way.send(first, filler=2000)
                assert way.telemetry.value(metrics.JOURNAL_MEMORY_BYTES) <= memory_bytes
            assert way.waiting == 9990
            taken = way.taken
        async with way_to(proxy.url, tmp_path, "otel", journal=journal, batch=batch) as way:
            assert way.waiting == 9990
            for first in range(10_000, 12_000, 10):
                assert await way.send(first, filler=2000)
            await asyncio.to_thread(own.start)
            proxy.port = own.port
            await way.settle()
            assert way.settled == {"stored": 12_000}
            assert_stored_once(own.clickhouse, "otel", taken + way.taken)
