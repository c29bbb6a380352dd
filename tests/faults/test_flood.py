"""A workspace that floods while the store is away: it is pushed back first, and the others still get their share."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.proxy import Exchange, proxy_to
from tests.support.requests import Shape, generated_request
from tests.support.waiting import until

MEDIA_TYPE = "application/x-protobuf"


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon without a ClickHouse, for one test alone; not started yet."""
    with daemon_in(tmp_path) as daemon:
        queue = {"max_bytes": 4_000_000, "block_on_overflow": False}
        daemon.configure(
            clickhouse={"endpoint": f"http://127.0.0.1:{daemon.ports.clickhouse}", "sending_queue": queue},
            service={"shutdown_timeout": "200ms", "telemetry": {"logs": {"encoding": "json"}}},
        )
        yield daemon


def test_a_flood_fills_its_share_of_the_queue_and_leaves_the_rest_to_others(lone: Daemon) -> None:
    lone.start()
    large = generated_request(Shape(spans=300)).SerializeToString()
    small = generated_request(Shape(spans=20)).SerializeToString()

    def send(workspace: str, body: bytes) -> int:
        return lone.post(body, MEDIA_TYPE, **{"X-Workspace-Id": workspace})[0]

    assert send("quiet", small) == 200
    while (status := send("flood", large)) == 200:
        pass
    assert status == 429
    filled = lone.metric("otelcol_exporter_queue_size") / lone.metric("otelcol_exporter_queue_capacity")
    assert 0.7 < filled < 0.9
    # The flood goes on, and is pushed back; a workspace of before and one that comes anew are let in.
    for workspace in ("quiet", "newcomer"):
        assert send("flood", large) == 429
        assert [send(workspace, small) for _ in range(3)] == [200] * 3
    assert lone.metric("spanhouse_workspace_throttled_requests_total", workspace="flood", reason="share") == 3
    assert lone.metric("spanhouse_workspace_throttled_requests_total", workspace="quiet") == 0


def test_limits_of_workspaces_are_kept_over_both_protocols(lone: Daemon) -> None:
    document = yaml.safe_load(lone.file.read_text())
    document["receivers"]["otlp"]["workspaces"] = {
        "limits": {"spans_per_second": 1, "burst": "10m"},
        "limits_of": {"large": {"spans_per_second": 1000000}},
    }
    lone.file.write_text(yaml.safe_dump(document))
    lone.start()
    body = generated_request(Shape(spans=350)).SerializeToString()
    lone.export(body)
    assert lone.post(body, MEDIA_TYPE)[0] == 200
    # 700 of the 600 spans that may come at once have come, over both.
    status, refusal = lone.post(body, MEDIA_TYPE)
    assert status == 429
    assert b"workspace default has sent more spans than it may" in refusal
    assert [lone.post(body, MEDIA_TYPE, **{"X-Workspace-Id": "large"})[0] for _ in range(3)] == [200] * 3
    assert lone.metric("spanhouse_workspace_throttled_requests_total", workspace="default", reason="spans") == 1


@dataclass
class Flood:
    """Connections that send large requests without a pause, in the name of one workspace, and what was acknowledged of them."""

    daemon: Daemon
    acknowledged: list[int] = field(default_factory=list)
    pushed_back: int = 0
    _first: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000, 5))

    async def run(self, connections: int) -> None:
        """Send until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(self._send_on())

    async def _send_on(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                first = next(self._first)
                if await send_numbered(session, self.daemon, "flood", first, 5, filler=20_000):
                    self.acknowledged.extend(range(first, first + 5))
                else:
                    self.pushed_back += 1


async def send_numbered(
    session: aiohttp.ClientSession, daemon: Daemon, workspace: str, first: int, count: int, filler: int = 0
) -> bool:
    """Send numbered spans; whether they were acknowledged, and not pushed back."""
    headers = {"Content-Type": MEDIA_TYPE, "X-Workspace-Id": workspace}
    body = numbered(first, count, filler=filler).data.tobytes()
    async with session.post(f"http://127.0.0.1:{daemon.ports.http}/v1/traces", data=body, headers=headers) as answer:
        assert answer.status in (200, 429, 503)
        return answer.status == 200


@pytest.mark.soak
@pytest.mark.parametrize("journal", [None, {"max_bytes": 4_000_000, "segment_bytes": 100_000}], ids=["memory", "journal"])
async def test_while_a_slow_store_is_flooded_others_are_let_in_and_all_that_was_let_in_is_stored(
    lone: Daemon, embedded_clickhouse: ClickHouse, journal: dict[str, int] | None
) -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.05)
        await exchange.tell(await exchange.ask())

    async with proxy_to(embedded_clickhouse.http_port) as proxy:
        proxy.meet(slowly)
        lone.configure(
            clickhouse={
                "endpoint": proxy.url,
                "database": "flood",
                "sending_queue": {"max_bytes": 4_000_000, "block_on_overflow": False, "num_consumers": 1},
            },
            journal=journal,
            batch={"send_batch_max_size": 20, "send_batch_size": 20, "timeout": "10ms"},
        )
        await asyncio.to_thread(lone.start)
        flood = Flood(lone)
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:

            async def let_in(workspace: str, first: int) -> bool:
                return await send_numbered(session, lone, workspace, first, 3)

            assert await let_in("quiet", 0)
            flooding = tasks.create_task(flood.run(10))
            await until(lambda: flood.pushed_back > 10)
            for first in range(3, 300, 3):
                assert await let_in("quiet", first)
            for number in range(20):
                assert await let_in(f"newcomer-{number}", 300 + 3 * number)
            await until(lambda: flood.pushed_back > 100)
            flooding.cancel()
        proxy.meet(None)
        await asyncio.to_thread(eventually, lambda: lone.metric("spanhouse_queue_spans") == 0, "an empty queue")
        assert await asyncio.to_thread(lone.stop) == 0, lone.log

    assert len(flood.acknowledged) > 200, "the flood was no flood"
    # What was on its way when the flood ended may have been let in unheard.
    names = "SELECT SpanName FROM flood.otel_traces WHERE Workspace {}= 'flood' FORMAT TSV"
    assert sorted(map(int, embedded_clickhouse.execute(names.format("!")).split())) == list(range(360))
    flooded = Counter(map(int, embedded_clickhouse.execute(names.format("")).split()))
    assert not set(flood.acknowledged) - set(flooded)
    assert set(flooded.values()) == {1}
    embedded_clickhouse.execute("DROP DATABASE flood SYNC")
