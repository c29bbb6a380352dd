"""Calls whose sides came apart, settled in ClickHouse: compared with a look at each span, and with a join of the stored spans."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest

from collector.calls import BY_USER, NODES, TO_DATABASE, TO_EXTERNAL, TO_MESSAGING
from collector.pipeline import settling
from collector.pipeline.settling import Settling
from collector.processors.topology.processor import Topology
from collector.query.store import SpanStore
from collector.query.topology import find_topology
from config.topology import TopologyProcessor
from exporters.base import DerivedRows, ExportError, Outlook
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.join import concatenate
from proto.native_columns import NativeColumn
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.clickhouse import ClickHouse
from tests.support.scenes import scene
from tests.support.topology import Call, PlainSpan, calls_of, plain_spans
from tests.support.traces import all_traces
from tests.support.waiting import until

TIMEOUT_S = 60.0
MOST_SPANS = 3_000

CALLS = """
SELECT Client, Server, ConnectionType, Node, sum(Calls) AS Calls, sum(FailedCalls) AS Failed
FROM (SELECT * FROM otel_topology_minute UNION ALL SELECT * EXCEPT ArrivalMinute FROM otel_topology_settled)
GROUP BY ALL FORMAT JSONEachRow
"""

CALLS_OF_HOURS = """
SELECT Client, Server, ConnectionType, Node, sum(topology.Calls) AS Calls FROM otel_topology_hour AS topology
GROUP BY ALL FORMAT JSONEachRow
"""

JOINED = """
SELECT parent.ServiceName AS Client, child.ServiceName AS Server, count() AS Calls
FROM otel_traces AS child
INNER JOIN otel_traces AS parent ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
WHERE child.ServiceName != parent.ServiceName AND child.ServiceName != '' AND parent.ServiceName != ''
    AND NOT (child.SpanKind IN ('Client', 'Producer') AND parent.SpanKind IN ('Client', 'Producer'))
    AND NOT (parent.SpanKind = 'Client' AND arrayExists(
        key -> parent.SpanAttributes[key] != '', ['db.name', 'db.namespace', 'db.system.name', 'db.system']))
GROUP BY ALL FORMAT JSONEachRow
"""


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """A name of its own for each test; dropped afterwards."""
    name = f"topology_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


@asynccontextmanager
async def tables(clickhouse: ClickHouse, database: str) -> AsyncIterator[tuple[ClickHouseWriter, ClickHouseClient]]:
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=database)), executor)
            await writer.open()
            yield writer, client


def with_arrival(rows: DerivedRows, arrived_s: int) -> DerivedRows:
    """Halves that came then, not now."""
    if rows.table != "otel_topology_halves":
        return rows
    return replace(rows, columns=[*rows.columns, NativeColumn("Arrived", "DateTime", np.full(len(rows), arrived_s))])


async def store(writer: ClickHouseWriter, pieces: Sequence[tuple[SpanBatch, int]]) -> None:
    """Store what each piece tells of calls, as if it had come at that time, twice under the same name."""
    topology = Topology(TopologyProcessor())
    for number, (piece, arrived_s) in enumerate(pieces):
        for _ in range(2):
            for rows in topology.process(piece).derived:
                for insert in await writer.prepare_rows(with_arrival(rows, arrived_s), f"piece-{number}"):
                    await insert.send(TIMEOUT_S)


def stored_calls(clickhouse: ClickHouse, database: str, query: str = CALLS) -> Counter[tuple[str, ...]]:
    rows = [json.loads(line) for line in clickhouse.execute(query, database=database).splitlines()]
    keys = ("Client", "Server", "ConnectionType", "Node")
    return Counter({tuple(row[key] for key in keys if key in row): row["Calls"] for row in rows})


async def asked_calls(client: ClickHouseClient, database: str) -> Counter[Call]:
    """The calls that the query API tells of."""
    store = SpanStore(client, f"{database}.otel_traces")
    found = await find_topology(store, start=0, end=2**62, limit=10_000, workspace="default")
    assert found.complete
    virtual = [NODES[node] for node in (BY_USER, TO_DATABASE, TO_MESSAGING, TO_EXTERNAL)]
    nodes = [next((node.kind for node in (edge.client, edge.server) if node.kind in virtual), "") for edge in found.edges]
    return Counter(
        {
            (edge.client.name, edge.server.name, edge.connection_type, node): int(edge.calls)
            for edge, node in zip(found.edges, nodes, strict=True)
        }
    )


def shares_ids(spans: Sequence[PlainSpan]) -> bool:
    return len({(each.span.trace_id, each.span.span_id) for each in spans}) < len(spans)


def small_traces() -> tuple[SpanBatch, Counter[Call]]:
    """The spans of all traces that are not large and have ids of their own, and the calls in them."""
    batches, together = [], list[PlainSpan]()
    for trace in all_traces():
        spans = list(plain_spans(trace.message))
        if len(spans) <= MOST_SPANS and not shares_ids(spans):
            batches.append(decode(trace.body).batch)
            together += spans
    return concatenate(batches), calls_of(together)


async def test_calls_are_counted_once_however_their_spans_came_and_however_many_settle_them(
    clickhouse: ClickHouse, database: str
) -> None:
    batch, expected = small_traces()
    random = np.random.default_rng(7)
    rows = random.permutation(len(batch))
    async with tables(clickhouse, database) as (writer, client):
        answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
        came_s = int(answer.columns["now"][0]) // 60 * 60 - 12 * 60
        parts = np.array_split(rows, 12)
        # Over five minutes, the first and the last included.
        await store(
            writer, [(batch.select(part), came_s + int(at)) for part, at in zip(parts, random.integers(0, 300, 12), strict=True)]
        )
        for insert in await writer.prepare(batch, "spans"):
            await insert.send(TIMEOUT_S)
        before = stored_calls(clickhouse, database)
        assert await asked_calls(client, database) == expected
        # Several collectors, of which none knows what the others have done, and one that starts later.
        await asyncio.gather(*(Settling(writer.open, client, SchemaSettings(database=database)).settle() for _ in range(2)))
        await Settling(writer.open, client, SchemaSettings(database=database)).settle()
        assert await asked_calls(client, database) == expected
    assert before.total() < expected.total()
    assert stored_calls(clickhouse, database) == expected
    assert stored_calls(clickhouse, database, CALLS_OF_HOURS) == expected
    between_services = Counter[tuple[str, ...]]()
    for (client_name, server_name, _, node), count in expected.items():
        if not node:
            between_services[client_name, server_name] += count
    assert stored_calls(clickhouse, database, JOINED) == between_services


async def test_what_came_too_far_apart_never_meets(clickhouse: ClickHouse, database: str) -> None:
    batch = next(decode(trace.body).batch for trace in all_traces() if "bookinfo" in trace.name or "generated-busy" in trace.name)
    async with tables(clickhouse, database) as (writer, client):
        answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
        minute = int(answer.columns["now"][0]) // 60 * 60 - 12 * 60
        is_server = batch.spans["kind"] == 2
        await store(writer, [(batch.select(~is_server), minute), (batch.select(is_server), minute + 5 * 60)])
        await Settling(writer.open, client, SchemaSettings(database=database)).settle()
    assert not [call for call in stored_calls(clickhouse, database) if not call[3]]


async def test_workspaces_do_not_meet(clickhouse: ClickHouse, database: str) -> None:
    body = next(trace.body for trace in all_traces() if "bookinfo" in trace.name or "generated-busy" in trace.name)
    one, two = (decode(body, workspace).batch for workspace in ("one", "two"))
    async with tables(clickhouse, database) as (writer, client):
        answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
        minute = int(answer.columns["now"][0]) // 60 * 60 - 12 * 60
        await store(writer, [(one.select(one.spans["kind"] != 2), minute), (two.select(two.spans["kind"] == 2), minute)])
        await Settling(writer.open, client, SchemaSettings(database=database)).settle()
    assert not [call for call in stored_calls(clickhouse, database) if not call[3]]


async def test_what_was_settled_by_a_clock_that_was_ahead_keeps_nothing_from_being_settled(
    clickhouse: ClickHouse, database: str
) -> None:
    batch = decode(scene("web CLIENT b <a\ncart SERVER c <b").SerializeToString()).batch
    async with tables(clickhouse, database) as (writer, client):
        answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
        minute = int(answer.columns["now"][0]) // 60 * 60 - 12 * 60
        await client.command(f"INSERT INTO otel_topology_settled (Workspace, ArrivalMinute) VALUES ('x', {minute + 4 * 3600})")
        is_server = batch.spans["kind"] == 2
        await store(writer, [(batch.select(~is_server), minute), (batch.select(is_server), minute)])
        await Settling(writer.open, client, SchemaSettings(database=database)).settle()
        met = await client.query("SELECT Client, Server FROM otel_topology_settled WHERE Workspace != 'x'")
    assert [*zip(met.columns["Client"], met.columns["Server"], strict=True)] == [("web", "cart")]


async def test_settling_goes_on_after_a_failure(clickhouse: ClickHouse, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "INTERVAL_S", 0.01)
    batch = decode(scene("web CLIENT b <a\ncart SERVER c <b").SerializeToString()).batch
    failures = [ExportError("away", "unreachable", Outlook.LATER)]

    async with tables(clickhouse, database) as (writer, client):

        async def make_ready() -> None:
            if failures:
                raise failures.pop()

        answer = await client.query("SELECT toUnixTimestamp(now()) AS now")
        came_s = int(answer.columns["now"][0]) - 12 * 60
        await store(writer, [(batch.select(slice(row, row + 1)), came_s) for row in range(2)])
        settles = Settling(make_ready, client, SchemaSettings(database=database))
        settles.wanted.set()
        task = asyncio.create_task(settles.run())
        try:
            await until(lambda: stored_calls(clickhouse, database) == {("web", "cart", "", ""): 1})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert not failures
