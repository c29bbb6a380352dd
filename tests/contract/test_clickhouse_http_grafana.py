"""What Grafana's ClickHouse plugin sends when it shows traces, in its shapes, on a small `otel_traces`."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.support.clickhouse import ClickHouse

READERS_TOO = True

_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
_TABLES = """
CREATE TABLE {database}.otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String),
    Duration UInt64, StatusCode LowCardinality(String), StatusMessage String,
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)),
    Workspace LowCardinality(String) DEFAULT 'default',
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp));
CREATE TABLE {database}.otel_traces_trace_id_ts (
    TraceId String, Start DateTime, End DateTime, Workspace LowCardinality(String) DEFAULT 'default')
    ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start);
CREATE MATERIALIZED VIEW {database}.otel_traces_trace_id_ts_mv TO {database}.otel_traces_trace_id_ts AS
    SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End, Workspace FROM {database}.otel_traces
    WHERE TraceId != '' GROUP BY TraceId, Workspace;
"""
_SPANS = [
    {
        "Timestamp": "2026-09-01 10:00:00.123456789",
        "TraceId": _TRACE_ID,
        "SpanId": "b7ad6b7169203331",
        "ParentSpanId": "",
        "SpanName": "GET /cart",
        "SpanKind": "Server",
        "ServiceName": "frontend",
        "ResourceAttributes": {"service.name": "frontend"},
        "SpanAttributes": {"http.route": "/cart", "http.response.status_code": "500"},
        "Duration": 5_000_000,
        "StatusCode": "Error",
        "StatusMessage": "boom",
        "Events.Timestamp": ["2026-09-01 10:00:00.124000000"],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"exception.type": "E"}],
        "Links.TraceId": ["ff"],
        "Links.SpanId": ["aa"],
        "Links.TraceState": [""],
        "Links.Attributes": [{"k": "v"}],
    },
    {
        "Timestamp": "2026-09-01 10:00:00.124000000",
        "TraceId": _TRACE_ID,
        "SpanId": "00f067aa0ba902b7",
        "ParentSpanId": "b7ad6b7169203331",
        "SpanName": "SELECT",
        "SpanKind": "Client",
        "ServiceName": "cart",
        "ResourceAttributes": {"service.name": "cart"},
        "SpanAttributes": {"db.system": "redis"},
        "Duration": 1_000_000,
        "StatusCode": "Unset",
    },
]
_WINDOW = "Timestamp >= toDateTime(1788255000) AND Timestamp <= toDateTime(1788270000)"


@pytest.fixture
def traces(clickhouse: ClickHouse) -> str:
    owner = clickhouse.as_owner
    # Readers read in the database of the spans alone.
    database = "otel" if clickhouse.kind == "reader" else f"traces_{uuid4().hex}"
    owner.execute(f"DROP DATABASE IF EXISTS {database} SYNC")
    owner.execute(f"CREATE DATABASE {database}")
    for statement in _TABLES.format(database=database).split(";")[:-1]:
        owner.execute(statement)
    rows = "\n".join(json.dumps(span) for span in _SPANS).encode()
    answer = owner.post(rows, query=f"INSERT INTO {database}.otel_traces FORMAT JSONEachRow", async_insert="0")
    assert answer.status == 200, answer.body
    return database


def test_saving_the_data_source_is_a_ping(clickhouse: ClickHouse) -> None:
    answer = clickhouse.post("SELECT displayName(), version(), revision(), timezone()", default_format="JSONCompact")
    assert [column["type"] for column in json.loads(answer.body)["meta"]] == ["String", "String", "UInt32", "String"]
    answer = json.loads(clickhouse.post("SELECT 1", default_format="JSONCompact", max_execution_time="65").body)
    assert answer["meta"] == [{"name": "1", "type": "UInt8"}]


def test_the_editors_list_databases_tables_and_columns(clickhouse: ClickHouse, traces: str) -> None:
    assert traces in clickhouse.execute("SHOW DATABASES").decode().splitlines()
    tables = clickhouse.execute(f'SHOW TABLES FROM "{traces}"').decode().splitlines()
    assert {"otel_traces", "otel_traces_trace_id_ts"} <= set(tables)
    columns = [line.split("\t")[:2] for line in clickhouse.execute(f'DESC TABLE "{traces}"."otel_traces"').decode().splitlines()]
    assert len(columns) == 23
    assert ["SpanAttributes", "Map(LowCardinality(String), String)"] in columns
    keys = clickhouse.execute(
        "SELECT name, type, table FROM system.columns WHERE database = {db:String} AND table = 'otel_traces'", param_db=traces
    )
    assert len(keys.splitlines()) == 23


def test_map_keys_and_values_are_offered(clickhouse: ClickHouse, traces: str) -> None:
    statement = "SELECT DISTINCT arrayJoin(mapKeys(SpanAttributes)) AS k FROM otel_traces ORDER BY k LIMIT 1000"
    assert clickhouse.execute(statement, database=traces) == b"db.system\nhttp.response.status_code\nhttp.route\n"
    statement = (
        "SELECT DISTINCT SpanAttributes['http.route'] FROM otel_traces WHERE mapContains(SpanAttributes, 'http.route') LIMIT 1000"
    )
    assert clickhouse.execute(statement, database=traces) == b"/cart\n"


def test_completion_reads_the_functions_table(clickhouse: ClickHouse) -> None:
    statement = (
        "SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, arguments, returned_value, "
        "examples, categories FROM system.functions WHERE name = 'toDate' FORMAT JSONEachRow"
    )
    assert json.loads(clickhouse.execute(statement))["name"] == "toDate"


def test_the_trace_list_shows_roots_with_their_duration(clickhouse: ClickHouse, traces: str) -> None:
    statement = (
        "SELECT TraceId AS traceID, ServiceName AS serviceName, SpanName AS operationName, Timestamp AS startTime, "
        "multiply(Duration, 0.000001) AS duration FROM otel_traces "
        f"WHERE ({_WINDOW}) AND (ParentSpanId = '') AND (Duration > 0) AND (SpanAttributes['http.route'] = '/cart') "
        "AND (ServiceName ILIKE '%front%') ORDER BY Timestamp DESC, Duration DESC LIMIT 1000 "
        "SETTINGS additional_table_filters = {'otel_traces': 'ServiceName REGEXP \\'front.*\\''}"
    )
    answer = clickhouse.execute(statement, database=traces).decode()
    assert answer == f"{_TRACE_ID}\tfrontend\tGET /cart\t2026-09-01 10:00:00.123456789\t5\n"


def test_a_trace_by_its_id_has_tags_logs_and_references(clickhouse: ClickHouse, traces: str) -> None:
    statement = f"""
        WITH '{_TRACE_ID}' AS __gf_trace_id,
            (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = __gf_trace_id) AS trace_start,
            (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = __gf_trace_id) AS trace_end
        SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID, ServiceName AS serviceName,
            multiply(toUnixTimestamp64Nano(Timestamp), 0.000001) AS startTime, multiply(Duration, 0.000001) AS duration,
            arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags,
            if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode,
            arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(timestamp)),
                arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)))::Tuple(name String,
                timestamp String, fields Array(Map(String, String))),
                `Events.Name`, `Events.Timestamp`, `Events.Attributes`) AS logs,
            arrayMap((trace, span, attributes) -> tuple(trace, span, arrayMap(key -> map('key', key, 'value', attributes[key]),
                mapKeys(attributes)))::Tuple(traceID String, spanID String, tags Array(Map(String, String))),
                `Links.TraceId`, `Links.SpanId`, `Links.Attributes`) AS references
        FROM otel_traces WHERE traceID = __gf_trace_id AND Timestamp >= trace_start AND Timestamp <= trace_end
        ORDER BY Timestamp"""
    root, child = (
        json.loads(line) for line in clickhouse.execute(f"{statement} FORMAT JSONEachRow", database=traces).decode().splitlines()
    )
    assert (root["statusCode"], child["statusCode"]) == (2, 0)
    assert root["tags"] == [{"key": "http.route", "value": "/cart"}, {"key": "http.response.status_code", "value": "500"}]
    assert root["logs"] == [
        {"name": "exception", "timestamp": "1788256800124", "fields": [{"key": "exception.type", "value": "E"}]}
    ]
    assert root["references"] == [{"traceID": "ff", "spanID": "aa", "tags": [{"key": "k", "value": "v"}]}]
    assert child["parentSpanID"] == root["spanID"]
    native = clickhouse.post(f"{statement} FORMAT Native", database=traces, client_protocol_version="54460")
    assert native.status == 200
    assert native.body.startswith(b"\x01\x00\x02\xff\xff\xff\xff\x00")


def test_the_dashboards_count_rates_and_quantiles_and_draw_the_node_graph(clickhouse: ClickHouse, traces: str) -> None:
    statement = (
        "SELECT toStartOfInterval(toDateTime(Timestamp), INTERVAL 60 second) AS time, count(), "
        "countIf(StatusCode = 'Error') / count(), quantile(0.99)(Duration) FROM otel_traces "
        f"WHERE {_WINDOW} AND SpanKind = 'Server' GROUP BY time ORDER BY time"
    )
    assert clickhouse.execute(statement, database=traces) == b"2026-09-01 10:00:00\t1\t1\t5000000\n"
    statement = (
        "SELECT parent.ServiceName, child.ServiceName, count() FROM otel_traces AS child INNER JOIN otel_traces AS parent "
        "ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId "
        f"WHERE {_WINDOW.replace('Timestamp', 'child.Timestamp')} AND child.ServiceName != parent.ServiceName GROUP BY ALL"
    )
    assert clickhouse.execute(statement, database=traces) == b"frontend\tcart\t1\n"
