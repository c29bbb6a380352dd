"""The ClickHouse client against real servers: what is bound, what comes back, and what an error says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseTimeout
from tests.support.waiting import until

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.fixture
async def client(clickhouse: Any) -> AsyncIterator[ClickHouseClient]:
    async with ClickHouseClient([clickhouse.url]) as client:
        yield client


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=4))
async def test_any_text_is_bound_as_it_is(client: ClickHouseClient, text: str, items: list[str]) -> None:
    result = await client.query("SELECT {text:String} AS t, {items:Array(String)} AS a", {"text": text, "items": items})
    assert result.columns == {"t": [text], "a": [items]}


async def test_numbers_are_exact(client: ClickHouseClient) -> None:
    result = await client.query(
        "SELECT {u:UInt64} AS u, {i:Int64} AS i, {f:Float64} AS f, {b:Bool} AS b,"
        " {n:Nullable(String)} AS n, {q:Array(Float64)} AS q",
        {"u": 2**64 - 1, "i": -(2**63), "f": 0.1, "b": True, "n": None, "q": [0.5, 0.95]},
    )
    assert result.columns == {"u": [2**64 - 1], "i": [-(2**63)], "f": [0.1], "b": [True], "n": [None], "q": [[0.5, 0.95]]}


async def test_a_result_without_rows_has_its_columns(client: ClickHouseClient) -> None:
    result = await client.query("SELECT 1 AS a, 'x' AS b WHERE 0")
    assert (result.columns, result.row_count) == ({"a": [], "b": []}, 0)


async def test_strings_come_back_byte_for_byte(client: ClickHouseClient) -> None:
    result = await client.query("SELECT unhex('FF00410A') AS x")
    assert result.columns["x"][0].encode(errors="surrogateescape") == b"\xff\x00A\n"


async def test_errors_are_named(client: ClickHouseClient) -> None:
    with pytest.raises(ClickHouseError) as caught:
        await client.query("SELECT * FROM no_such_table_anywhere")
    assert (caught.value.code, caught.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(ClickHouseError) as caught:
        await client.query("SELEC 1")
    assert (caught.value.code, caught.value.name) == (62, "SYNTAX_ERROR")


@pytest.mark.parametrize("wait", [0, 1])
async def test_an_exception_in_the_middle_of_a_result_is_raised(client: ClickHouseClient, wait: int) -> None:
    sql = "SELECT throwIf(number = 300000) AS x, repeat('a', 50) AS y FROM numbers(400000) FORMAT JSONEachRow"
    with pytest.raises(ClickHouseError) as caught:
        await client.query(sql, settings={"wait_end_of_query": wait})
    assert caught.value.code == 395


async def test_a_query_beyond_its_time_is_stopped_on_the_server(client: ClickHouseClient) -> None:
    sql = "SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
    with pytest.raises(ClickHouseTimeout):
        await client.query(sql, timeout_s=0.5, query_id="beyond_its_time")
    running = "SELECT count() AS n FROM system.processes WHERE query_id = 'beyond_its_time'"

    async def has_ended() -> bool:
        return (await client.query(running)).columns == {"n": [0]}

    await until(has_ended)
