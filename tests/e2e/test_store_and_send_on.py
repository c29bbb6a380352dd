"""Spans are stored and sent on at once: each exporter has its own way through the journal, and its own account."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import yaml

from collector.errors import Retryable
from proto.otlp_encode import encode_request
from tests.support.batches import numbered, numbers
from tests.support.daemon import Daemon, daemon_in
from tests.support.receivers import receivers
from tests.support.waiting import until


def accounts(daemon: Daemon) -> dict[str, tuple[int, int]]:
    """Exporter → spans that it has handed over, and spans that wait for it."""
    exporters = json.loads(daemon.get("/api/v1/ledger")[1])["exporters"]
    return {
        each["exporter"]: (sum(row["stored"] for row in each["workspaces"]), sum(row["waiting"] for row in each["workspaces"]))
        for each in exporters
    }


async def test_a_peer_in_trouble_holds_up_neither_the_store_nor_its_own_spans_for_good(tmp_path: Path) -> None:
    async with receivers() as peer:
        with daemon_in(tmp_path) as daemon:
            daemon.configure(journal={})
            document = yaml.safe_load(daemon.file.read_text())
            document["exporters"]["otlp"] = {
                "endpoint": f"http://127.0.0.1:{peer.grpc.port}",
                "retry_on_failure": {"initial_interval": "50ms", "max_interval": "100ms"},
                "dead_letters": {"directory": str(tmp_path / "dead-letters")},
            }
            document["service"]["pipelines"]["traces"]["exporters"] = ["clickhouse", "otlp"]
            daemon.file.write_text(yaml.safe_dump(document))
            peer.consumer.fail_with(Retryable("busy"))

            await asyncio.to_thread(daemon.start)
            await asyncio.to_thread(daemon.export, encode_request(numbered(0, 50)))
            settled = {"clickhouse": (50, 0), "otlp": (0, 50)}
            await until(lambda: asyncio.to_thread(lambda: accounts(daemon) == settled))
            assert (await asyncio.to_thread(daemon.get, "/readyz"))[0] == 503

            await asyncio.to_thread(daemon.stop, signal.SIGKILL)
            await asyncio.to_thread(daemon.start)
            assert await asyncio.to_thread(accounts, daemon) == settled
            peer.consumer.before = None
            await until(lambda: asyncio.to_thread(lambda: accounts(daemon) == {"clickhouse": (50, 0), "otlp": (50, 0)}))
            assert sorted(number for batch in peer.consumer.batches for number in numbers(batch)) == list(range(50))
            assert await asyncio.to_thread(daemon.stored) == 50
            assert await asyncio.to_thread(daemon.stop) == 0, daemon.log
