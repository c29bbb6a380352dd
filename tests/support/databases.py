"""Databases with all tables, which take longer to make than most tests to run: one serves a file of tests, emptied for each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.clickhouse import ClickHouse


@contextmanager
def made_database(clickhouse: ClickHouse) -> Iterator[str]:
    """A database with all tables, whose name this is."""
    database = f"made_{uuid.uuid4().hex}"

    async def make() -> None:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            await apply(client, SchemaSettings(database=database))

    asyncio.run(make())
    try:
        yield database
    finally:
        clickhouse.execute(f"DROP DATABASE {database}")


@asynccontextmanager
async def emptied(clickhouse: ClickHouse, database: str) -> AsyncIterator[ClickHouseClient]:
    """A client of a database of which the tables are empty."""
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        await empty(client)
        yield client


async def empty(client: ClickHouseClient) -> None:
    """Take all rows out of the client's database, but those that say which version its tables are of.

    With the rows go the tokens under which they were inserted: the same insert is taken again.
    """
    filled = await client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0 AND name != 'otel_schema_versions'"
    )
    for row in filled.rows():
        await client.command(f"TRUNCATE TABLE {row['name']}")
