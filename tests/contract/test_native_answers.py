"""Answers in the Native format say the same as those in JSON, whatever the store writes into its blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.query.native_values import numbers_of, strings_of
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.wire import parse_blocks
from proto.native_decode import Coded, Column, Lists, Maps
from proto.texts import Texts
from tests.support.clickhouse import ClickHouse

ROWS = 200_000
"""Several blocks, whose dictionaries differ; more texts than a code of one byte can tell apart."""
SELECT = f"""
    SELECT number AS U, toInt32(number) - 7 AS I, number / 4 AS F, number % 3 = 0 AS B,
    repeat('é', number % 150) AS T, toLowCardinality(toString(intDiv(number, 100))) AS D, toLowCardinality('') AS E,
    toDateTime64(toDecimal64(number, 9) - 5, 9, 'Asia/Tokyo') AS N, range(number % 4) AS L,
    [mapFromArrays(range(number % 3)::Array(String), arrayMap(x -> toString(number), range(number % 3))), map()] AS A,
    CAST([(toString(number % 7), 'v'), (toString(number % 7), 'w')], 'Map(LowCardinality(String), String)') AS M,
    CAST(arrayMap(x -> map('k', toString(x)), range(number % 2)), 'Array(Map(LowCardinality(String), String))') AS R,
    []::Array(LowCardinality(String)) AS Z
    FROM numbers({ROWS})"""
JSON_FORMS = {"output_format_json_map_as_array_of_tuples": 1, "date_time_output_format": "unix_timestamp"}
"""So that JSON says all that the blocks do."""


def values_of(column: Column) -> list[Any]:
    match column:
        case Lists():
            return rows_of(column.bounds, values_of(column.items))
        case Maps():
            pairs = [list(pair) for pair in zip(values_of(column.keys), values_of(column.values), strict=True)]
            return rows_of(column.bounds, pairs)
        case Coded() | Texts():
            return strings_of(column)
        case _:
            return numbers_of(column)


def pairs_in_lists(value: Any) -> Any:
    """Inside of arrays, JSON has the pairs of a map as objects with names."""
    if isinstance(value, dict):
        return list(value.values())
    return [pairs_in_lists(each) for each in value] if isinstance(value, list) else value


def rows_of(bounds: NDArray[np.int64], items: list[Any]) -> list[list[Any]]:
    return [items[start:end] for start, end in pairwise(bounds.tolist())]


async def test_every_type_in_many_blocks(clickhouse: ClickHouse) -> None:
    async with ClickHouseClient([clickhouse.url]) as client:
        expected = (await client.query(SELECT, settings=JSON_FORMS)).columns
        found = parse_blocks(await client.query_native(SELECT))
    assert list(found) == list(expected)
    expected["N"] = [int(time.replace(".", "")) for time in expected["N"]]
    for name, column in found.items():
        assert values_of(column) == pairs_in_lists(expected[name]), name


async def test_no_rows_are_no_columns(clickhouse: ClickHouse) -> None:
    async with ClickHouseClient([clickhouse.url]) as client:
        assert parse_blocks(await client.query_native(f"{SELECT} WHERE U > {ROWS}")) == {}
