"""From whatever tables a server has to those that spanhouse writes: only by adding, and with the old rows still to be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from structlog.testing import capture_logs

from collector.cli import main
from collector.query.store import ERROR, SpanStore
from collector.query.trace import find_trace
from exporters.clickhouse import migrations
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import TEMPLATES, VERSIONS, SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.otlp_decode import decode
from proto.warm import warm
from tests.support.clickhouse import ClickHouse
from tests.support.requests import one_span_request
from tests.support.standard_tables import FORMS, standard_tables

OLD = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


@pytest.fixture
def database(clickhouse: ClickHouse) -> Iterator[str]:
    name = f"migrated_{uuid4().hex}"
    yield name
    clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


@asynccontextmanager
async def connected(clickhouse: ClickHouse, database: str) -> AsyncIterator[tuple[ClickHouseClient, SchemaSettings]]:
    async with ClickHouseClient([clickhouse.url], database=database) as client:
        yield client, SchemaSettings(database=database)


def make_old(clickhouse: ClickHouse, database: str, form: str) -> None:
    """Tables of the Collector's exporter with a span in them, as that wrote it."""
    clickhouse.execute(f"CREATE DATABASE {database}")
    for statement in standard_tables(form):
        clickhouse.execute(statement, database=database)
    kind, status = ("SPAN_KIND_SERVER", "STATUS_CODE_ERROR") if form == "first" else ("Server", "Error")
    clickhouse.execute(f"""
        INSERT INTO {database}.otel_traces
            (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, SpanAttributes, Duration, StatusCode)
        VALUES ('2024-03-01 12:00:00.5', '{OLD}', '00f067aa0ba902b7', 'GET /', '{kind}', 'web', map('a', 'b'), 1500, '{status}')
    """)


def shape(clickhouse: ClickHouse, database: str) -> bytes:
    return clickhouse.execute(f"SELECT name, create_table_query FROM system.tables WHERE database = '{database}' ORDER BY name")


async def test_a_first_start_is_told_in_a_line_and_what_is_added_later_one_by_one(clickhouse: ClickHouse, database: str) -> None:
    async with connected(clickhouse, database) as (client, settings):
        with capture_logs() as made:
            await migrations.apply(client, settings)
        clickhouse.execute(f"DROP TABLE {database}.otel_red_hour")
        with capture_logs() as changed:
            await migrations.apply(client, settings)
    assert [(line["event"], line["database"], line["tables"]) for line in made] == [("schema_made", database, len(TEMPLATES))]
    assert changed[0]["because"] == f"`{database}`.`otel_red_hour` is missing"


@pytest.mark.parametrize("form", FORMS)
async def test_tables_of_every_age_are_brought_up_to_date_and_their_rows_are_read(
    clickhouse: ClickHouse, database: str, form: str
) -> None:
    make_old(clickhouse, database, form)
    before = shape(clickhouse, database)
    async with connected(clickhouse, database) as (client, settings):
        planned = await migrations.plan(client, settings)
        assert shape(clickhouse, database) == before
        assert planned.version == 0
        assert any("sorted by" in note for note in planned.notes)
        assert any("does not pass on Workspace" in change.why for change in planned.changes)
        applied = await migrations.apply(client, settings)
        assert [change.statement for change in applied.changes] == [change.statement for change in planned.changes]
        again = await migrations.plan(client, settings)
        assert (list(again.changes), again.version) == ([], max(VERSIONS))
        assert again.notes == planned.notes

        with ThreadPoolExecutor(1) as executor:
            writer = ClickHouseWriter(client, WriterSettings(settings), executor)
            batch = replace(decode(one_span_request(seed=1).SerializeToString()).batch, workspaces=("other",))
            for insert in await writer.prepare(batch, "one"):
                await insert.send(60.0)
        companion = f"SELECT TraceId FROM {database}.otel_traces_trace_id_ts WHERE Workspace = 'other'"
        new = clickhouse.execute(companion).decode().strip()
        store = SpanStore(client, f"{database}.otel_traces")
        spans = await find_trace(store, new, workspace="other")
        assert spans is not None
        assert len(spans) == 1
        old = await find_trace(store, OLD, workspace="default")
        assert old is not None
        assert (old.names, old.durations, old.attributes[0].keys) == (["GET /"], [1500], ("a",))
        assert (old.kinds, old.status_codes) == ([2], [ERROR])


async def test_who_asks_about_an_hour_reads_little_of_the_other_hours(clickhouse: ClickHouse, database: str) -> None:
    async with connected(clickhouse, database) as (client, settings):
        await migrations.apply(client, settings)
    rows = (
        "toDateTime64('2026-03-01 00:00:00', 9) + 0.8 * number, toString(number % 7), toString(number % 11) FROM numbers(100000)"
    )
    clickhouse.execute(f"INSERT INTO {database}.otel_traces (Timestamp, ServiceName, SpanName) SELECT {rows}")
    hour = "Timestamp >= '2026-03-01 12:00:00' AND Timestamp < '2026-03-01 13:00:00'"
    count = f"SELECT countIf(TraceId = '') FROM {database}.otel_traces WHERE {hour}"
    assert clickhouse.execute(count, max_rows_to_read="25000").strip() == b"4500"


async def test_a_table_with_another_primary_key_is_told(clickhouse: ClickHouse, database: str) -> None:
    async with connected(clickhouse, database) as (client, settings):
        statements = [change.statement for change in (await migrations.plan(client, settings)).changes]
        for statement in statements:
            lines = [line for line in statement.splitlines() if not line.startswith("PRIMARY KEY")]
            clickhouse.execute("\n".join(lines))
        notes = (await migrations.plan(client, settings)).notes
    told = {note.partition(" is searched by Workspace, ")[0] for note in notes}
    assert told == {f"`{database}`.`{table}`" for table in ("otel_traces", "otel_red_minute", "otel_red_quarter_hour")}


async def test_nothing_becomes_everything_and_what_goes_missing_is_made_again(clickhouse: ClickHouse, database: str) -> None:
    async with connected(clickhouse, database) as (client, settings):
        applied = await migrations.apply(client, settings)
        assert (len(applied.changes), applied.notes) == (len(TEMPLATES) + 2, [])
        table = f"{database}.otel_traces"
        clickhouse.execute(f"ALTER TABLE {table} DROP INDEX idx_duration, DROP COLUMN Flags")
        clickhouse.execute(f"DROP TABLE {database}.otel_traces_tags_mv SYNC")
        clickhouse.execute(f"INSERT INTO {database}.otel_schema_versions (Version) VALUES (99)")
        planned = await migrations.plan(client, settings)
        assert [change.why.partition(" ")[2] for change in planned.changes] == ["lacks Flags", "lacks idx_duration", "is missing"]
        assert [note for note in planned.notes if "version 99" in note] == planned.notes
        await migrations.apply(client, settings)
        assert (await migrations.plan(client, settings)).changes == []


async def test_where_nothing_may_be_created_the_start_says_what_is_missing(clickhouse: ClickHouse, database: str) -> None:
    make_old(clickhouse, database, "standard")
    before = shape(clickhouse, database)
    async with connected(clickhouse, database) as (client, settings):
        with ThreadPoolExecutor(1) as executor, capture_logs() as lines:
            await ClickHouseWriter(client, WriterSettings(settings, create_schema=False), executor).open()
    (line,) = [line for line in lines if line["event"] == "schema_incomplete"]
    assert f"`{database}`.`otel_red_minute` is missing" in line["missing"]
    assert "spanhouse schema apply" in line["note"]
    assert shape(clickhouse, database) == before


def test_the_command_says_what_it_would_do_and_does_it(
    embedded_clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"migrated_{uuid4().hex}"
    file = tmp_path / "collector.yaml"
    configuration = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:0"}}}},
        "exporters": {"clickhouse": {"endpoint": embedded_clickhouse.url, "database": name}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse"]}}},
    }
    file.write_text(yaml.safe_dump(configuration))
    # It would last for all tests of this process.
    monkeypatch.setattr("collector.commands.schema.configure_logging", lambda level: None)

    def run(action: str) -> tuple[int, str]:
        status = main(["schema", action, "-c", str(file)])
        return status, capsys.readouterr().out

    try:
        status, planned = run("plan")
        assert (status, planned.count("CREATE TABLE") > 10) == (2, True)
        assert embedded_clickhouse.execute(f"EXISTS DATABASE {name}").strip() == b"0"
        status, done = run("apply")
        assert (status, done.count("-- done: ")) == (0, len(TEMPLATES) + 2)
        assert run("plan") == (0, f"-- exporters.clickhouse: tables of version {max(VERSIONS)}\n-- nothing is missing\n")
    finally:
        embedded_clickhouse.execute(f"DROP DATABASE IF EXISTS {name} SYNC")


async def test_what_was_done_is_kept_as_long_as_was_said_unless_a_table_says_otherwise(
    clickhouse: ClickHouse, database: str
) -> None:
    def limit(table: str) -> str:
        sql = f"SELECT extract(engine_full, ' TTL (.+) SETTINGS') FROM system.tables WHERE database = '{database}'"
        return clickhouse.execute(f"{sql} AND name = '{table}'").decode().strip()

    async with connected(clickhouse, database) as (client, settings):
        await migrations.apply(client, settings)
        assert limit("otel_request_executions") == ""
        clickhouse.execute(f"ALTER TABLE {database}.otel_load_test_runs MODIFY TTL toDateTime(StartedAt) + toIntervalDay(7)")
        limited = replace(settings, history_ttl_s=90 * 86_400)
        applied = await migrations.apply(client, limited)
        assert len([change for change in applied.changes if "keeps what was done for ever" in change.why]) == 2
        assert limit("otel_request_executions") == "toDateTime(ExecutedAt) + toIntervalDay(90)"
        assert limit("otel_load_test_progress") == "toDateTime(WrittenAt) + toIntervalDay(90)"
        again = await migrations.plan(client, limited)
        assert list(again.changes) == []
        (note,) = again.notes
        assert "otel_load_test_runs` has the limit toDateTime(StartedAt) + toIntervalDay(7), not" in note
