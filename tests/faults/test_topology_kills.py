"""The daemon, killed again and again while halves of calls come apart: every call between stored spans is counted once.

One request has the clients of some calls, another one their servers. `SPANHOUSE_KILLS` sets how often the process gets SIGKILL,
`SPANHOUSE_SEED` when.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.clickhouse import ClickHouse
from tests.support.daemon import daemon_in, eventually
from tests.support.kills import Clients, configure_anew, kill_some_time

KILLS = int(os.environ.get("SPANHOUSE_KILLS", "3"))
SEED = int(os.environ.get("SPANHOUSE_SEED", "1"))
REQUEST_SPANS = 40

JOINED = """
SELECT count() FROM {database}.otel_traces AS child
INNER JOIN {database}.otel_traces AS parent ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
WHERE child.ServiceName != parent.ServiceName
"""


class Callers(Clients):
    """Clients that send one side of calls after the other."""

    def body(self, first: int, count: int, filler: int) -> bytes:
        is_server = first // REQUEST_SPANS % 2
        calls = first // (2 * REQUEST_SPANS) * REQUEST_SPANS
        request = ExportTraceServiceRequest()
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = ("web", "cart")[is_server]
        spans = resource_spans.scope_spans.add().spans
        for call in range(calls, calls + count):
            spans.add(
                trace_id=(call + 1).to_bytes(16, "big"),
                span_id=bytes([1 + is_server] * 8),
                parent_span_id=bytes([is_server] * 8),
                kind=(Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER)[is_server],
                name=str(first + call - calls),
                start_time_unix_nano=time.time_ns(),
            )
        return request.SerializeToString()


@pytest.mark.soak
@pytest.mark.timeout(120 + 20 * KILLS)
def test_every_call_is_counted_once_however_often_the_daemon_is_killed(tmp_path: Path, genuine_clickhouse: ClickHouse) -> None:
    chance = random.Random(SEED)
    database = f"calls_{tmp_path.name}".lower().replace("-", "_")[-60:]

    def count(what: str) -> int:
        return int(float(genuine_clickhouse.execute(what)))

    with daemon_in(tmp_path) as daemon:
        with Callers(daemon) as clients:
            for _ in range(KILLS):
                configure_anew(daemon, genuine_clickhouse, database, chance, {"topology": None})
                kill_some_time(daemon, chance)
        configure_anew(daemon, genuine_clickhouse, database, chance, {"topology": None})
        daemon.start()
        eventually(lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty journal", 60.0)
        answer = json.loads(daemon.get("/api/v1/topology")[1])
        assert daemon.stop() == 0, daemon.log
    assert count(f"SELECT count() FROM {database}.otel_traces") >= len(clients.acknowledged)
    calls = count(JOINED.format(database=database))
    assert calls > 20 * KILLS, "too few calls were stored to prove anything"
    (edge,) = (edge for edge in answer["edges"] if edge["server"]["name"] == "cart" and edge["client"]["name"] == "web")
    assert edge["calls"] == calls
    assert count(f"SELECT count() FROM {database}.otel_topology_halves") > calls
    by_minute, settled, by_hour = (
        count(f"SELECT sum(Calls) FROM {database}.otel_topology_{table}") for table in ("minute", "settled", "hour")
    )
    assert by_hour == by_minute + settled
    genuine_clickhouse.execute(f"DROP DATABASE {database} SYNC")
