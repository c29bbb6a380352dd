"""What readers may do, and how the engine is made to hold them to it.

chDB runs every connection as its one user, so a reader is a connection that has given up rights which it cannot take back:

- it has left the role `owner`, so it may select from the tables of the spans and nothing else;
- it is in `readonly` mode, in which the engine refuses writes, and every change of that mode;
- its profile fixes settings and bounds limits, in the statement, in subqueries and afterwards alike;
- one of the fixed settings, the scope, names its workspaces: row policies on the tables of the spans compare them with it.

Only one statement could take the role back, SET ROLE: see `reading`.

`docs/adr/0006-readers-of-the-embedded-clickhouse.md` says what was tried.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exporters.embedded.limits import ReaderLimits
from exporters.embedded.statement import assignments, quote

SCOPE: Final = "query_cache_tag"
"""The setting that says whose rows a connection sees. It has no other effect, because queries are not cached here."""

OWNER: Final = "owner"
"""The scope of connections that nobody has restricted, and the role that they have."""

_ANY, _SOME = "any", "some"

_STEPS_ON_DISK: Final = ("sort", "group_by", "distinct", "join")
_FIXED: Final[Mapping[str, str]] = {
    "readonly": "2",
    "allow_ddl": "0",
    "allow_introspection_functions": "0",
    # The parser that judges a statement and the one that runs it have to be the same.
    "dialect": "clickhouse",
    "implicit_select": "0",
    # Caches would be shared with those who see other rows.
    "use_query_cache": "0",
    "use_query_condition_cache": "0",
    # The daemon's inserts come first.
    "os_threads_nice_value_query": "5",
    "send_logs_level": "none",
    # Queries fail instead of going on with files on disk, which chDB does not bound.
    **{f"max_bytes_before_external_{step}": "0" for step in _STEPS_ON_DISK},
    **{f"max_bytes_ratio_before_external_{step}": "0" for step in _STEPS_ON_DISK},
    "max_bytes_in_join": "0",
    "max_rows_in_join": "0",
}
"""Settings of readers that nothing can change, and their values."""

_AS_THEY_ARE: Final = (SCOPE, "log_comment", "join_algorithm")
"""More of them, which have their values otherwise."""

_CEILINGS: Final[Mapping[str, int]] = {
    "max_threads": 64,
    "max_query_size": 1 << 18,
    "max_untracked_memory": 1 << 22,
    "max_recursive_cte_evaluation_depth": 1000,
    "function_range_max_elements_in_block": 500_000_000,
    # Beyond these, nesting ends the process instead of the query.
    "max_parser_depth": 1000,
    "max_parser_backtracks": 1_000_000,
    "max_ast_depth": 1000,
    "max_ast_elements": 50_000,
    "max_expanded_ast_elements": 500_000,
    "max_subquery_depth": 100,
    "max_analyze_depth": 5000,
}
"""Settings that readers may lower and not raise: mostly ClickHouse's own defaults."""


@dataclass(frozen=True, slots=True)
class SpanTables:
    """What readers may read.

    Attributes:
        database, names: the tables, each with a column `Workspace`.
    """

    database: str = "otel"
    names: tuple[str, ...] = ("otel_traces", "otel_traces_trace_id_ts")


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of a reader.

    Attributes:
        workspaces: whose rows; None for everybody's.
        limits: of each query.
        profile: the name of its settings profile. A reader may change to any profile whose name it knows, and so to other
            limits: names are secret.
    """

    workspaces: tuple[str, ...] | None
    limits: ReaderLimits
    profile: str

    @classmethod
    def of(cls, workspaces: tuple[str, ...] | None, limits: ReaderLimits) -> Rights:
        """Rights with a profile of their own."""
        return cls(workspaces, limits, f"reader_{secrets.token_hex(16)}")

    @property
    def restriction(self) -> list[str]:
        """The statements that turn the owner's connection into a reader's."""
        scope = _ANY if self.workspaces is None else "\n".join((_SOME, *self.workspaces))
        fixed = {name: value for name, value in _FIXED.items() if name != "readonly"}
        bounds = {name: str(most) for name, most in self._bounds.items()}
        return [
            "SET ROLE NONE",
            f"SET {assignments({SCOPE: scope, **fixed, **bounds})}",
            # chDB takes a profile's constraints and not its values, so these are set before.
            f"SET profile = {quote(self.profile)}",
            f"SET readonly = {_FIXED['readonly']}",
        ]

    @property
    def forbidden(self) -> list[str]:
        """Statements that have to fail on such a connection, one for each thing that holds it."""
        return [
            "CREATE TEMPORARY TABLE attempt (x UInt8)",
            f"SET {SCOPE} = {quote(OWNER)}",
            "SET readonly = 0",
            f"SET max_memory_usage = {self.limits.max_memory_bytes + 1}",
            "SELECT throwIf(count() = 0) FROM system.processes",
        ]

    @property
    def constraints(self) -> str:
        """The profile's constraints, as a users.xml has them."""
        fixed = (f"<{name}><const/></{name}>" for name in (*_AS_THEY_ARE, *_FIXED) if name != "readonly")
        bounds = (f"<{name}><min>1</min><max>{most}</max></{name}>" for name, most in self._bounds.items())
        ceilings = (f"<{name}><max>{most}</max></{name}>" for name, most in _CEILINGS.items())
        return "".join((*fixed, *bounds, *ceilings))

    def within_bounds(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings of a request, with limits that are too high brought down: clients add to them what suits servers."""
        return {name: self._bounded(name, value) for name, value in settings.items()}

    def memory_of(self, settings: Mapping[str, str]) -> int:
        """The most memory that a query with these settings, from `within_bounds`, takes; bytes."""
        asked = settings.get("max_memory_usage", "")
        return int(asked) if asked.isdecimal() else self.limits.max_memory_bytes

    @property
    def _bounds(self) -> dict[str, int]:
        limits = self.limits
        return {
            "max_execution_time": limits.max_execution_time_s,
            "max_memory_usage": limits.max_memory_bytes,
            "max_result_rows": limits.max_result_rows,
            "max_result_bytes": limits.max_result_bytes,
        }

    def _bounded(self, name: str, value: str) -> str:
        most = self._bounds.get(name)
        if most is None or not value.isdecimal():
            return value
        # For all of these, 0 means no limit.
        return str(min(int(value) or most, most))


def span_filter() -> str:
    """The row policy of a table of spans."""
    return (
        f"getSetting('{SCOPE}') IN ('{OWNER}', '{_ANY}') OR Workspace IN arrayPopFront(splitByChar('\\n', getSetting('{SCOPE}')))"
    )


def owner_filter() -> str:
    """The row policy of a table that nobody but the owner may read."""
    return f"getSetting('{SCOPE}') = '{OWNER}'"


def size_filter(tables: SpanTables) -> str:
    """The row policy of a system table that counts rows: those who see some workspaces do not see the count of all."""
    return f"splitByChar('\\n', getSetting('{SCOPE}'))[1] != '{_SOME}' OR database != {quote(tables.database)}"
