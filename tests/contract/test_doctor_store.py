"""What `spanhouse doctor` says about tables that the daemon may not change."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from collector.doctor.store import store
from config.exporters import ClickHouseExporter
from exporters.clickhouse.schema import SchemaSettings, statements
from tests.support.clickhouse import ClickHouse


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    name = f"doctor_{uuid4().hex}"
    for statement in statements(SchemaSettings(name)):
        clickhouse.execute(statement)
    yield name
    clickhouse.execute(f"DROP DATABASE {name} SYNC")


async def test_a_table_that_remembers_too_few_inserts_is_named_with_what_would_help(
    clickhouse: ClickHouse, database: str
) -> None:
    settings = {"endpoint": clickhouse.url, "database": database, "create_schema": False}
    exporter = ClickHouseExporter.model_validate(settings)
    assert [finding async for finding in store("clickhouse", exporter) if "inserts" in finding.text] == []
    setting = "non_replicated_deduplication_window"
    clickhouse.execute(f"ALTER TABLE {database}.otel_traces MODIFY SETTING {setting} = 1000")
    found = [finding async for finding in store("clickhouse", exporter) if "inserts" in finding.text]
    assert [(finding.verdict, finding.text.partition(",")[0]) for finding in found] == [
        ("warn", f"`{database}`.`otel_traces` remembers 1000 inserts")
    ]
    clickhouse.execute(found[0].remedy)
    assert [finding async for finding in store("clickhouse", exporter) if "inserts" in finding.text] == []
