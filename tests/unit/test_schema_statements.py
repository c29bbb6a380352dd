"""The statements that make the tables, as they are printed and run."""

from __future__ import annotations

import re

import pytest

from exporters.clickhouse.schema import SchemaSettings, column_definitions, quoted, statements, table_name
from proto.span_columns import COLUMNS

DAY_S = 86_400


def joined(**settings: object) -> str:
    return "\n".join(statements(SchemaSettings(**settings)))  # type: ignore[arg-type]  # the test's own keywords


def test_database_tables_and_view_come_in_the_order_in_which_they_need_each_other() -> None:
    heads = [statement.split("\n", 1)[0] for statement in statements(SchemaSettings("traces", "spans"))]
    assert heads == [
        "CREATE DATABASE IF NOT EXISTS `traces`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_trace_id_ts`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_trace_id_ts_mv`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_tags`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_tags_mv`",
        "CREATE TABLE IF NOT EXISTS `traces`.`otel_tracing_configs`",
        "CREATE TABLE IF NOT EXISTS `traces`.`otel_objects`",
        "CREATE TABLE IF NOT EXISTS `traces`.`otel_load_test_runs`",
        "CREATE TABLE IF NOT EXISTS `traces`.`otel_load_test_progress`",
        "CREATE TABLE IF NOT EXISTS `traces`.`otel_request_executions`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_schema_versions`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_red_minute`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_red_quarter_hour`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_red_quarter_hour_mv`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_red_hour`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_red_hour_mv`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_topology_minute`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_topology_halves`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_topology_settled`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_topology_hour`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_topology_hour_mv`",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS `traces`.`spans_topology_settled_hour_mv`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_sampling_throughput`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_sampling_probabilities`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_alert_events`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_alert_claims`",
        "CREATE TABLE IF NOT EXISTS `traces`.`spans_alert_deliveries`",
    ]


def test_the_table_has_the_columns_that_are_written_in_their_order_and_with_their_types() -> None:
    definitions = column_definitions("otel_traces")
    assert list(definitions) == [column.name for column in COLUMNS]
    for column in COLUMNS:
        assert definitions[column.name].startswith(f"{column.type} ")


@pytest.mark.parametrize(
    ("ttl_s", "clause"),
    [
        (7 * DAY_S, "toIntervalDay(7)"),
        (36 * 3600, "toIntervalHour(36)"),
        (90 * 60, "toIntervalMinute(90)"),
        (61, "toIntervalSecond(61)"),
    ],
)
def test_the_time_to_live_is_in_the_largest_unit_that_divides_it(ttl_s: int, clause: str) -> None:
    text = joined(ttl_s=ttl_s)
    assert f"TTL toDateTime(Timestamp) + {clause}\nSETTINGS" in text
    assert f"TTL toDateTime(Start) + {clause}\nSETTINGS" in text


def test_without_a_time_to_live_there_is_no_clause_and_no_gap() -> None:
    # Objects say themselves when they may be forgotten. Halves of calls are of use for an hour, figures for adaptive sampling for
    # a day, claims of alerts for a month and their deliveries for three, however long spans are kept.
    assert re.findall("TTL.*", joined()) == [
        "TTL ExpiresAt DELETE WHERE ExpiresAt > toDateTime(0, 'UTC')",
        "TTL Arrived + toIntervalHour(1)",
        "TTL Bucket + toIntervalDay(1)",
        "TTL Round + toIntervalDay(1)",
        "TTL toDateTime(At) + toIntervalDay(30)",
        "TTL toDateTime(At) + toIntervalDay(90)",
    ]
    assert "ORDER BY (TraceId, Start)\nSETTINGS" in joined()


def test_a_table_without_replicas_is_told_to_remember_inserts_and_so_is_each_of_the_others() -> None:
    assert joined().count("non_replicated_deduplication_window = 10000") == joined().count("CREATE TABLE")


@pytest.mark.parametrize("engine", ["ReplicatedMergeTree", "SharedMergeTree"])
def test_replicated_engines_are_not_told_what_those_without_replicas_are(engine: str) -> None:
    text = joined(engine=engine, engine_parameters="'/tables/{shard}/{table}', '{replica}'")
    assert f"ENGINE = {engine}('/tables/{{shard}}/{{table}}', '{{replica}}')" in text
    assert (
        f"ENGINE = {engine.removesuffix('MergeTree')}AggregatingMergeTree('/tables/{{shard}}/{{table}}', '{{replica}}')" in text
    )
    assert "non_replicated_deduplication_window" not in text


def test_a_table_with_replicas_remembers_inserts_for_longer_than_spans_may_wait_and_so_does_each_of_the_others() -> None:
    text = joined(engine="ReplicatedMergeTree")
    window = "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
    assert text.count(window) == text.count("CREATE TABLE")


@pytest.mark.parametrize("cluster", ["main", "{cluster}"])
def test_on_a_cluster_every_statement_runs_everywhere(cluster: str) -> None:
    for statement in statements(SchemaSettings(cluster=cluster)):
        assert statement.split("\n", 1)[0].endswith(f" ON CLUSTER '{cluster}'")


def test_comments_reach_the_reader_and_no_field_is_left_unfilled() -> None:
    text = joined(ttl_s=DAY_S)
    assert "-- The shape that Grafana" in text
    assert not re.search(r"\{\w+\}", text)


def test_names_are_quoted_whatever_they_hold() -> None:
    assert quoted("a`b\\c") == "`a\\`b\\\\c`"


@pytest.mark.parametrize(
    ("engine", "aggregating"),
    [("MergeTree", "AggregatingMergeTree()"), ("ReplacingMergeTree", "AggregatingMergeTree()"), ("Null", "Null(Version)")],
)
def test_derived_tables_sum_rows_up_where_the_engine_has_a_kin_that_does(engine: str, aggregating: str) -> None:
    text = joined(engine=engine, engine_parameters="Version")
    assert f"ENGINE = {aggregating}" in text


@pytest.mark.parametrize(
    ("spans_table", "expected"),
    [("otel_traces", "otel_red_minute"), ("spans", "spans_red_minute"), ("b.shop_traces", "b.shop_red_minute")],
)
def test_derived_tables_are_called_after_that_of_the_spans(spans_table: str, expected: str) -> None:
    assert table_name("otel_red_minute", spans_table) == expected


@pytest.mark.parametrize(
    ("table", "time"), [("red_quarter_hour", "QuarterHour"), ("red_hour", "Hour"), ("topology_hour", "Hour")]
)
def test_the_tables_of_longer_steps_have_the_columns_of_that_of_minutes(table: str, time: str) -> None:
    minute = dict(column_definitions(f"otel_{table.partition('_')[0]}_minute"))
    if table == "red_hour":
        # Read most, and smallest: quick to unpack rather than small.
        minute["DurationSketch"] = minute["DurationSketch"].replace("CODEC(ZSTD(1))", "CODEC(LZ4)")
    longer = column_definitions(f"otel_{table}")
    assert {"Minute" if name == time else name: definition for name, definition in longer.items()} == minute


def test_the_table_of_settled_calls_has_the_columns_of_that_of_calls() -> None:
    minute, settled = (dict(column_definitions(f"otel_topology_{name}")) for name in ("minute", "settled"))
    del settled["ArrivalMinute"]
    assert settled == minute
