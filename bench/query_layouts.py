"""Other layouts of the table of the spans: what each costs to write, and what it saves where spans are looked for.

    python bench/query_layouts.py --keep DIR [--hours N] [--only NAME ...]

Copies some hours out of the store that `bench/query.py --keep DIR` has made, into one table for each layout. What is stated is
CPU time of ClickHouse, which other work on the machine disturbs less than time by the clock: seconds for writing and merging,
milliseconds for a question; the least of three times.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.query import SPANS as MANY
from bench.query import Asker, rows, stored
from bench.query_sql import (
    HOUR,
    HOUR_NS,
    SPANS,
    attribute_pairs,
    found,
    latencies,
    of_service,
    one_trace,
    services,
    sql_text,
    within,
)
from bench.red import children_cpu_seconds
from collector.query.span_rows import SELECTED
from exporters.clickhouse.schema import SchemaSettings, table_statement

KEY: Final = "(Workspace, toStartOfFiveMinutes(Timestamp), ServiceName, SpanName, Timestamp)"
PRIMARY_KEY: Final = "PRIMARY KEY (Workspace, toStartOfFiveMinutes(Timestamp), ServiceName, SpanName)\n"
VALUES: Final = "INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1"
IDS: Final = "INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1"
ITEMS: Final = "arrayMap((key, value) -> concat(key, '=', value), mapKeys(SpanAttributes), mapValues(SpanAttributes))"
TEXT: Final = "TYPE text(tokenizer = 'array') GRANULARITY 100000000"
BLOCK_SPANS: Final = 65_536

Asked = Callable[[str, str], str]
"""Of a key and a value: the condition that a span has this attribute."""


def _in_map(key: str, value: str) -> str:
    return f"SpanAttributes[{sql_text(key)}] = {sql_text(value)}"


def _in_items(key: str, value: str) -> str:
    return f"has({ITEMS}, {sql_text(f'{key}={value}')})"


def _in_columns_of(promoted: list[str]) -> Asked:
    return lambda key, value: f"`promoted.{key}` = {sql_text(value)}" if key in promoted else _in_map(key, value)


@dataclass(frozen=True, slots=True)
class Layout:
    """Differences to the table as it is: texts of its definition → what stands in their place; and how to ask for attributes."""

    changes: tuple[tuple[str, str], ...] = ()
    asked: Asked = _in_map


def _granules(spans: int) -> tuple[str, str]:
    return "index_granularity = 8192", f"index_granularity = {spans}"


def _with(line: str) -> tuple[str, str]:
    return VALUES, f"{VALUES},\n    {line}"


def layouts(common_keys: list[str]) -> dict[str, Layout]:
    """Layout by name."""
    service_first = (PRIMARY_KEY, ""), (KEY, "(Workspace, ServiceName, SpanName, toDateTime(Timestamp))")
    promoted = ",\n    ".join(
        f"`promoted.{key}` LowCardinality(String) MATERIALIZED SpanAttributes[{sql_text(key)}] CODEC(ZSTD(1))"
        for key in common_keys
    )
    return {
        "as it is": Layout(),
        "service first": Layout(service_first),
        "service first, granules of 1024": Layout((*service_first, _granules(1024))),
        "time in the primary key": Layout(((PRIMARY_KEY, ""),)),
        "granules of 2048": Layout((_granules(2048),)),
        "a quarter of an hour": Layout((("toStartOfFiveMinutes", "toStartOfFifteenMinutes"),)),
        "no index of values": Layout(((f"{VALUES},\n", ""),)),
        "text index of values": Layout(((VALUES, f"INDEX idx_span_attr_value mapValues(SpanAttributes) {TEXT}"),)),
        "text index of keys and values": Layout((_with(f"INDEX idx_items {ITEMS} {TEXT}"),), _in_items),
        "bloom filter of keys and values": Layout(
            (_with(f"INDEX idx_items {ITEMS} TYPE bloom_filter(0.01) GRANULARITY 1"),), _in_items
        ),
        "text index of ids": Layout(((IDS, f"INDEX idx_trace_id TraceId {TEXT}"),)),
        "no index of ids": Layout(((f"{IDS},\n", ""),)),
        "projection by id": Layout((_with("PROJECTION by_id (SELECT * ORDER BY TraceId)"),)),
        "projection of places by id": Layout((_with("PROJECTION by_id (SELECT _part_offset ORDER BY TraceId)"),)),
        "two promoted attributes": Layout((_with(promoted),), _in_columns_of(common_keys)),
    }


def _asked(statement: str) -> Callable[[Asked], str]:
    """A question that is put alike to every layout."""
    return lambda _: statement


def measure(store: Asker, layout: Layout, hours: int, questions: dict[str, list[Callable[[Asked], str]]]) -> list[float]:
    """Seconds for writing and merging, MiB, and milliseconds of each question."""
    settings = SchemaSettings(database="layouts", spans_table="spans")
    table = settings.qualified_table
    statement = table_statement("otel_traces", settings)
    for old, new in layout.changes:
        if old not in statement:
            raise ValueError(f"the table's definition has no {old!r}")
        statement = statement.replace(old, new)
    names = ", ".join(f"`{row['name']}`" for row in rows(store.sql(f"DESCRIBE TABLE {SPANS}")))
    store.sql(f"DROP TABLE IF EXISTS {table} SYNC")
    store.sql(statement)
    store.sql("SYSTEM STOP MERGES")
    copied = (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {SPANS} WHERE {within(HOUR[1] - hours * HOUR_NS, HOUR[1])}"
        f" SETTINGS max_threads = 1, max_insert_threads = 1, max_insert_block_size = {BLOCK_SPANS},"
        f" min_insert_block_size_rows = {BLOCK_SPANS}, min_insert_block_size_bytes = 0"
    )
    written = []
    for _ in range(3):
        store.sql(f"TRUNCATE TABLE {table}")
        written.append(_cpu_seconds(store, copied))
    store.sql("SYSTEM START MERGES")
    merged = _cpu_seconds(store, f"OPTIMIZE TABLE {table} FINAL")
    size = "SELECT sum(bytes_on_disk) / 1048576 AS size FROM system.parts WHERE active AND database = 'layouts'"
    figures = [min(written), merged, float(rows(store.sql(size))[0]["size"])]
    for asked in questions.values():
        statements = [ask(layout.asked).replace(f"{SPANS} ", f"{table} ").replace(f"{SPANS}\n", f"{table}\n") for ask in asked]
        figures.append(1e3 * sum(min(_cpu_seconds(store, each) for _ in range(3)) for each in statements) / len(statements))
    return figures


def _cpu_seconds(store: Asker, statement: str) -> float:
    before = children_cpu_seconds()
    store.sql(statement)
    return children_cpu_seconds() - before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, metavar="DIR")
    parser.add_argument("--hours", type=int, default=4)
    parser.add_argument("--only", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    range_ns = (HOUR[1] - arguments.hours * HOUR_NS, HOUR[1])
    with stored(arguments.keep, MANY) as port:
        store = Asker(port)
        store.sql("CREATE DATABASE IF NOT EXISTS layouts")
        large = "GROUP BY TraceId HAVING count() BETWEEN 60 AND 100 ORDER BY cityHash64(TraceId) LIMIT 6"
        traces = rows(store.sql(f"SELECT TraceId AS id FROM {SPANS} WHERE {within(*HOUR)} {large}"))
        rare, common = (rows(store.sql(attribute_pairs(which))) for which in ("rare", "common"))
        busy = rows(store.sql(services(6)))

        def count(pair: Mapping[str, str]) -> Callable[[Asked], str]:
            condition = within(*range_ns)
            return lambda asked: f"SELECT uniq(TraceId) FROM {SPANS} WHERE {condition} AND {asked(pair['key'], pair['value'])}"

        questions: dict[str, list[Callable[[Asked], str]]] = {
            "trace": [_asked(one_trace(SELECTED)(each)) for each in traces],
            "service": [_asked(found(of_service(each), *HOUR)) for each in busy],
            "errors": [_asked(found("StatusCode = 'Error'", *HOUR))],
            "rare": [count(pair) for pair in rare[:6]],
            "common": [count(pair) for pair in common],
            "latencies": [_asked(latencies(f"AND {of_service(each)}", *range_ns)) for each in busy[:3]],
        }
        print(f"{'':<34}{'write s':>9}{'merge s':>9}{'MiB':>8}" + "".join(f"{f'{name} ms':>14}" for name in questions))
        for name, layout in layouts([pair["key"] for pair in common]).items():
            if arguments.only and name not in arguments.only:
                continue
            written, merged, size, *times = measure(store, layout, arguments.hours, questions)
            print(
                f"{name:<34}{written:>9.2f}{merged:>9.2f}{size:>8.1f}" + "".join(f"{each:>14.1f}" for each in times), flush=True
            )
        store.sql("DROP DATABASE layouts SYNC")


if __name__ == "__main__":
    main()
