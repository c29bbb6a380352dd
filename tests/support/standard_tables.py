"""The tables of the Collector's exporter, as it has made them over the years: what may be there before spanhouse is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

_NAMED: Final = (Path(__file__).parent / "standard_tables.sql").read_text(encoding="utf-8")
"""As in releases since late 2024."""

_SCOPE: Final = "    `ScopeName` String CODEC(ZSTD(1)),\n    `ScopeVersion` String CODEC(ZSTD(1)),\n"


def _first(tables: str) -> str:
    """Without a scope, durations with a sign, and a companion without partitions, exact to the nanosecond."""
    spans, _, companion = (
        tables.replace("`Duration` UInt64", "`Duration` Int64")
        .replace(_SCOPE, "")
        .partition("CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts")
    )
    spans = spans.replace("toDateTime(Timestamp))", "toUnixTimestamp(Timestamp), TraceId)")
    for newer, older in (
        ("` DateTime CODEC", "` DateTime64(9) CODEC"),
        ("PARTITION BY toDate(Start)\n", ""),
        ("ORDER BY (TraceId, Start)", "ORDER BY (TraceId, toUnixTimestamp(Start))"),
    ):
        companion = companion.replace(newer, older)
    return f"{spans}CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts{companion}"


_FORMS: Final[dict[str, Callable[[str], str]]] = {"first": _first, "standard": lambda tables: tables}
FORMS: Final = tuple(_FORMS)
"""The oldest form, of 2022, and the present one."""


def standard_tables(form: str = "standard") -> list[str]:
    """The statements that make the tables in the database of the connection."""
    return [statement.strip() for statement in _FORMS[form](_NAMED).split(";") if statement.strip()]
