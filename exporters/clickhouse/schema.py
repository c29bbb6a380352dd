"""The tables: their definitions, from the templates in `schema/`. What a server has of them, `migrations.py` finds out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

TEMPLATES: Final = (
    "otel_traces",
    "otel_traces_trace_id_ts",
    "otel_traces_trace_id_ts_mv",
    "otel_traces_tags",
    "otel_traces_tags_mv",
    "otel_tracing_configs",
    "otel_objects",
    "otel_load_test_runs",
    "otel_load_test_progress",
    "otel_request_executions",
    "otel_schema_versions",
    "otel_red_minute",
    "otel_red_quarter_hour",
    "otel_red_quarter_hour_mv",
    "otel_red_hour",
    "otel_red_hour_mv",
    "otel_topology_minute",
    "otel_topology_halves",
    "otel_topology_settled",
    "otel_topology_hour",
    "otel_topology_hour_mv",
    "otel_topology_settled_hour_mv",
    "otel_sampling_throughput",
    "otel_sampling_probabilities",
    "otel_alert_events",
    "otel_alert_claims",
    "otel_alert_deliveries",
)
"""Files in `schema/`, in the order of their creation, by the names of their tables where that of the spans has its usual name."""

_OF_DATABASE: Final = frozenset(
    {"otel_tracing_configs", "otel_objects", "otel_load_test_runs", "otel_load_test_progress", "otel_request_executions"}
)
"""Those of which a database has one, however many tables of spans there are in it."""

DEDUPLICATION_WINDOW: Final = 10_000
"""So many inserts are remembered by a table; without replicas, it remembers none by default.

More than a collector makes while one insert waits for an answer that does not come, and then for its next attempt: with the
default settings 75 s, in which a server on one machine takes a few thousand.
"""

REPLICATED_DEDUPLICATION_WINDOW_S: Final = 7 * 86_400
"""So long, in seconds, are inserts remembered by a table with replicas, which forgets them after an hour by default.

What waits in the journal while servers are down may be older than that, and its last attempt may have been stored unseen.
"""

VERSIONS: Final[Mapping[int, str]] = {
    1: "the tables of the first release",
    2: "claims say how far their holders have come; executions of requests and runs of load tests are kept for a while",
    3: "entities that resources refer to",
}
"""What each version of the tables has brought. A change of the templates is another one, and adds alone."""

_TTL_UNITS: Final = (("Day", 86_400), ("Hour", 3_600), ("Minute", 60), ("Second", 1))
_TABLE_FIELDS: Final = {"spans_table": "otel_traces", "derived": "otel"}
"""Names of fields in templates that stand for the beginning of a table's name → that of the template's."""
_FIELD: Final = re.compile(r"\{(\w+)\}(\w*)")
_COLUMN: Final = re.compile(r"^    `(?P<name>[^`]+)` (?P<definition>.+?),?$", re.MULTILINE)
_INDEX: Final = re.compile(r"^    INDEX (?P<name>\w+) (?P<definition>.+?),?$", re.MULTILINE)
_TARGET: Final = re.compile(r"^TO \{(?P<field>\w+)\}(?P<suffix>\w*)$", re.MULTILINE)
_PRIMARY_KEY: Final = re.compile(r"^PRIMARY KEY \((?P<key>.+)\)$", re.MULTILINE)
_HISTORY: Final = re.compile(r"^\{history_by_\w+\}$", re.MULTILINE)
_SORTING_KEY: Final = re.compile(r"^ORDER BY \((?P<key>.+)\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SchemaSettings:
    """What differs between installations.

    Attributes:
        database: where the tables are.
        spans_table: name of the table of the spans; its companion's name starts with it.
        ttl_s: how long rows are kept, in seconds; 0 keeps them for ever.
        history_ttl_s: the same of rows about what was done: executions of requests, and runs of load tests.
        cluster: where tables are created (`ON CLUSTER`), a name or a macro such as `{cluster}`; empty for one server.
        engine: the tables' engine.
        engine_parameters: what stands in the brackets after the engine's name.
    """

    database: str = "otel"
    spans_table: str = "otel_traces"
    ttl_s: int = 0
    history_ttl_s: int = 0
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
        return f" ON CLUSTER {text(self.cluster)}" if self.cluster else ""


def quoted(name: str) -> str:
    """A name as ClickHouse reads it whatever its characters."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def instant(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as ClickHouse reads them in JSON: seconds, exactly."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def text(value: str) -> str:
    """A text as ClickHouse reads it whatever its characters."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def database_statement(settings: SchemaSettings) -> str:
    """The statement that creates the database where there is none."""
    return f"CREATE DATABASE IF NOT EXISTS {quoted(settings.database)}{settings.on_cluster}"


def table_statement(name: str, settings: SchemaSettings) -> str:
    """The statement that creates one of TEMPLATES where there is none, comments included."""
    return _rendered(_template(name), settings)


def statements(settings: SchemaSettings) -> list[str]:
    """All statements that make a server ready for spans, in their order, without semicolons."""
    return [database_statement(settings), *(table_statement(name, settings) for name in TEMPLATES)]


def view_target(name: str) -> str | None:
    """Which of TEMPLATES makes the table that the view of another one fills; None where that makes a table."""
    found = _TARGET.search(_template(name))
    return _TABLE_FIELDS[found["field"]] + found["suffix"] if found else None


def view_query(name: str, settings: SchemaSettings) -> str:
    """What the view that one of TEMPLATES makes passes on."""
    return table_statement(name, settings).partition("\nAS ")[2]


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
        "history_by_executed_at": _ttl("ExecutedAt", settings.history_ttl_s),
        "history_by_started_at": _ttl("StartedAt", settings.history_ttl_s),
        "history_by_written_at": _ttl("WrittenAt", settings.history_ttl_s),
        "aggregating_engine": _aggregating(settings),
        "deduplication": _deduplication(settings.engine),
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


def _deduplication(engine: str) -> str:
    """The settings by which a table remembers inserts; none for engines that have no parts, or settings of their own."""
    if engine.startswith("Replicated"):
        window = f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        return f", {window}, replicated_deduplication_window_seconds = {REPLICATED_DEDUPLICATION_WINDOW_S}"
    is_told = engine.endswith("MergeTree") and not engine.startswith("Shared")
    return f", non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}" if is_told else ""


def _ttl(column: str, ttl_s: int) -> str:
    """The clause in the largest unit that divides it, as the upstream exporter writes it; empty for no limit."""
    if not ttl_s:
        return ""
    unit, seconds = next((unit, seconds) for unit, seconds in _TTL_UNITS if ttl_s % seconds == 0)
    return f"TTL toDateTime({column}) + toInterval{unit}({ttl_s // seconds})"


def column_definitions(name: str) -> Mapping[str, str]:
    """Column → type, default and codec, of one of TEMPLATES."""
    return {found["name"]: found["definition"] for found in _COLUMN.finditer(_template(name))}


def column_defaults(name: str) -> Mapping[str, str]:
    """Column → what it holds where nobody has written it, as an expression, of one of TEMPLATES."""
    defaults = {}
    for column, definition in column_definitions(name).items():
        # As the definitions are written, a codec stands last.
        column_type, _, default = definition.partition(" CODEC(")[0].partition(" DEFAULT ")
        value = default or f"defaultValueOfTypeName({text(column_type)})"
        defaults[column] = f"CAST({value}, {text(column_type)})"
    return defaults


def index_definitions(name: str) -> Mapping[str, str]:
    """Index → expression, type and granularity, of one of TEMPLATES."""
    return {found["name"]: found["definition"] for found in _INDEX.finditer(_template(name))}


def sorting_key(name: str) -> str:
    """What the rows of one of TEMPLATES are sorted by, as ClickHouse tells it; empty for a view."""
    found = _SORTING_KEY.search(_template(name))
    return found["key"] if found else ""


def primary_key(name: str) -> str:
    """What ranges of rows of one of TEMPLATES are found by, as ClickHouse tells it: the sorting key, or its beginning."""
    found = _PRIMARY_KEY.search(_template(name))
    return found["key"] if found else sorting_key(name)


def history_ttl(name: str, settings: SchemaSettings) -> str:
    """How long one of TEMPLATES that hold what was done keeps its rows, as a clause; empty for ever, and for others."""
    found = _HISTORY.search(_template(name))
    return _rendered(found[0], settings) if found else ""


def remembers_inserts(name: str) -> bool:
    """Whether one of TEMPLATES is told how many inserts to remember where engines have no other way."""
    return "{deduplication}" in _template(name)


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
