"""What the writer stores, column for column, against rows that plain Python makes of the same requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from exporters.clickhouse import schema
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from proto.warm import warm
from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse
from tests.support.requests import EPOCH, every_value_request, generated_request
from tests.support.rows import Row, insert_statement, json_lines, rows_of
from tests.support.traces import all_traces

MOST_SPANS = 1_000
"""Of one real trace; larger ones have nothing that these do not, and plain Python is slow."""
TIMEOUT_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """A name of its own for each test; dropped afterwards."""
    name = f"writer_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


@asynccontextmanager
async def writer_to(clickhouse: ClickHouse, database: str, **settings: object) -> AsyncIterator[ClickHouseWriter]:
    writing = WriterSettings(SchemaSettings(database=database), **settings)  # type: ignore[arg-type]  # the test's own keywords
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            yield ClickHouseWriter(client, writing, executor)


async def store(writer: ClickHouseWriter, batch: SpanBatch) -> None:
    for insert in await writer.prepare(batch, uuid4().hex):
        await insert.send(TIMEOUT_S)


def number(clickhouse: ClickHouse, statement: str) -> int:
    return int(clickhouse.execute(statement))


def assert_stored(clickhouse: ClickHouse, database: str, expected: Iterable[Row]) -> None:
    """The table holds exactly these rows, whatever their order: the server itself compares both."""
    rows = list(expected)
    clickhouse.execute(f"CREATE TABLE {database}.expected AS {database}.otel_traces")
    statement = insert_statement(rows, f"{database}.expected")
    clickhouse.execute(f"{statement}\n{json_lines(rows).decode(errors='surrogateescape')}")
    different = clickhouse.execute(f"""
        SELECT sum(side) AS difference, toString(tuple(* EXCEPT side)) AS row
        FROM (SELECT *, 1 AS side FROM {database}.otel_traces UNION ALL SELECT *, -1 AS side FROM {database}.expected)
        GROUP BY row HAVING difference != 0 ORDER BY row LIMIT 4 FORMAT JSONEachRow
    """)
    assert [json.loads(line) for line in different.splitlines()] == []
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == len(rows)


async def test_every_type_of_value_is_stored_as_the_mapping_says(clickhouse: ClickHouse, database: str) -> None:
    request = every_value_request()
    decoded = decode(request.SerializeToString())
    assert decoded.rejected == {}
    async with writer_to(clickhouse, database) as writer:
        await store(writer, decoded.batch)
    assert_stored(clickhouse, database, rows_of(request))


@pytest.mark.parametrize("compression", ["lz4", "none"])
async def test_generated_spans_are_stored_whatever_the_compression(
    clickhouse: ClickHouse, database: str, compression: str
) -> None:
    request = generated_request()
    async with writer_to(clickhouse, database, compression=compression) as writer:
        await store(writer, decode(request.SerializeToString()).batch)
    assert_stored(clickhouse, database, rows_of(request))


async def test_real_traces_joined_into_one_batch_are_stored_row_for_row(clickhouse: ClickHouse, database: str) -> None:
    batches, rows = [], []
    for trace in all_traces():
        decoded = decode(trace.body)
        if trace.spans <= MOST_SPANS and not decoded.rejected:
            batches.append(decoded.batch)
            rows += rows_of(trace.message)
    async with writer_to(clickhouse, database) as writer:
        await store(writer, concatenate(batches))
    assert_stored(clickhouse, database, rows)


async def test_spans_of_workspaces_keep_their_workspace(clickhouse: ClickHouse, database: str) -> None:
    requests = {name: generated_request(seed=seed) for seed, name in enumerate(("default", "red", "blue"))}
    batches = [decode(request.SerializeToString(), name).batch for name, request in requests.items()]
    async with writer_to(clickhouse, database) as writer:
        await store(writer, concatenate(batches))
    assert_stored(clickhouse, database, [row for name, request in requests.items() for row in rows_of(request, name)])


async def test_an_insert_that_is_sent_again_is_stored_once_in_table_and_companion(clickhouse: ClickHouse, database: str) -> None:
    batch = numbered(0, 5000, step_ns=86_400_000_000_000 // 100)  # over fifty days, so that there are many partitions
    async with writer_to(clickhouse, database) as writer:
        inserts = [*await writer.prepare(batch, "a"), *await writer.prepare(numbered(5000, 100), "b")]
        for insert in inserts:
            for _ in range(3):
                await insert.send(TIMEOUT_S)
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == 5100
    assert number(clickhouse, f"SELECT uniqExact(SpanName) FROM {database}.otel_traces") == 5100
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces_trace_id_ts") == 5100


async def test_equal_spans_of_different_batches_are_all_stored(clickhouse: ClickHouse, database: str) -> None:
    async with writer_to(clickhouse, database) as writer:
        for _ in range(3):
            await store(writer, numbered(0, 10))
    async with writer_to(clickhouse, database) as writer:
        await store(writer, numbered(0, 10))
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == 40


async def test_a_large_block_stays_one_block_so_that_its_repetition_is_recognised(clickhouse: ClickHouse, database: str) -> None:
    batch = concatenate([numbered(first, 5_000) for first in range(0, 100_000, 5_000)])
    async with writer_to(clickhouse, database) as writer:
        (insert,) = await writer.prepare(batch, "a")
        await insert.send(TIMEOUT_S)
        await insert.send(TIMEOUT_S)
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == 100_000
    parts = f"SELECT count() FROM system.parts WHERE database = '{database}' AND table = 'otel_traces' AND level = 0"
    assert number(clickhouse, parts) == 1


async def test_spans_of_more_days_than_a_server_takes_at_once_are_all_stored(clickhouse: ClickHouse, database: str) -> None:
    async with writer_to(clickhouse, database) as writer:
        await store(writer, numbered(0, 150, start_time_unix_nano=EPOCH, step_ns=86_400_000_000_000))
    assert number(clickhouse, f"SELECT uniqExact(SpanName) FROM {database}.otel_traces") == 150


async def test_each_trace_has_its_time_range_in_the_companion(clickhouse: ClickHouse, database: str) -> None:
    request = generated_request()
    async with writer_to(clickhouse, database) as writer:
        await store(writer, decode(request.SerializeToString()).batch)
    traces = f"""
        SELECT TraceId, toDateTime(min(Timestamp)), toDateTime(max(Timestamp)) FROM {database}.otel_traces
        WHERE TraceId != '' GROUP BY TraceId ORDER BY TraceId
    """
    companion = f"""
        SELECT TraceId, min(Start), max(End) FROM {database}.otel_traces_trace_id_ts GROUP BY TraceId ORDER BY TraceId
    """
    assert clickhouse.execute(companion) == clickhouse.execute(traces)


async def test_two_writers_may_create_the_tables_again_and_again(clickhouse: ClickHouse, database: str) -> None:
    for _ in range(2):
        async with writer_to(clickhouse, database) as first, writer_to(clickhouse, database) as second:
            await first.open()
            await second.open()
            await first.open()
    tables = clickhouse.execute(f"SHOW TABLES FROM {database}").decode().split()
    assert tables == sorted(schema.TEMPLATES)


UPSTREAM_COMPANION = """
    CREATE TABLE {database}.otel_traces_trace_id_ts (TraceId String, Start DateTime, End DateTime)
    ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)
"""


def create_upstream_tables(clickhouse: ClickHouse, database: str) -> None:
    """Tables as the upstream exporter makes them: without our columns."""
    definitions = schema.column_definitions("otel_traces")
    ours = list(definitions)[list(definitions).index("Workspace") :]
    columns = ", ".join(f"`{name}` {text}" for name, text in definitions.items() if name not in ours)
    clickhouse.execute(f"CREATE DATABASE {database}")
    clickhouse.execute(f"""
        CREATE TABLE {database}.otel_traces ({columns}, `Twice` UInt64 ALIAS Duration * 2)
        ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
    """)
    clickhouse.execute(UPSTREAM_COMPANION.format(database=database))


async def test_columns_are_added_to_tables_that_another_writer_made(clickhouse: ClickHouse, database: str) -> None:
    create_upstream_tables(clickhouse, database)
    request = every_value_request()
    async with writer_to(clickhouse, database) as writer:
        await store(writer, decode(request.SerializeToString()).batch)
    clickhouse.execute(f"ALTER TABLE {database}.otel_traces DROP COLUMN Twice")
    assert_stored(clickhouse, database, rows_of(request))


@pytest.mark.parametrize("setting", ["", "SETTINGS non_replicated_deduplication_window = 1000"])
async def test_tables_that_remember_too_few_inserts_are_told_to_remember_more(
    clickhouse: ClickHouse, database: str, setting: str
) -> None:
    definitions = schema.column_definitions("otel_traces")
    columns = ", ".join(f"`{name}` {text}" for name, text in definitions.items())
    clickhouse.execute(f"CREATE DATABASE {database}")
    clickhouse.execute(f"CREATE TABLE {database}.otel_traces ({columns}) ENGINE = MergeTree ORDER BY Timestamp {setting}")
    async with writer_to(clickhouse, database) as writer:
        with capture_logs() as lines:
            await writer.open()
        window = int(setting.rpartition(" ")[2] or 0)
        (told,) = [line["because"] for line in lines if "remembers" in line.get("because", "")]
        assert told.startswith(f"`{database}`.`otel_traces` remembers {window} inserts")
        for _ in range(2):
            for insert in await writer.prepare(numbered(0, 10), "the same"):
                await insert.send(TIMEOUT_S)
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == 10
    async with writer_to(clickhouse, database) as writer:
        with capture_logs() as lines:
            await writer.open()
        assert [line for line in lines if line["event"] == "schema_changed"] == []


async def test_without_create_schema_the_tables_of_another_writer_stay_as_they_are(clickhouse: ClickHouse, database: str) -> None:
    create_upstream_tables(clickhouse, database)
    before = clickhouse.execute(f"SHOW CREATE TABLE {database}.otel_traces")
    request = every_value_request()
    async with writer_to(clickhouse, database, create_schema=False) as writer:
        await store(writer, decode(request.SerializeToString()).batch)
    assert clickhouse.execute(f"SHOW CREATE TABLE {database}.otel_traces") == before
    assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == len(rows_of(request))


async def test_inserts_that_the_server_gathers_are_stored_when_they_are_confirmed(clickhouse: ClickHouse, database: str) -> None:
    async with writer_to(clickhouse, database, async_insert=True) as writer:
        await store(writer, numbered(0, 10))
        assert number(clickhouse, f"SELECT count() FROM {database}.otel_traces") == 10
