"""Rate, errors and durations over the API: what was counted as spans passed is what SQL finds in the table of the spans."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from collector.api import red
from collector.api.routing import QuerySettings
from collector.failure_marks import TYPE_ATTRIBUTE, marks
from collector.processors.probabilistic_sampler import Sampler
from collector.processors.red_metrics import RedMetrics
from collector.sketch import RELATIVE_ERROR
from config.red_metrics import RedMetricsProcessor
from config.sampling import ProbabilisticSampler
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.contract.test_query_api_traces import Api, Running
from tests.support.requests import EPOCH, Shape, generated_request
from tests.support.traces import all_traces

MINUTE = 60 * 10**9
START = EPOCH // (15 * MINUTE) * 15 * MINUTE
END = START + 60 * MINUTE
RANGE = {"start": str(START), "end": str(END)}


@dataclass
class Store:
    """The API over a database that nothing else writes to, and a writer that stores spans with what red_metrics makes of them."""

    api: Api
    client: ClickHouseClient
    writer: ClickHouseWriter

    async def store(self, batch: SpanBatch, **settings: Any) -> None:
        name = uuid.uuid4().hex
        inserts: list[Any] = [*await self.writer.prepare(batch, name)]
        for rows in RedMetrics(RedMetricsProcessor(**settings)).process(batch).derived:
            inserts += await self.writer.prepare_rows(rows, name)
        for insert in inserts:
            await insert.send(60.0)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in (await self.client.query(sql)).rows()]


@pytest.fixture
async def store(module_client: ClickHouseClient) -> AsyncIterator[Store]:
    schema = SchemaSettings(database=module_client.database)
    with ThreadPoolExecutor(1) as executor:
        writer = ClickHouseWriter(module_client, WriterSettings(schema), executor)
        await writer.open()
        async with Running(module_client, QuerySettings()) as api:
            yield Store(api, module_client, writer)


def spread(batch: SpanBatch, minutes: int, first: int = START) -> SpanBatch:
    """The batch with starts that are spread over so many minutes; durations stay."""
    spans = batch.spans.copy()
    durations = spans["end_time_unix_nano"] - spans["start_time_unix_nano"]
    spans["start_time_unix_nano"] = first + np.arange(len(batch), dtype=np.uint64) * np.uint64(minutes * MINUTE) // np.uint64(
        len(batch)
    )
    spans["end_time_unix_nano"] = spans["start_time_unix_nano"] + durations
    return replace(batch, spans=spans)


def generated(spans: int = 900, seed: int = 1, workspace: str = "default") -> SpanBatch:
    request = generated_request(Shape(spans=spans, services=4, errors_share=0.1), seed=seed)
    return spread(decode(request.SerializeToString(), workspace).batch, 60)


async def test_every_real_trace_is_counted_as_sql_counts_its_spans(store: Store) -> None:
    batches = [decode(trace.body).batch for trace in all_traces()]
    for joined in (concatenate(batches[0::2]), concatenate(batches[1::2])):
        await store.store(joined, max_series=100_000)
    key = "Workspace, ServiceName, SpanName, SpanKind, StatusCode"
    of_spans = await store.rows(
        f"SELECT {key}, toStartOfMinute(Timestamp) AS Time, sum(AdjustedCount) AS Count, min(Duration) AS Shortest,"
        f" max(Duration) AS Longest, round(sum(AdjustedCount * Duration) / sum(AdjustedCount)) AS Mean"
        f" FROM otel_traces GROUP BY {key}, Time ORDER BY {key}, Time"
    )
    measures = (
        "sum(Spans) AS Count, min(DurationMin) AS Shortest, max(DurationMax) AS Longest,"
        " round(sum(DurationSum) / sum(Spans)) AS Mean"
    )
    of_minutes = await store.rows(
        f"SELECT {key}, Minute AS Time, {measures} FROM otel_red_minute GROUP BY {key}, Time ORDER BY {key}, Time"
    )
    assert len(of_spans) > 50
    assert of_minutes == of_spans
    in_all = "sum(Count) AS Spans, min(Shortest) AS Least, max(Longest) AS Most"
    quarters = f"(SELECT {measures} FROM otel_red_quarter_hour)"
    assert await store.rows(f"SELECT Count, Shortest, Longest FROM {quarters}") == [
        {"Count": row["Spans"], "Shortest": row["Least"], "Longest": row["Most"]}
        for row in await store.rows(
            f"SELECT {in_all} FROM (SELECT AdjustedCount AS Count, Duration AS Shortest, Duration AS Longest FROM otel_traces)"
        )
    ]
    errors = "SELECT sumIf({count}, StatusCode = 'Error') AS Errors FROM {table}"
    assert await store.rows(errors.format(count="Spans", table="otel_red_minute")) == await store.rows(
        errors.format(count="AdjustedCount", table="otel_traces")
    )


@pytest.mark.parametrize("step", ["7m", "15m", "1h"])
@pytest.mark.parametrize(("by", "column"), [("service", "ServiceName"), ("operation", "SpanName")])
async def test_series_have_what_sql_finds_in_the_spans(store: Store, step: str, by: str, column: str) -> None:
    batch = generated()
    await store.store(batch)
    service = (await store.rows("SELECT min(ServiceName) AS Name FROM otel_traces"))[0]["Name"]
    chosen = {"service": service, "by": by} if by == "operation" else {}
    document = await store.api.json("/api/v1/red", **RANGE, step=step, limit="100", **chosen)
    seconds = int(document["stepNanos"]) // 10**9
    assert int(document["startUnixNano"]) % int(document["stepNanos"]) == 0
    found = {
        (series["name"], int(point["startUnixNano"]) // 10**9): point
        for series in document["series"]
        for point in series["points"]
    }
    condition = f"ServiceName = '{service}'" if chosen else "1"
    expected = await store.rows(
        f"SELECT {column} AS Name, intDiv(toUnixTimestamp(Timestamp), {seconds}) * {seconds} AS Step,"
        " sum(AdjustedCount) AS Spans, sumIf(AdjustedCount, StatusCode = 'Error') AS Errors,"
        " min(Duration) AS Shortest, max(Duration) AS Longest, sum(AdjustedCount * Duration) / sum(AdjustedCount) AS Mean,"
        " arraySort(groupArray(Duration)) AS Durations"
        f" FROM otel_traces WHERE {condition} GROUP BY Name, Step"
    )
    assert len(found) == len(expected) > 1
    for row in expected:
        point = found[row["Name"], row["Step"]]
        assert (point["spans"], point["errors"]) == (row["Spans"], row["Errors"])
        assert point["spansPerSecond"] == pytest.approx(row["Spans"] / seconds)
        assert point["errorRate"] == pytest.approx(row["Errors"] / row["Spans"])
        assert (int(point["minNanos"]), int(point["maxNanos"])) == (row["Shortest"], row["Longest"])
        assert point["meanNanos"] == pytest.approx(row["Mean"])
        for percent in (50, 95, 99):
            exact = row["Durations"][math.ceil(percent * len(row["Durations"]) / 100) - 1]
            assert point[f"p{percent}Nanos"] == pytest.approx(exact, rel=1.01 * RELATIVE_ERROR)
    for series in document["series"]:
        assert series["spans"] == pytest.approx(sum(point["spans"] for point in series["points"]))
        assert int(series["maxNanos"]) == max(int(point["maxNanos"]) for point in series["points"])


async def test_sampled_spans_count_for_those_that_were_dropped(store: Store) -> None:
    batch = concatenate([generated(3_000, seed) for seed in range(3)])
    sampled = Sampler(ProbabilisticSampler(mode="equalizing", sampling_percentage=25)).process(batch).batch
    await store.store(sampled)
    document = await store.api.json("/api/v1/red", **RANGE, step="1h")
    (row,) = await store.rows("SELECT sum(AdjustedCount) AS Weighed, count() AS Stored FROM otel_traces")
    counted = sum(series["spans"] for series in document["series"])
    assert counted == row["Weighed"] == 4 * row["Stored"]
    assert abs(counted - len(batch)) < 0.15 * len(batch)


async def test_names_come_in_pages_and_filters_choose(store: Store) -> None:
    await store.store(generated())
    whole = await store.api.json("/api/v1/red", **RANGE, step="1h")
    names, cursor = [], None
    while True:
        page = await store.api.json("/api/v1/red", **RANGE, step="1h", limit="2", **({"cursor": cursor} if cursor else {}))
        names += [series["name"] for series in page["series"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert names == [series["name"] for series in whole["series"]] == sorted(names)
    (row,) = await store.rows(
        "SELECT count() AS Spans, any(ServiceName) AS Service, any(SpanName) AS Operation FROM otel_traces"
        " WHERE SpanKind = 'Server' AND (ServiceName, SpanName) ="
        " (SELECT ServiceName, SpanName FROM otel_traces WHERE SpanKind = 'Server' ORDER BY ServiceName, SpanName LIMIT 1)"
    )
    chosen = {"service": row["Service"], "operation": row["Operation"], "kind": "server"}
    (series,) = (await store.api.json("/api/v1/red", **RANGE, step="1h", **chosen))["series"]
    assert (series["name"], series["spans"]) == (row["Service"], row["Spans"])


async def test_another_workspace_is_not_seen(store: Store) -> None:
    await store.store(generated(workspace="other"))
    document = await store.api.json("/api/v1/red", **RANGE)
    assert document["series"] == []
    assert document["nextCursor"] is None


async def test_a_range_is_widened_to_whole_steps_and_has_a_usual_one(store: Store) -> None:
    document = await store.api.json("/api/v1/red", start=str(START + 1), end=str(START + 2 * 3600 * 10**9 - 1))
    assert (document["startUnixNano"], document["endUnixNano"]) == (str(START), str(START + 2 * 3600 * 10**9))
    assert document["stepNanos"] == str(MINUTE)
    document = await store.api.json("/api/v1/red", start=str(START), end=str(START + 7 * 86_400 * 10**9))
    assert document["stepNanos"] == str(6 * 60 * MINUTE)
    document = await store.api.json("/api/v1/red", start="2200-01-01T00:00:00Z", end="2250-01-01T00:00:00Z", step="876000m")
    assert document["series"] == []


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ({"step": "90s"}, "step", "whole minutes"),
        ({"step": "0"}, "step", "whole minutes"),
        (
            {"step": "1m", "start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"},
            "step",
            f"at most {red.MOST_POINTS} points",
        ),
        ({"by": "operation"}, "by", "needs the parameter service"),
        ({"by": "kind"}, "by", "must be one of service, operation"),
    ],
)
async def test_what_cannot_be_asked_is_named(store: Store, query: dict[str, str], parameter: str, words: str) -> None:
    answer = await store.api.get("/api/v1/red", **query)
    assert answer.status == 400
    assert answer.json["parameter"] == parameter
    assert words in answer.json["detail"]


@pytest.mark.parametrize("path", ["red", "workspaces/default/latencies", "workspaces/default/dashboard"])
async def test_spans_that_failed_on_purpose_are_told_apart_from_others(store: Store, path: str) -> None:
    request = generated_request(Shape(spans=300, services=2, errors_share=0.1), seed=3)
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    for span in spans[::3]:
        for key, value in marks(str(uuid.UUID(int=1)), "error").items():
            span.attributes.add(key=key).value.string_value = value
    await store.store(spread(decode(request.SerializeToString()).batch, 60), dimensions=[{"name": TYPE_ATTRIBUTE}])
    kinds = "IN ('Server', 'Consumer')" if path.endswith("dashboard") else "!= ''"
    for injected in ("true", "false"):
        answer = await store.api.get(f"/api/v1/{path}", **RANGE, injected=injected)
        assert answer.status == 200, answer.body
        counts = {
            "red": lambda found: {each["name"]: each["spans"] for each in found["series"]},
            "workspaces/default/latencies": lambda found: {each["name"]: each["spans"]["count"] for each in found["latencies"]},
            "workspaces/default/dashboard": lambda found: {
                each["service"]: each["current"]["count"] for each in found["services"]
            },
        }[path](answer.json)
        expected = await store.rows(
            f"SELECT ServiceName, sum(AdjustedCount) AS Count FROM otel_traces WHERE SpanKind {kinds}"
            f" AND mapContains(SpanAttributes, '{TYPE_ATTRIBUTE}') = {injected} GROUP BY ServiceName"
        )
        assert len(expected) == 2
        assert counts == {row["ServiceName"]: row["Count"] for row in expected}
