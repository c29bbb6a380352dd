"""The embedded ClickHouse on a full disk: what to do is said, what was acknowledged waits, and is stored once there is room."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.embedded.process import EmbeddedConfig, EmbeddedServer
from exporters.embedded.accounts import Account
from tests.support.clickhouse import ClickHouse
from tests.support.small_disk import small_disk, take_bytes, take_files
from tests.support.ways import assert_stored_once, go_through, way_to


@pytest.mark.soak
@pytest.mark.parametrize(
    ("take", "reason"), [(take_bytes, "not_enough_space"), (take_files, "filesystem_error")], ids=["bytes", "files"]
)
async def test_an_engine_whose_disk_is_full_has_everything_once_there_is_room(
    tmp_path: Path, take: Callable[[Path], None], reason: str
) -> None:
    with small_disk(tmp_path, "size=48m,nr_inodes=2000") as disk:
        config = EmbeddedConfig(path=disk / "data", listen="127.0.0.1:0", accounts=(Account(reader=None),))
        rest = disk / "rest"
        rest.mkdir()
        async with EmbeddedServer(config) as server, asyncio.TaskGroup() as tasks:
            tasks.create_task(server.supervise())
            async with way_to(server.url, tmp_path, "otel") as way:
                await way.send(0)
                await way.settle()
                take(rest)

                def end() -> None:
                    (trouble,) = way.pipeline.troubles().values()
                    assert "Make room on the disk of ClickHouse" in trouble
                    # It ends amid this, and starts again.
                    assert server.pid is not None
                    os.kill(server.pid, signal.SIGKILL)
                    shutil.rmtree(rest)

                await go_through(way, reason, end)
                await asyncio.to_thread(assert_stored_once, ClickHouse("embedded", server.port), "otel", way.taken)
            await server.stop()
