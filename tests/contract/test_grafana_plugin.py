"""What Grafana's ClickHouse plugin asks by itself, in its editors and in the dashboards that it brings, on real traces.

The statements have the shapes that release 4.20 of the plugin sends (`src/data/sqlGenerator.ts`, `src/data/CHDatasource.ts`,
`src/dashboards`), with the table names unqualified, as there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.clickhouse import Refusal
from tests.support.grafana import Choice
from tests.support.grafana_store import WORKSPACE, Store, plain_spans_of

EDITORS = {
    "columns": 'DESC TABLE "otel"."otel_traces"',
    "columns of the companion": 'DESC TABLE "otel"."otel_traces_trace_id_ts"',
    "map keys": 'SELECT DISTINCT arrayJoin(mapKeys("SpanAttributes")) as keys FROM "otel"."otel_traces" LIMIT 1000',
    "map keys of late": """
        SELECT DISTINCT arrayJoin(mapKeys("ResourceAttributes")) as keys
        FROM (SELECT "ResourceAttributes" FROM "otel"."otel_traces" LIMIT 10000) LIMIT 1000""",
    "map values": """
        SELECT DISTINCT "ResourceAttributes"['service.name'] FROM "otel"."otel_traces"
        WHERE mapContains("ResourceAttributes", 'service.name') LIMIT 1000""",
    "values of a column": 'SELECT DISTINCT "SpanKind" FROM "otel"."otel_traces" WHERE "SpanKind" IS NOT NULL LIMIT 1000',
    "functions": """
        SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, arguments, returned_value, examples,
            categories FROM system.functions""",
    "version": "SELECT version()",
}
PANELS = {
    "services": """
        SELECT ServiceName FROM otel_traces WHERE $__timeFilter(Timestamp) GROUP BY ServiceName ORDER BY count() DESC LIMIT 10""",
    "operations": """
        SELECT DISTINCT SpanName FROM otel_traces
        WHERE $__timeFilter(Timestamp) AND $__conditionalAll(ServiceName IN ($service), $service) ORDER BY SpanName LIMIT 200""",
    "status codes": "SELECT DISTINCT StatusCode FROM otel_traces WHERE $__timeFilter(Timestamp) ORDER BY StatusCode",
    "rate": """
        SELECT toStartOfInterval(Timestamp, INTERVAL $__interval_s second) AS time, count() / $__interval_s AS rps
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND ServiceName IN (${service:singlequote}) AND SpanKind = 'Server'
            AND $__conditionalAll(SpanName IN ($operation), $operation)
            AND $__conditionalAll(positionCaseInsensitive(SpanName, '$search') > 0, $search) GROUP BY time ORDER BY time""",
    "error rate": """
        SELECT $__timeInterval(Timestamp) AS time, countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR')) / count() AS error_rate
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND SpanKind = 'Client' GROUP BY time ORDER BY time""",
    "durations": """
        SELECT $__timeInterval_ms(Timestamp) AS time, quantile(0.5)(Duration) AS p50, quantile(0.9)(Duration) AS p90,
            quantile(0.99)(Duration) AS p99
        FROM otel_traces WHERE $__timeFilter_ms(Timestamp) AND SpanKind = 'Internal' GROUP BY time ORDER BY time""",
    "slowest operations": """
        SELECT SpanName AS Operation, SpanKind AS Kind, count() AS Count, quantile(0.5)(Duration) AS P50,
            quantile(0.99)(Duration) AS P99
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND SpanKind IN ('Producer', 'Consumer')
        GROUP BY SpanName, SpanKind ORDER BY P99 DESC LIMIT 20""",
    "top errors": """
        SELECT SpanName AS Operation, SpanKind AS Kind, StatusMessage AS Error, count() AS Count, max(Timestamp) AS "Last Seen"
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND StatusCode IN ('Error', 'STATUS_CODE_ERROR')
        GROUP BY SpanName, SpanKind, StatusMessage ORDER BY Count DESC LIMIT 20""",
    "top operations": """
        SELECT SpanName AS Operation, count() AS Count, countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR')) AS Errors,
            round(countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR')) / count() * 100, 2) AS "Error %",
            anyIf(if(StatusMessage != '', StatusMessage, SpanAttributes['http.status_code']),
                StatusCode IN ('Error', 'STATUS_CODE_ERROR')) AS "Top Error"
        FROM otel_traces WHERE $__timeFilter(Timestamp) GROUP BY Operation ORDER BY Count DESC LIMIT 15""",
    "sampled durations": """
        SELECT toStartOfInterval(Timestamp, INTERVAL $__interval_s second) AS time, Duration / 1000000 AS duration_ms
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND cityHash64(SpanId) % 500 = 0 ORDER BY time""",
    "deployments": """
        SELECT time, ServiceName AS tags, concat(ServiceName, ' deployed ', version) AS text, 'Deployment' AS title
        FROM (
            SELECT toStartOfInterval(Timestamp, INTERVAL 30 second) AS time, ServiceName,
                topK(1)(ResourceAttributes['service.version'])[1] AS version,
                lagInFrame(topK(1)(ResourceAttributes['service.version'])[1])
                    OVER (PARTITION BY ServiceName ORDER BY time) AS prev_version
            FROM otel_traces WHERE $__timeFilter(Timestamp) AND ResourceAttributes['service.version'] != ''
            GROUP BY ServiceName, time ORDER BY ServiceName, time)
        WHERE prev_version != version ORDER BY time""",
    "trace search": """
        SELECT TraceId, any(ServiceName) AS Service, any(SpanName) AS RootOperation, min(Timestamp) AS Time,
            max(Duration) AS Duration, count() AS Spans,
            anyIf(StatusCode, StatusCode IN ('Error', 'STATUS_CODE_ERROR')) AS Status
        FROM otel_traces WHERE $__timeFilter(Timestamp) AND $__conditionalAll(ServiceName IN ($service), $service)
        GROUP BY TraceId HAVING $__conditionalAll(max(Duration) >= toUInt64($search) * 1000000, $search)
        ORDER BY Time DESC LIMIT 200""",
    "nodes": """
        SELECT ServiceName AS id, ServiceName AS title, concat(toString(count()), ' spans') AS mainstat,
            concat(toString(round(avg(Duration) / 1000000, 1)), ' ms avg') AS secondarystat,
            (count() - countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR'))) / count() AS arc__success,
            countIf(StatusCode IN ('Error', 'STATUS_CODE_ERROR')) / count() AS arc__errors
        FROM otel_traces WHERE $__timeFilter(Timestamp) GROUP BY ServiceName ORDER BY count() DESC LIMIT 30""",
    "edges": """
        SELECT concat(parent.ServiceName, '-', child.ServiceName) AS id, parent.ServiceName AS source,
            child.ServiceName AS target, concat(toString(count()), ' calls') AS mainstat
        FROM otel_traces AS child INNER JOIN otel_traces AS parent
            ON child.ParentSpanId = parent.SpanId AND child.TraceId = parent.TraceId
        WHERE $__timeFilter(child.Timestamp) AND $__timeFilter(parent.Timestamp) AND parent.ServiceName != child.ServiceName
        GROUP BY source, target ORDER BY count() DESC LIMIT 50""",
}
SEARCH = """
    SELECT "TraceId" as traceID, "ServiceName" as serviceName, "SpanName" as operationName, "Timestamp" as startTime,
        multiply("Duration", 0.000001) as duration
    FROM "otel"."otel_traces"
    WHERE ( Timestamp >= $__fromTime AND Timestamp <= $__toTime ) AND ( ParentSpanId = '' ) AND ( Duration > 0 ) {condition}
    ORDER BY Timestamp DESC, Duration DESC LIMIT 1000 {settings}"""
CONDITIONS = {
    "none": "",
    "equal": "AND ( ServiceName = '{service}' )",
    "unequal": "AND ( ServiceName != '{service}' )",
    "like": "AND ( SpanName LIKE '%e%' )",
    "without regard to case": "AND ( ServiceName ILIKE '%{service}%' )",
    "among": "AND ( ServiceName IN ('{service}', 'another') )",
    "number": "AND ( Duration >= 1000 )",
    "attribute": "AND ( ResourceAttributes['service.name'] = '{service}' )",
    "empty attribute": "AND ( SpanAttributes['no.such.key'] = '' )",
    "either": "AND ( ServiceName = '{service}' ) OR ( StatusCode IS NULL )",
}
TRACE = """
    WITH '{trace}' as __gf_trace_id,
        (SELECT min(Start) FROM "otel"."otel_traces_trace_id_ts" WHERE TraceId = __gf_trace_id) as __gf_trace_start,
        (SELECT max(End) + 1 FROM "otel"."otel_traces_trace_id_ts" WHERE TraceId = __gf_trace_id) as __gf_trace_end
    SELECT {columns} FROM "otel"."otel_traces"
    WHERE traceID = __gf_trace_id AND "Timestamp" >= __gf_trace_start AND "Timestamp" <= __gf_trace_end"""
TRACE_ALONE = """SELECT {columns} FROM "otel"."otel_traces" WHERE traceID = '{trace}'"""
TRACE_COLUMNS = """
    "TraceId" as traceID, "SpanId" as spanID, "ParentSpanId" as parentSpanID, "ServiceName" as serviceName,
    "SpanName" as operationName, multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) as startTime,
    multiply("Duration", 0.000001) as duration,
    arrayMap(key -> map('key', key, 'value',"SpanAttributes"[key]), mapKeys("SpanAttributes")) as tags,
    arrayMap(key -> map('key', key, 'value',"ResourceAttributes"[key]), mapKeys("ResourceAttributes")) as serviceTags,
    if("StatusCode" IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) as statusCode,
    arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(timestamp)), arrayMap(key -> map('key',
        key, 'value', attributes[key]), mapKeys(attributes)))::Tuple(name String, timestamp String, fields Array(Map(String,
        String))), "Events".Name, "Events".Timestamp, "Events".Attributes) AS logs,
    arrayMap((traceID, spanID, attributes) -> tuple(traceID, spanID, arrayMap(key -> map('key', key, 'value', attributes[key]),
        mapKeys(attributes)))::Tuple(traceID String, spanID String, tags Array(Map(String, String))), "Links".TraceId,
        "Links".SpanId, "Links".Attributes) AS references,
    "SpanKind" as kind, "StatusMessage" as statusMessage, "TraceState" as traceState"""
AD_HOC = "settings additional_table_filters={'otel_traces' : ' ServiceName = \\'%s\\' '}"


@pytest.fixture(scope="module")
def root(grafana: Store) -> dict[str, Any]:
    """The service and the trace of a root span that has children in other services, if any has."""
    found = grafana.ask("""
        SELECT ServiceName, TraceId FROM otel_traces WHERE ParentSpanId = '' AND Duration > 0 AND ServiceName != '' AND TraceId IN
            (SELECT TraceId FROM otel_traces GROUP BY TraceId ORDER BY uniqExact(ServiceName) DESC, TraceId LIMIT 1)
        LIMIT 1""")
    return dict(found["data"][0])


def test_the_data_source_is_saved(grafana: Store) -> None:
    (row,) = grafana.ask("SELECT displayName() AS name, version(), revision() AS revision, timezone()")["data"]
    assert row["revision"] >= 54454
    assert grafana.ask("SELECT 1")["meta"] == [{"name": "1", "type": "UInt8"}]


@pytest.mark.parametrize("purpose", EDITORS)
def test_the_editors_are_filled(grafana: Store, purpose: str) -> None:
    assert grafana.ask(EDITORS[purpose])["rows"]


def test_databases_and_tables_are_listed(grafana: Store) -> None:
    assert {"name": "otel"} in grafana.ask("SHOW DATABASES")["data"]
    tables = {row["name"] for row in grafana.ask('SHOW TABLES FROM "otel"')["data"]}
    # Where the embedded server would say how many rows all workspaces have, it says nothing to those who see some of them.
    assert not tables if grafana.reader.kind == "embedded" else {"otel_traces", "otel_traces_trace_id_ts"} <= tables


@pytest.mark.parametrize("purpose", PANELS)
def test_the_dashboards_that_come_with_the_plugin_are_filled(grafana: Store, root: dict[str, Any], purpose: str) -> None:
    variables = {"service": Choice((root["ServiceName"],)), "operation": Choice((), is_all=True), "search": Choice("")}
    answer = grafana.ask(replace(grafana.view, variables=variables).expand(PANELS[purpose]))
    # A rate of one service may have no spans of a kind, and a sample none at all.
    assert answer["rows"] or purpose in ("rate", "sampled durations", "deployments")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_traces_are_searched(grafana: Store, root: dict[str, Any], condition: str) -> None:
    text = SEARCH.format(condition=CONDITIONS[condition].format(service=root["ServiceName"]), settings="")
    answer = grafana.ask(grafana.view.expand(text))
    assert [column["name"] for column in answer["meta"]] == ["traceID", "serviceName", "operationName", "startTime", "duration"]
    assert answer["rows"]


def test_filters_are_added_to_any_query(grafana: Store, root: dict[str, Any]) -> None:
    text = SEARCH.format(condition="", settings=AD_HOC % root["ServiceName"])
    assert {row["serviceName"] for row in grafana.ask(grafana.view.expand(text))["data"]} == {root["ServiceName"]}


@pytest.mark.parametrize("statement", [TRACE, TRACE_ALONE], ids=["with companion", "alone"])
def test_a_trace_is_shown_whole(grafana: Store, root: dict[str, Any], statement: str) -> None:
    answer = grafana.ask(statement.format(trace=root["TraceId"], columns=TRACE_COLUMNS))
    ids = [each.span.trace_id.hex() for each in plain_spans_of(WORKSPACE)]
    assert answer["rows"] == ids.count(root["TraceId"])


def test_the_account_cannot_write(grafana: Store) -> None:
    for statement in (
        "INSERT INTO otel.otel_traces (TraceId) VALUES ('x')",
        "DROP TABLE otel.otel_traces",
        "CREATE DATABASE mine",
    ):
        with pytest.raises(Refusal):
            grafana.reader.execute(statement)
