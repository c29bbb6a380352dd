"""Answers in the Native format say the same as those in JSON, whatever the store writes into its blocks."""

from __future__ import annotations

from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.wire import parse_blocks
from proto.native_decode import Coded, Column
from proto.texts import Texts
from tests.support.clickhouse import ClickHouse

ROWS = 200_000
"""Several blocks, whose dictionaries differ; more texts than a code of one byte can tell apart."""
SELECT = f"""
    SELECT number AS U, toInt32(number) - 7 AS I, number / 4 AS F, number % 3 = 0 AS B,
    repeat('é', number % 150) AS T, toLowCardinality(toString(intDiv(number, 100))) AS D, toLowCardinality('') AS E
    FROM numbers({ROWS})"""


def values_of(column: Column) -> list[object]:
    match column:
        case Coded():
            return [column.texts[code].decode() for code in column.codes]
        case Texts():
            data = column.data.tobytes()
            bounds = zip(column.offsets.tolist(), column.lengths.tolist(), strict=True)
            return [data[start : start + length].decode() for start, length in bounds]
        case _:
            return column.tolist()


async def test_every_type_in_many_blocks(clickhouse: ClickHouse) -> None:
    async with ClickHouseClient([clickhouse.url]) as client:
        expected = await client.query(SELECT)
        found = parse_blocks(await client.query_native(SELECT))
    assert list(found) == list(expected.columns)
    for name, column in found.items():
        assert values_of(column) == expected.columns[name]


async def test_no_rows_are_no_columns(clickhouse: ClickHouse) -> None:
    async with ClickHouseClient([clickhouse.url]) as client:
        assert parse_blocks(await client.query_native(f"{SELECT} WHERE U > {ROWS}")) == {}
