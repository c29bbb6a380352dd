"""What the engine is told at its start: memory, threads, and what its connections may do.

chDB reads the same configuration files as a ClickHouse server. They are written anew at every start, so that a changed limit
takes effect and nothing that a user edits by hand is lost: the directory is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from exporters.embedded.rights import OWNER, SCOPE, Rights, SpanTables, owner_filter, size_filter, span_filter

# Everything that tables need, and nothing that reaches outside the database. chDB by itself grants every source (files, URLs,
# S3, other servers), every table engine, and dictionaries and functions that run commands, because its caller usually owns the
# machine; ours need not.
_TABLE_ENGINES = (
    *(
        f"{kind}MergeTree"
        for kind in ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing", "Coalescing")
    ),
    *("Memory", "Null", "Log", "TinyLog", "StripeLog", "Set", "Join", "Buffer", "Merge", "GenerateRandom"),
)
_OWNER_GRANTS = (
    "GRANT SHOW, SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, dictGet ON *.*",
    "GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY VIEW, CREATE ARBITRARY TEMPORARY TABLE ON *.*",
    "GRANT SYSTEM FLUSH, SYSTEM DROP CACHE, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM VIEWS, SYSTEM CLEANUP ON *.*",
    "GRANT SET DEFINER ON *",
    *(f"GRANT TABLE ENGINE ON {engine}" for engine in _TABLE_ENGINES),
)
# Settings that name files of the machine, or other servers.
_FIXED_SETTINGS = (
    *("format_schema", "format_schema_source", "format_template_row", "format_template_resultset"),
    *("input_format_record_errors_file_path", "format_avro_schema_registry_url"),
)
PUBLIC_SYSTEM_TABLES = (
    *("aggregate_function_combinators", "columns", "data_type_families", "databases", "dictionaries", "formats", "functions"),
    *("keywords", "numbers", "numbers_mt", "one", "settings", "table_engines", "table_functions", "tables", "time_zones"),
    *("zeros", "zeros_mt"),
)
"""Tables of the database `system` that everybody may read: those that clients ask for, and which tell nothing of others."""

OWNER_SYSTEM_TABLES = (
    *("asynchronous_metrics", "data_skipping_indices", "detached_parts", "disks", "errors", "events", "merges", "metrics"),
    *("mutations", "parts", "parts_columns", "processes", "projections", "server_settings", "warnings"),
)
"""Those that the owner may read. Rights cannot be withheld for the database `system`: the engine has no others."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How much of the machine the engine may use. The defaults suit a laptop.

    Attributes:
        max_memory_bytes: for the whole engine; beyond it statements fail with code 241 and clients try again.
        background_threads: merges running at a time.
        max_threads: threads of one query; 0 leaves it to the engine (one per core).
        server_settings: further server settings, as in a server's config.xml.
        profile: further settings of the default profile, as in a server's users.xml.
    """

    max_memory_bytes: int = 2 << 30
    background_threads: int = 2
    max_threads: int = 0
    server_settings: dict[str, str] = field(default_factory=dict)
    profile: dict[str, str] = field(default_factory=dict)


def write_engine_config(directory: Path, limits: EngineLimits, tables: SpanTables, readers: Iterable[Rights]) -> Path:
    """Write config.xml and users.xml into `directory`; return the path of the first. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    users = directory / "users.xml"
    server = {
        "users_config": str(users),
        "max_server_memory_usage": str(limits.max_memory_bytes),
        "background_pool_size": str(limits.background_threads),
        "background_merges_mutations_concurrency_ratio": "2",
        "background_schedule_pool_size": "4",
        "background_message_broker_schedule_pool_size": "1",
        "background_distributed_schedule_pool_size": "1",
        "background_buffer_flush_schedule_pool_size": "1",
        "background_move_pool_size": "1",
        "background_fetches_pool_size": "1",
        "background_common_pool_size": "2",
        # Caches are part of the memory bound, and the operating system caches the same files.
        "mark_cache_size": str(min(256 << 20, limits.max_memory_bytes // 8)),
        "uncompressed_cache_size": "0",
        "index_mark_cache_size": str(64 << 20),
        # Metrics of the engine itself are gathered every second by default, for tables that do not exist here.
        "asynchronous_metrics_update_period_s": "3600",
        "asynchronous_metrics_enable_heavy_metrics": "0",
        **limits.server_settings,
    }
    profile = {
        "max_memory_usage": str(limits.max_memory_bytes * 3 // 4),
        "log_queries": "0",
        # What is asked here they would plan no better, and to look at them took a twelfth of the time of a trace.
        "use_statistics": "0",
        **limits.profile,
    }
    if limits.max_threads:
        profile["max_threads"] = str(limits.max_threads)
    config = directory / "config.xml"
    config.write_text(f"<clickhouse>{_elements(server)}</clickhouse>\n", encoding="utf-8")
    users.write_text(f"<clickhouse>{_users(profile, tables, readers)}</clickhouse>\n", encoding="utf-8")
    return config


def _users(profile: dict[str, str], tables: SpanTables, readers: Iterable[Rights]) -> str:
    """What a users.xml holds: chDB's one user with what readers keep, and in the role `owner` the rest of its rights."""
    fixed = "".join(f"<{setting}><const/></{setting}>" for setting in _FIXED_SETTINGS)
    of_readers = "".join(
        f"<{rights.profile}><constraints>{rights.constraints}</constraints></{rights.profile}>" for rights in readers
    )
    kept = ["GRANT SHOW DATABASES ON *.*", *(f"GRANT SELECT ON {tables.database}.{name}" for name in tables.names)]
    policies = {
        tables.database: dict.fromkeys(tables.names, span_filter()),
        "system": {
            **dict.fromkeys(OWNER_SYSTEM_TABLES, owner_filter()),
            **dict.fromkeys(("columns", "tables"), size_filter(tables)),
        },
    }
    # Unless it is restricted, a connection is the owner's: those that the engine makes for itself, to fill views and to carry
    # out what the owner has started, must not lose rows to a policy.
    profile = {SCOPE: OWNER, **profile}
    return (
        f"<profiles><default>{_elements(profile)}<constraints>{fixed}</constraints></default>{of_readers}</profiles>"
        "<quotas><default/></quotas>"
        f"<roles><{OWNER}>{_grants(_OWNER_GRANTS)}</{OWNER}></roles>"
        "<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota>{_grants((*kept, f'GRANT {OWNER}'))}<databases>{_policies(policies)}</databases>"
        "</default></users>"
    )


def _grants(grants: Iterable[str]) -> str:
    return f"<grants>{''.join(f'<query>{escape(grant)}</query>' for grant in grants)}</grants>"


def _policies(policies: dict[str, dict[str, str]]) -> str:
    return "".join(
        f"<{database}>"
        + "".join(f"<{table}><filter>{escape(rows)}</filter></{table}>" for table, rows in tables.items())
        + f"</{database}>"
        for database, tables in policies.items()
    )


def _elements(values: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
