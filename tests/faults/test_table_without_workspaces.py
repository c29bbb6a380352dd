"""A real table of another writer, which nobody may complete and which cannot tell workspaces apart."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.support.clickhouse import ClickHouse
from tests.support.standard_tables import standard_tables
from tests.support.ways import assert_stored_once, way_to


async def test_spans_of_other_workspaces_are_shown_to_nobody_and_come_in_once_the_column_is_there(
    tmp_path: Path, clickhouse: ClickHouse, database: str
) -> None:
    clickhouse.execute(f"CREATE DATABASE {database}")
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        for statement in standard_tables():
            await client.command(statement)
        async with way_to(clickhouse.url, tmp_path, database, exporter={"create_schema": False}) as way:
            with capture_logs() as lines:
                for first, workspace in ((0, "default"), (10, "shop"), (20, "cart"), (30, "shop"), (40, "default"), (50, "shop")):
                    await way.send(first, workspace=workspace)
                await way.settle()
            assert way.settled == {"stored": 20, "dead_letter": 40}
            assert_stored_once(clickhouse, database, [*range(10), *range(40, 50)])
            assert set(way.set_aside().values()) == {"no_workspace_column"}
            assert sorted(way.set_aside()) == [*range(10, 40), *range(50, 60)]
            (told,) = (line["consequence"] for line in lines if line["event"] == "columns_missing")
            assert "`spanhouse schema apply`" in told
            assert "`spanhouse dead-letter retry`" in told
            await apply(client, SchemaSettings(database=database))
            for first, workspace in ((60, "shop"), (70, "default")):
                await way.send(first, workspace=workspace)
            await way.settle()
            assert way.settled == {"stored": 40, "dead_letter": 40}
        found = await client.query("SELECT Workspace, count() AS spans FROM otel_traces GROUP BY Workspace ORDER BY Workspace")
        assert found.columns == {"Workspace": ["default", "shop"], "spans": [30, 10]}
