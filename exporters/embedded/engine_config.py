"""What the engine is told at its start: memory, threads, and what the statements of clients may do.

chDB reads the same configuration files as a ClickHouse server. They are written anew at every start, so that a changed limit
takes effect and nothing that a user edits by hand is lost: the directory is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

# Everything that tables need, and nothing that reaches outside the database. chDB by itself grants every source (files, URLs,
# S3, other servers), every table engine, and dictionaries and functions that run commands, because its caller usually owns the
# machine; ours is any process on it, and any web page that can make a browser send a POST to this port.
_TABLE_ENGINES = (
    *(
        f"{kind}MergeTree"
        for kind in ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing", "Coalescing")
    ),
    *("Memory", "Null", "Log", "TinyLog", "StripeLog", "Set", "Join", "Buffer", "Merge", "GenerateRandom"),
)
_GRANTS = (
    "GRANT SHOW, SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, dictGet ON *.*",
    "GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY VIEW, CREATE ARBITRARY TEMPORARY TABLE ON *.*",
    "GRANT SYSTEM FLUSH, SYSTEM DROP CACHE, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM VIEWS, SYSTEM CLEANUP ON *.*",
    "GRANT SET DEFINER ON *",
    *(f"GRANT TABLE ENGINE ON {engine}" for engine in _TABLE_ENGINES),
)
# Settings that name files of the machine.
_FIXED_SETTINGS = ("format_schema", "format_schema_source", "input_format_record_errors_file_path")


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


def write_engine_config(directory: Path, limits: EngineLimits) -> Path:
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
    profile = {"max_memory_usage": str(limits.max_memory_bytes * 3 // 4), "log_queries": "0", **limits.profile}
    if limits.max_threads:
        profile["max_threads"] = str(limits.max_threads)
    config = directory / "config.xml"
    requirement = "<table_engines_require_grant>true</table_engines_require_grant>"
    access = f"<access_control_improvements>{requirement}</access_control_improvements>"
    config.write_text(f"<clickhouse>{_elements(server)}{access}</clickhouse>\n", encoding="utf-8")
    grants = "".join(f"<query>{escape(grant)}</query>" for grant in _GRANTS)
    fixed = "".join(f"<{setting}><const/></{setting}>" for setting in _FIXED_SETTINGS)
    users.write_text(
        f"<clickhouse><profiles><default>{_elements(profile)}<constraints>{fixed}</constraints></default></profiles>"
        "<quotas><default/></quotas>"
        "<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota><grants>{grants}</grants></default></users></clickhouse>\n",
        encoding="utf-8",
    )
    return config


def _elements(values: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
