"""Tables that nobody may complete are read as they are: what they lack is read as its default, on every path to spans."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from collector.query.older_tables import OlderTables
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.contract.test_query_api_traces import Api, Running
from tests.support.clickhouse import ClickHouse
from tests.support.requests import EPOCH, Shape, generated_request, one_span_request, tree_request
from tests.support.rows import UPSTREAM_COLUMNS, rows_of
from tests.support.standard_tables import standard_tables

SECOND = 10**9
START, END = EPOCH - SECOND, EPOCH + 60 * SECOND
Form = Callable[[ClickHouseClient], Awaitable[None]]


async def newest(client: ClickHouseClient) -> None:
    await apply(client, SchemaSettings(database=client.database))


async def first(client: ClickHouseClient) -> None:
    """Those of the Collector's exporter of 2022."""
    for statement in standard_tables("first"):
        await client.command(statement)


async def without_companion(client: ClickHouseClient) -> None:
    """The same of today, for other writers whose makers saw no use for the companion."""
    for statement in standard_tables():
        await client.command(statement)
    for name in ("otel_traces_trace_id_ts_mv", "otel_traces_trace_id_ts"):
        await client.command(f"DROP TABLE {name} SYNC")


async def second_version(client: ClickHouseClient) -> None:
    """Ours before resources referred to entities."""
    await newest(client)
    await client.command("ALTER TABLE otel_traces DROP COLUMN ResourceEntityRefs")


def without_measures(document: Any) -> Any:
    """What was answered, without how long it took."""
    return {name: value for name, value in document.items() if name != "metrics"} if isinstance(document, dict) else document


@asynccontextmanager
async def opened(clickhouse: ClickHouse, form: Form) -> AsyncIterator[Api]:
    """A query API over tables of a database of its own."""
    database = f"older_{uuid.uuid4().hex}"
    clickhouse.execute(f"CREATE DATABASE {database}")
    try:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            await form(client)
            async with Running(client) as api:
                yield api
    finally:
        clickhouse.execute(f"DROP DATABASE {database} SYNC")


def questions(trace_id: str, span_id: str, other: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Everything that is answered from spans: a path, and the parameters of its query."""
    nanoseconds = {"start": str(START), "end": str(END)}
    seconds, microseconds = ({name: str(int(time) // unit) for name, time in nanoseconds.items()} for unit in (SECOND, 1000))
    rfc3339 = {"query.startTimeMin": "2025-10-09T08:53:00Z", "query.startTimeMax": "2025-10-09T08:54:00Z"}
    millis = {"endTs": str(END // 10**6), "lookback": "120000"}
    yield "/api/v1/services", nanoseconds
    yield "/api/v1/services/tree/operations", nanoseconds
    for query in (
        {},
        {"q": "duration > 1ms and http.request.method != nil"},
        {"attribute": "http.request.method=GET", "sort": "spans"},
        {"sort": "duration", "minTraceDuration": "1ms", "rootService": "tree"},
        {"text": "GET", "status": "error", "weighted": "true"},
        {"q": "scope.name != nil"},
    ):
        yield "/api/v1/traces", {**nanoseconds, **query}
    trace = f"/api/v1/traces/{trace_id}"
    for fields in ("skeleton", "all"):
        yield trace, {"fields": fields}
    for part in ("", "/links", "/waterfall", "/critical-path"):
        yield f"{trace}{part}", {}
    yield f"{trace}/spans/{span_id}", {}
    yield f"{trace}/what-if", {"spanId": span_id}
    yield "/api/v1/traces/compare", {"left": trace_id, "right": other}
    for name in ("latencies", "operations", "throughput", "heat-map", "errors", "critical-path"):
        yield f"/api/v1/analysis/{name}", nanoseconds
    yield "/api/v1/analysis/differences", {**nanoseconds, "selection": "status=error"}
    yield "/jaeger/api/services/tree/operations", {}
    yield "/jaeger/api/traces", {**microseconds, "service": "tree"}
    yield f"/jaeger/api/traces/{trace_id}", {}
    yield "/jaeger/api/v3/traces", {**rfc3339, "query.serviceName": "tree"}
    yield "/jaeger/api/v3/trace-summaries", rfc3339
    yield f"/tempo/api/v2/traces/{trace_id}", {}
    for traceql in (
        "{}",
        "{ nestedSetParent < 0 } &>> { duration > 1us } | select(status, nestedSetLeft)",
        "{ span.http.request.method = `GET` && trace:duration > 1ms } | by(resource.service.name)",
        "{ event:name != nil } || { link:spanID != nil } || { instrumentation:name != nil }",
    ):
        yield "/tempo/api/search", {**seconds, "q": traceql}
    for metric in ("rate() by(resource.service.name)", "quantile_over_time(duration, .5)", "compare({ status = error })"):
        yield "/tempo/api/metrics/query_range", {**seconds, "q": f"{{}} | {metric}"}
    yield "/zipkin/api/v2/spans", {"serviceName": "tree"}
    yield "/zipkin/api/v2/traces", {**millis, "serviceName": "tree"}
    yield "/zipkin/api/v2/traceMany", {"traceIds": f"{trace_id},{other}"}


async def test_spans_in_older_tables_are_read_as_in_new_ones(embedded_clickhouse: ClickHouse) -> None:
    requests = [generated_request(Shape(spans=40, errors_share=0.2), seed=1), tree_request(depth=3, children=2, seed=2)]
    rows = [row for each in requests for row in rows_of(each)]
    written = [{name: row[name] for name in UPSTREAM_COLUMNS if name not in ("ScopeName", "ScopeVersion")} for row in rows]
    asked = list(questions(rows[-1]["TraceId"], rows[-1]["SpanId"], rows[0]["TraceId"]))
    expected = {}
    for form in (newest, first, without_companion, second_version):
        async with opened(embedded_clickhouse, form) as api:
            await api.store_rows(written)
            # All that the later ones lack, the first lack as well, except for the companion.
            for path, query in asked if form in (newest, first) else asked[::8]:
                answer = await api.get(path, **query)
                assert answer.status == 200, (form, path, query, answer.body)
                told = without_measures(answer.json)
                assert told == expected.setdefault((path, *query.items()), told), (form, path, query)


async def test_a_column_that_is_added_later_counts_within_seconds(embedded_clickhouse: ClickHouse) -> None:
    now = 0.0
    async with opened(embedded_clickhouse, first) as api:
        tables = OlderTables("otel_traces", lambda: now)
        sql = "SELECT DISTINCT Workspace FROM otel_traces"
        await api.store_rows([{name: row[name] for name in ("TraceId", "Timestamp")} for row in rows_of(one_span_request())])
        with pytest.raises(ClickHouseError) as failure:
            await api.client.query(sql)
        read = await tables.completed_after(failure.value, api.client, sql)
        assert (await api.client.query(read)).columns["Workspace"] == ["default"]
        assert tables.completed(sql) == read
        now = 5.0
        assert tables.completed(sql) == sql


async def test_tables_without_which_there_is_no_answer_are_told_with_the_remedy(embedded_clickhouse: ClickHouse) -> None:
    async with opened(embedded_clickhouse, first) as api:
        answer = await api.get("/api/v1/tags", start=str(START), end=str(END))
        assert (answer.status, "spanhouse schema apply" in answer.json["detail"]) == (503, True)
