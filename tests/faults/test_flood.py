"""A workspace that floods while the store is away: it is pushed back first, and the others still get their share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import Daemon, daemon_in
from tests.support.requests import Shape, generated_request

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
