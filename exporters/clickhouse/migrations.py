"""What a server has of the tables, what it lacks, and how that is added.

The definitions in `schema/` are the goal, and whatever a server has is a beginning: nothing, tables of an earlier release, or
those of the Collector's exporter in any of its forms. Between the two lie additions alone (tables, columns, indexes, what a view
passes on, a setting, a limit of age where there is none), each of which does no harm where it was made already. So they can be
made again, and by several collectors at once, and rows that are there stay as they are and can be read. What no addition can
change is told of, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError
from exporters.clickhouse.errors import ACCESS_DENIED, UNKNOWN_DATABASE
from exporters.clickhouse.schema import (
    DEDUPLICATION_WINDOW,
    TEMPLATES,
    VERSIONS,
    SchemaSettings,
    column_definitions,
    database_statement,
    history_ttl,
    index_definitions,
    primary_key,
    quoted,
    remembers_inserts,
    sorting_key,
    table_name,
    table_statement,
    text,
    view_query,
    view_target,
)

_log = structlog.get_logger(__name__)

WINDOW_CHANGE: Final = f"MODIFY SETTING non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
"""What is done about tables that remember fewer inserts: those of earlier versions, and of other writers."""

_TABLES: Final = """
SELECT name, engine, sorting_key, primary_key, extract(engine_full, ' TTL (.+?)(?: SETTINGS |$)') AS ttl,
    toUInt64OrZero(extract(engine_full, 'non_replicated_deduplication_window = ([0-9]+)')) AS remembered
FROM system.tables WHERE database = {database:String} AND has({names:Array(String)}, name)
"""
_COLUMNS: Final = """
SELECT table, name, type FROM system.columns WHERE database = {database:String} AND has({names:Array(String)}, table)
"""
_INDEXES: Final = """
SELECT table, name FROM system.data_skipping_indices WHERE database = {database:String} AND has({names:Array(String)}, table)
"""
_BEHIND_TYPE: Final = re.compile(r" (?:DEFAULT|CODEC)\b")


@dataclass(frozen=True, slots=True)
class Change:
    """One statement, without a semicolon, and what it is good for."""

    statement: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What lies between a server and the definitions.

    Attributes:
        changes: what is to be added, in this order.
        notes: what differs besides, and stays as it is.
        version: of the tables, as was recorded last; 0 when nothing was.
        is_new: whether there is nothing yet.
    """

    changes: Sequence[Change]
    notes: Sequence[str]
    version: int
    is_new: bool


@dataclass(slots=True)
class _Table:
    """A table as the server has it: the window counts inserts, and columns have their types."""

    engine: str
    sorting_key: str
    primary_key: str
    window: int
    ttl: str
    columns: dict[str, str] = field(default_factory=dict)
    indexes: set[str] = field(default_factory=set)

    @property
    def has_parts(self) -> bool:
        return self.engine.endswith("MergeTree")

    @property
    def needs_window(self) -> bool:
        # Others keep what they remember in Keeper.
        is_told = self.has_parts and not self.engine.startswith(("Replicated", "Shared"))
        return is_told and self.window < DEDUPLICATION_WINDOW


async def plan(client: ClickHouseClient, settings: SchemaSettings) -> Plan:
    """What would be done; nothing is.

    What the user may not see counts as missing, and columns that it may not see as there.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    tables = await _tables(client, settings)
    changes = [] if tables else [Change(database_statement(settings), f"database {quoted(settings.database)} may be missing")]
    notes: list[str] = []
    for template in TEMPLATES:
        existing = tables.get(table_name(template, settings.spans_table))
        if existing is None:
            table = settings.table_of(template)
            changes.append(Change(table_statement(template, settings), f"{table} is missing"))
        else:
            changes += _additions(template, existing, settings)
            notes += _differences(template, existing, settings)
    newest = max(VERSIONS)
    is_recorded = table_name("otel_schema_versions", settings.spans_table) in tables
    version = await _recorded_version(client, settings) if is_recorded else 0
    if version > newest:
        notes.append(f"the tables are of version {version}, which a later release has made: this one knows {newest}")
    elif changes or 0 < version < newest:
        # Tables that somebody has made by hand, with all that there is, need no record.
        why = [change.why for change in changes]
        changes.append(Change(_record_statement(settings, newest, why), f"version {newest} is recorded: {VERSIONS[newest]}"))
    return Plan(changes, notes, version, is_new=not tables)


async def apply(client: ClickHouseClient, settings: SchemaSettings) -> Plan:
    """Do what `plan` says, and return that.

    A table goes on with a smaller window where the user may not set it.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; what was done stays, so it can be done again.
    """
    planned = await plan(client, settings)
    for change in planned.changes:
        try:
            # The database may not exist yet, so the statement must not name it as its own.
            await client.command(change.statement, database="default")
        except ClickHouseError as error:
            if error.code != ACCESS_DENIED or not change.statement.endswith(WINDOW_CHANGE):
                raise
            _log.warning("schema_not_changed", change=change.why, error=str(error))
        else:
            if not planned.is_new:
                _log.info("schema_changed", because=change.why)
    if planned.is_new:
        _log.info("schema_made", database=settings.database, tables=len(TEMPLATES), version=max(VERSIONS))
    for note in planned.notes:
        _log.warning("schema_differs", note=note)
    return planned


async def columns(client: ClickHouseClient, table: str) -> frozenset[str] | None:
    """Names of the columns that can be written; None when the user may not know.

    Args:
        table: quoted, with its database.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    try:
        described = await client.query(f"DESCRIBE TABLE {table}")
    except ClickHouseError as error:
        if error.code == ACCESS_DENIED:
            return None
        raise
    return frozenset(row["name"] for row in described.rows() if row["default_type"] not in ("ALIAS", "MATERIALIZED"))


async def _tables(client: ClickHouseClient, settings: SchemaSettings) -> Mapping[str, _Table]:
    """What the user may see of the tables, by their names without the database."""
    parameters = {
        "database": settings.database,
        "names": [table_name(template, settings.spans_table) for template in TEMPLATES],
    }
    tables: dict[str, _Table] = {}
    for row in await _rows(client, _TABLES, parameters):
        keys = row["sorting_key"], row["primary_key"]
        tables[row["name"]] = _Table(row["engine"], *keys, int(row["remembered"]), row["ttl"])
    for row in await _rows(client, _COLUMNS, parameters):
        if row["table"] in tables:
            tables[row["table"]].columns[row["name"]] = row["type"]
    for row in await _rows(client, _INDEXES, parameters):
        if row["table"] in tables:
            tables[row["table"]].indexes.add(row["name"])
    return tables


async def _rows(client: ClickHouseClient, sql: str, parameters: Mapping[str, object]) -> Iterable[Mapping[str, str]]:
    try:
        found = await client.query(sql, parameters)
    except ClickHouseError as error:
        if error.code in (ACCESS_DENIED, UNKNOWN_DATABASE):
            return ()
        raise
    return found.rows()


def _additions(template: str, existing: _Table, settings: SchemaSettings) -> Iterator[Change]:
    table = settings.table_of(template)
    alter = f"ALTER TABLE {table}{settings.on_cluster}"
    if target := view_target(template):
        missing = [name for name in column_definitions(target) if name not in existing.columns]
        if existing.columns and missing:
            query = view_query(template, settings)
            yield Change(f"{alter} MODIFY QUERY\n{query}", f"{table} does not pass on {', '.join(missing)}")
        return
    if existing.columns and existing.engine != "View":
        missing = [name for name in column_definitions(template) if name not in existing.columns]
        if missing:
            added = ",\n    ".join(
                f"ADD COLUMN IF NOT EXISTS {quoted(name)} {column_definitions(template)[name]}" for name in missing
            )
            yield Change(f"{alter}\n    {added}", f"{table} lacks {', '.join(missing)}")
    if not existing.has_parts:
        return
    missing = [name for name in index_definitions(template) if name not in existing.indexes]
    if missing:
        added = ",\n    ".join(f"ADD INDEX IF NOT EXISTS {name} {index_definitions(template)[name]}" for name in missing)
        yield Change(f"{alter}\n    {added}", f"{table} lacks {', '.join(missing)}")
    if (wanted := history_ttl(template, settings)) and not existing.ttl:
        yield Change(f"{alter} MODIFY {wanted}", f"{table} keeps what was done for ever")
    if remembers_inserts(template) and existing.needs_window:
        why = f"{table} remembers {existing.window} inserts, so one that is repeated after more than that is stored twice"
        yield Change(f"{alter} {WINDOW_CHANGE}", why)


def _differences(template: str, existing: _Table, settings: SchemaSettings) -> Iterator[str]:
    table = settings.table_of(template)
    if existing.engine == "View":
        yield f"{table} is a view: what it lacks is to be added to what it reads"
        return
    for what, key, wanted in (
        ("is sorted by", existing.sorting_key, sorting_key(template)),
        ("is searched by", existing.primary_key, primary_key(template)),
    ):
        if key and wanted and key != wanted:
            yield f"{table} {what} {key}, not by {wanted}: it answers the same, most questions more slowly"
            break
    limit = history_ttl(template, settings).removeprefix("TTL ")
    if existing.ttl and limit and existing.ttl != limit:
        yield f"{table} has the limit {existing.ttl}, not {limit}"
    for name, definition in column_definitions(template).items():
        wanted, found = _type(definition), existing.columns.get(name)
        if found is not None and found != wanted:
            yield f"{table} has {name} as {found}, not as {wanted}"


def _type(definition: str) -> str:
    """The type in the definition of a column, as ClickHouse tells it."""
    return _BEHIND_TYPE.split(definition, maxsplit=1)[0]


async def _recorded_version(client: ClickHouseClient, settings: SchemaSettings) -> int:
    try:
        found = await client.query(f"SELECT max(Version) AS version FROM {settings.table_of('otel_schema_versions')}")  # noqa: S608 - quoted
    except ClickHouseError as error:
        if error.code == ACCESS_DENIED:
            return 0
        raise
    return max((int(row["version"]) for row in found.rows()), default=0)


def _record_statement(settings: SchemaSettings, version: int, changes: Sequence[str]) -> str:
    table, texts = settings.table_of("otel_schema_versions"), ", ".join(map(text, changes))
    return f"INSERT INTO {table} (Version, Changes) VALUES ({version}, [{texts}])"  # noqa: S608 - quoted
