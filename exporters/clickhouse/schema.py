"""The tables: their definitions from the templates in `schema/`, and what a server has of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import structlog

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError
from exporters.clickhouse.errors import ACCESS_DENIED

_log = structlog.get_logger(__name__)

TEMPLATES: Final = (
    "otel_traces",
    "otel_traces_trace_id_ts",
    "otel_traces_trace_id_ts_mv",
    "otel_traces_tags",
    "otel_traces_tags_mv",
    "otel_tracing_configs",
    "otel_objects",
    "otel_red_minute",
    "otel_red_quarter_hour",
    "otel_red_quarter_hour_mv",
    "otel_topology_minute",
    "otel_topology_halves",
    "otel_topology_settled",
    "otel_sampling_throughput",
    "otel_sampling_probabilities",
)
"""Files in `schema/`, in the order of their creation, by the names of their tables where that of the spans has its usual name."""

_OF_DATABASE: Final = frozenset({"otel_tracing_configs", "otel_objects"})
"""Those of which a database has one, however many tables of spans there are in it."""

DEDUPLICATION_WINDOW: Final = 10_000
"""So many inserts are remembered by a table without replicas, which remembers none by default.

More than a collector makes while one insert waits for an answer that does not come, and then for its next attempt: with the
default settings 75 s, in which a server on one machine takes a few thousand.
"""

WINDOW_CHANGE: Final = f"MODIFY SETTING non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
"""What is done about tables that remember fewer: those of earlier versions, and of other writers."""

_SMALL_WINDOWS: Final = """
SELECT name, toUInt64OrZero(extract(engine_full, 'non_replicated_deduplication_window = ([0-9]+)')) AS remembered
FROM system.tables
WHERE database = {database:String} AND has({names:Array(String)}, name) AND match(engine, 'MergeTree$')
    AND NOT match(engine, '^(Replicated|Shared)') AND remembered < {wanted:UInt64}
ORDER BY name
"""

_TTL_UNITS: Final = (("Day", 86_400), ("Hour", 3_600), ("Minute", 60), ("Second", 1))
_TABLE_FIELDS: Final = {"spans_table": "otel_traces", "derived": "otel"}
"""Names of fields in templates that stand for the beginning of a table's name → that of the template's."""
_FIELD: Final = re.compile(r"\{(\w+)\}(\w*)")
_COLUMN: Final = re.compile(r"^    `(?P<name>[^`]+)` (?P<definition>.+?),?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SchemaSettings:
    """What differs between installations.

    Attributes:
        database: where the tables are.
        spans_table: name of the table of the spans; its companion's name starts with it.
        ttl_s: how long rows are kept, in seconds; 0 keeps them for ever.
        cluster: where tables are created (`ON CLUSTER`), a name or a macro such as `{cluster}`; empty for one server.
        engine: the tables' engine.
        engine_parameters: what stands in the brackets after the engine's name.
    """

    database: str = "otel"
    spans_table: str = "otel_traces"
    ttl_s: int = 0
    cluster: str = ""
    engine: str = "MergeTree"
    engine_parameters: str = ""

    @property
    def qualified_table(self) -> str:
        """The table of the spans, quoted, with its database."""
        return self.table("")

    def table(self, suffix: str) -> str:
        """A table whose name starts with that of the spans, quoted, with its database."""
        return f"{quoted(self.database)}.{quoted(self.spans_table + suffix)}"

    def table_of(self, template: str) -> str:
        """The table that one of TEMPLATES makes, quoted, with its database."""
        return f"{quoted(self.database)}.{quoted(table_name(template, self.spans_table))}"

    @property
    def on_cluster(self) -> str:
        """The clause that creates a table on all servers, with a space before it; empty for one server."""
        return f" ON CLUSTER {_text(self.cluster)}" if self.cluster else ""


def quoted(name: str) -> str:
    """A name as ClickHouse reads it whatever its characters."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def database_statement(settings: SchemaSettings) -> str:
    """The statement that creates the database where there is none."""
    return f"CREATE DATABASE IF NOT EXISTS {quoted(settings.database)}{settings.on_cluster}"


def table_statements(settings: SchemaSettings) -> list[str]:
    """The statements that create tables and view where there are none, comments included."""
    return [_rendered(_template(name), settings) for name in TEMPLATES]


def statements(settings: SchemaSettings) -> list[str]:
    """All statements that make a server ready for spans, in their order, without semicolons."""
    return [database_statement(settings), *table_statements(settings)]


def _template(name: str) -> str:
    return files("exporters.clickhouse").joinpath("schema", f"{name}.sql").read_text(encoding="utf-8")


def _rendered(template: str, settings: SchemaSettings) -> str:
    values = {
        "database": quoted(settings.database),
        "on_cluster": settings.on_cluster,
        "engine": f"{settings.engine}({settings.engine_parameters})",
        "ttl_by_timestamp": _ttl("Timestamp", settings.ttl_s),
        "ttl_by_start": _ttl("Start", settings.ttl_s),
        "ttl_by_hour": _ttl("Hour", settings.ttl_s),
        "ttl_by_minute": _ttl("Minute", settings.ttl_s),
        "ttl_by_arrival_minute": _ttl("ArrivalMinute", settings.ttl_s),
        "ttl_by_quarter_hour": _ttl("QuarterHour", settings.ttl_s),
        "aggregating_engine": _aggregating(settings),
        # Engines that keep their log in Keeper remember inserts by themselves.
        "deduplication": f", non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        if settings.engine.endswith("MergeTree") and not settings.engine.startswith(("Replicated", "Shared"))
        else "",
    }

    def value(field: re.Match[str]) -> str:
        name, suffix = field.groups()
        if name in _TABLE_FIELDS:
            return settings.table_of(_TABLE_FIELDS[name] + suffix)
        return values[name] + suffix

    lines = (line for line in _FIELD.sub(value, template).splitlines() if line.strip() or "{" not in line)
    return re.sub(r"\n+(?=SETTINGS)", "\n", "\n".join(lines).strip())


def _aggregating(settings: SchemaSettings) -> str:
    """The engine of a table whose rows of equal keys are summed up: the configured one's kin, with its replicas."""
    kind = re.fullmatch(r"(Replicated|Shared|)\w*MergeTree", settings.engine)
    if kind is None:
        return f"{settings.engine}({settings.engine_parameters})"
    return f"{kind[1]}AggregatingMergeTree({settings.engine_parameters if kind[1] else ''})"


def _ttl(column: str, ttl_s: int) -> str:
    """The clause in the largest unit that divides it, as the upstream exporter writes it; empty for no limit."""
    if not ttl_s:
        return ""
    unit, seconds = next((unit, seconds) for unit, seconds in _TTL_UNITS if ttl_s % seconds == 0)
    return f"TTL toDateTime({column}) + toInterval{unit}({ttl_s // seconds})"


def column_definitions(name: str) -> Mapping[str, str]:
    """Column → type, default and codec, of one of TEMPLATES."""
    return {found["name"]: found["definition"] for found in _COLUMN.finditer(_template(name))}


def workspace_tables(spans_table: str) -> tuple[str, ...]:
    """Names of the tables whose rows belong to workspaces: each has a column `Workspace`.

    Args:
        spans_table: name of the table of the spans, without a database.
    """
    with_workspace = (name for name in TEMPLATES if "Workspace" in column_definitions(name))
    return tuple(table_name(name, spans_table) for name in with_workspace)


def table_name(template: str, spans_table: str) -> str:
    """The table that one of TEMPLATES makes.

    Names that begin with that of the spans' template follow the name of their table, and so do others, less its `_traces`: what
    is made of the spans of two tables is not mixed.

    Args:
        spans_table: name of the table of the spans, with or without a database.
    """
    if template in _OF_DATABASE:
        return template
    if template.startswith(TEMPLATES[0]):
        return spans_table + template.removeprefix(TEMPLATES[0])
    return spans_table.removesuffix("_traces") + template.removeprefix("otel")


async def apply(client: ClickHouseClient, settings: SchemaSettings) -> None:
    """Create what is missing: database, tables, view, and columns of tables that another writer made; and let tables remember as
    many inserts as they should.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client; what was done stays, so it can be done again.
    """
    # The database may not exist yet, so the statement must not name it as its own.
    await client.command(database_statement(settings), database="default")
    for name in TEMPLATES:
        await client.command(_rendered(_template(name), settings))
        if column_definitions(name):
            await _add_missing_columns(client, settings, name)
    for table, window in (await small_windows(client, settings)).items():
        await _raise_window(client, settings, table, window)


async def _add_missing_columns(client: ClickHouseClient, settings: SchemaSettings, name: str) -> None:
    table = settings.table_of(name)
    existing = await columns(client, table)
    if existing is None:
        return
    missing = {column: text for column, text in column_definitions(name).items() if column not in existing}
    if not missing:
        return
    additions = ", ".join(f"ADD COLUMN IF NOT EXISTS {quoted(column)} {text}" for column, text in missing.items())
    await client.command(f"ALTER TABLE {table}{settings.on_cluster} {additions}")
    _log.info("columns_added", table=table, columns=list(missing))


async def _raise_window(client: ClickHouseClient, settings: SchemaSettings, table: str, window: int) -> None:
    try:
        await client.command(f"ALTER TABLE {table}{settings.on_cluster} {WINDOW_CHANGE}")
    except ClickHouseError as error:
        if error.code != ACCESS_DENIED:
            raise
        _log.warning("window_not_raised", table=table, window=window, wanted=DEDUPLICATION_WINDOW, error=str(error))
    else:
        _log.info("window_raised", table=table, before=window, after=DEDUPLICATION_WINDOW)


async def small_windows(client: ClickHouseClient, settings: SchemaSettings) -> dict[str, int]:
    """Tables that remember fewer inserts than DEDUPLICATION_WINDOW, quoted, and how many.

    Without those that the user may not see, and those of engines that have another way. A table that does not say is taken for
    one that remembers none, which is ClickHouse's default.

    Raises:
        ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as the client.
    """
    names = [table_name(name, settings.spans_table) for name in TEMPLATES if "{deduplication}" in _template(name)]
    parameters = {"database": settings.database, "names": names, "wanted": DEDUPLICATION_WINDOW}
    try:
        found = await client.query(_SMALL_WINDOWS, parameters)
    except ClickHouseError as error:
        if error.code == ACCESS_DENIED:
            return {}
        raise
    return {f"{quoted(settings.database)}.{quoted(row['name'])}": int(row["remembered"]) for row in found.rows()}


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
