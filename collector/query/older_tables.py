"""Tables that lack what statements read: of an earlier release or another writer, where spanhouse may not complete them.

A statement names the tables as they are to be. Where it fails since columns are not there, the tables that it reads are looked
at, and in each one's place stands what it has, with the defaults of the rest. Tables that have everything cost nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Final

from exporters.clickhouse.client import ClickHouseClient, ClickHouseError
from exporters.clickhouse.errors import UNKNOWN_TABLE
from exporters.clickhouse.schema import TEMPLATES, column_defaults, quoted, table_name

UNKNOWN_IDENTIFIER: Final = 47
_DIFFERENT: Final = frozenset({UNKNOWN_IDENTIFIER, UNKNOWN_TABLE})
_KNOWN_FOR_S: Final = 5.0
"""Then it is found out again: a default would hide the values of a column that has been added since."""
_MAY_BE_MISSING: Final = "otel_traces_trace_id_ts"
"""The template of the one table that only makes answers faster: without rows it says that it knows none of the traces."""


class OlderTables:
    """What is missing in the tables of a database, as far as statements have met it.

    Args:
        spans_table: name of the table of the spans, with or without a database.
    """

    def __init__(self, spans_table: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._templates = {table_name(template, spans_table): template for template in TEMPLATES}
        names = "|".join(map(re.escape, self._templates))
        self._read = re.compile(rf"\b(?P<clause>FROM|JOIN) (?P<table>{names})(?![\w.`])(?P<alias> AS \w+)?")
        self._sources: dict[str, str] = {}
        self._known_until = 0.0

    def completed(self, sql: str) -> str:
        """The statement, with what stands for the tables that are known to lack something."""
        if not self._sources or self._monotonic() >= self._known_until:
            return sql
        return self._read.sub(self._replaced, sql)

    def _replaced(self, found: re.Match[str]) -> str:
        source = self._sources.get(found["table"])
        if source is None:
            return found[0]
        # In a join it needs a name.
        name = found["table"].rpartition(".")[2]
        return f"{found['clause']} {source}{found['alias'] or f' AS {name}'}"

    async def completed_after(self, error: ClickHouseError, client: ClickHouseClient, sql: str) -> str:
        """The same, once the tables of a statement that failed have been looked at, if that may be why.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: see `ClickHouseClient.query`.
        """
        if error.code in _DIFFERENT:
            tables = sorted({found["table"] for found in self._read.finditer(sql)})
            looked_at = {table: await self._source(client, table) for table in tables}
            known = self._sources if self._monotonic() < self._known_until else {}
            self._sources = {table: source for table, source in {**known, **looked_at}.items() if source}
            self._known_until = self._monotonic() + _KNOWN_FOR_S
        return self.completed(sql)

    async def _source(self, client: ClickHouseClient, table: str) -> str:
        """What stands for a table in statements; empty for itself."""
        defaults = column_defaults(self._templates[table])
        try:
            described = await client.query(f"DESCRIBE TABLE {table}")
        except ClickHouseError as error:
            if error.code != UNKNOWN_TABLE or self._templates[table] != _MAY_BE_MISSING:
                raise
            return f"(SELECT {_selected(defaults)} WHERE false)"
        missing = {name: default for name, default in defaults.items() if name not in described.columns["name"]}
        return f"(SELECT *, {_selected(missing)} FROM {table})" if missing else ""  # noqa: S608 - the name is checked


def _selected(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {quoted(name)}" for name, expression in expressions.items())
