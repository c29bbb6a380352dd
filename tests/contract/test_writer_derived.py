"""Rows that were made of spans: stored once, in their tables and in what views make of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest

from exporters.base import DerivedRows, ExportError, Outlook
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.native_columns import NativeColumn, NumberMaps, Strings
from tests.support.clickhouse import ClickHouse

TIMEOUT_S = 60.0
NOON_S = 1_700_049_600
DAY_S = 86_400


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    """A name of its own for each test; dropped afterwards."""
    name = f"derived_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


@asynccontextmanager
async def writer_to(clickhouse: ClickHouse, database: str, *, create_schema: bool = True) -> AsyncIterator[ClickHouseWriter]:
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            yield ClickHouseWriter(client, WriterSettings(SchemaSettings(database=database), create_schema), executor)


def red_rows(minutes: list[int]) -> DerivedRows:
    """A row for each of these seconds, of three spans of 10, 20 and 20 ns."""
    count = len(minutes)
    first = np.zeros(count, np.int64)
    symbols = {
        "Workspace": "default",
        "ServiceName": "shop",
        "SpanName": "buy",
        "SpanKind": "Server",
        "StatusCode": "Ok",
        "Dimensions": "",
    }
    columns = [
        *(NativeColumn(name, "LowCardinality(String)", Strings([text], first)) for name, text in symbols.items()),
        NativeColumn("Minute", "DateTime", np.array(minutes)),
        NativeColumn("Spans", "Float64", np.full(count, 3.0)),
        NativeColumn("DurationSum", "Float64", np.full(count, 50.0)),
        NativeColumn("DurationMin", "UInt64", np.full(count, 10)),
        NativeColumn("DurationMax", "UInt64", np.full(count, 20)),
        NativeColumn(
            "DurationSketch",
            "Map(Int16, Float64)",
            NumberMaps(np.full(count, 2), np.tile([107, 139], count), np.tile([1.0, 2.0], count)),
        ),
    ]
    return DerivedRows("otel_red_minute", columns, np.array(minutes, np.int64))


async def test_rows_and_what_a_view_makes_of_them_are_stored_once_however_often_they_are_sent(
    clickhouse: ClickHouse, database: str
) -> None:
    rows = red_rows([NOON_S, NOON_S, NOON_S + 60, NOON_S + 15 * 60])
    async with writer_to(clickhouse, database) as writer:
        for name in ("a", "b", "a", "a", "b"):
            for insert in await writer.prepare_rows(rows, name):
                await insert.send(TIMEOUT_S)
    sums = "sum(Spans), sum(DurationSum), min(DurationMin), max(DurationMax), sumMap(DurationSketch)"
    minutes = clickhouse.execute(
        f"SELECT Minute, {sums} FROM {database}.otel_red_minute GROUP BY Minute ORDER BY Minute"
    ).decode()
    quarters = clickhouse.execute(
        f"SELECT QuarterHour, {sums} FROM {database}.otel_red_quarter_hour GROUP BY QuarterHour ORDER BY QuarterHour"
    ).decode()
    assert [line.split("\t")[1:] for line in minutes.splitlines()] == [
        ["12", "200", "10", "20", "{107:4,139:8}"],
        ["6", "100", "10", "20", "{107:2,139:4}"],
        ["6", "100", "10", "20", "{107:2,139:4}"],
    ]
    assert [line.split("\t")[1:] for line in quarters.splitlines()] == [
        ["18", "300", "10", "20", "{107:6,139:12}"],
        ["6", "100", "10", "20", "{107:2,139:4}"],
    ]
    hours = clickhouse.execute(f"SELECT {sums} FROM {database}.otel_red_hour GROUP BY Hour").decode()
    assert hours == "24\t400\t10\t20\t{107:8,139:16}\n"


async def test_rows_of_more_days_than_an_insert_may_have_are_all_stored(clickhouse: ClickHouse, database: str) -> None:
    rows = red_rows([NOON_S + DAY_S * day for day in range(130)])
    async with writer_to(clickhouse, database) as writer:
        inserts = await writer.prepare_rows(rows, "a")
        for insert in inserts:
            await insert.send(TIMEOUT_S)
    assert len(inserts) > 2
    assert sum(insert.rows for insert in inserts) == 130
    assert clickhouse.execute(f"SELECT sum(Spans), uniqExact(Minute) FROM {database}.otel_red_minute") == b"390\t130\n"


async def test_a_table_that_is_missing_is_made_where_that_is_wanted(clickhouse: ClickHouse, database: str) -> None:
    async with writer_to(clickhouse, database) as writer:
        await writer.open()
        clickhouse.execute(f"DROP TABLE {database}.otel_red_quarter_hour_mv SYNC")
        clickhouse.execute(f"DROP TABLE {database}.otel_red_minute SYNC")
        (insert,) = await writer.prepare_rows(red_rows([NOON_S]), "a")
        with pytest.raises(ExportError) as failure:
            await insert.send(TIMEOUT_S)
        assert failure.value.outlook is Outlook.UNSURE
        await insert.send(TIMEOUT_S)
    assert clickhouse.execute(f"SELECT count() FROM {database}.otel_red_minute") == b"1\n"


async def test_rows_do_not_wait_for_a_table_that_only_somebody_else_may_make(clickhouse: ClickHouse, database: str) -> None:
    async with writer_to(clickhouse, database) as writer:
        await writer.open()
    clickhouse.execute(f"DROP TABLE {database}.otel_red_minute SYNC")
    async with writer_to(clickhouse, database, create_schema=False) as writer:
        (insert,) = await writer.prepare_rows(red_rows([NOON_S]), "a")
        with pytest.raises(ExportError) as failure:
            await insert.send(TIMEOUT_S)
    assert (failure.value.reason, failure.value.outlook) == ("unknown_table", Outlook.NEVER)


async def test_a_text_that_is_twice_among_those_of_a_column_is_one_value(clickhouse: ClickHouse, database: str) -> None:
    rows = red_rows([NOON_S, NOON_S, NOON_S])
    twice = NativeColumn("SpanName", "LowCardinality(String)", Strings(["", "buy", "buy", "never"], np.array([1, 2, 0])))
    columns = [twice if column.name == "SpanName" else column for column in rows.columns]
    async with writer_to(clickhouse, database) as writer:
        for insert in await writer.prepare_rows(replace(rows, columns=columns), "a"):
            await insert.send(TIMEOUT_S)
    found = clickhouse.execute(f"SELECT SpanName, sum(Spans) FROM {database}.otel_red_minute GROUP BY SpanName ORDER BY SpanName")
    assert found == b"\t3\nbuy\t6\n"
