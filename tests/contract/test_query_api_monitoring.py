"""Dashboards, latencies and topologies from the tables of derived rows: what NumPy and SQL find in the spans themselves.

The spans are those of all real traces, spread over a day and some hours, once as they are and once sampled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from collector.processors.probabilistic_sampler import Sampler
from collector.query.dashboard import Compared
from collector.query.health import health_of
from collector.query.requests import Requests
from collector.query.rollups import HOUR, MINUTE
from collector.sketch import RELATIVE_ERROR
from config.sampling import ProbabilisticSampler
from proto.join import concatenate
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.clickhouse import ClickHouse
from tests.support.monitoring import Api, Database, Spans, database_of, spread
from tests.support.requests import EPOCH
from tests.support.traces import all_traces

START = EPOCH // HOUR * HOUR
END = START + 28 * HOUR
RANGE = {"start": str(START + 3 * HOUR + 7 * MINUTE), "end": str(START + 6 * HOUR + 41 * MINUTE)}
"""From no hour to none, so that tables of all steps take part."""
LONG = {"start": str(START + 14 * HOUR), "end": str(END)}
WORKSPACES = ("whole", "sampled")
THRESHOLD = 20 * 10**6


def batches_of(workspace: str) -> list[SpanBatch]:
    traces = [spread(decode(trace.body, workspace).batch, START, END) for trace in all_traces()]
    if workspace == "sampled":
        sampler = Sampler(ProbabilisticSampler(mode="equalizing", sampling_percentage=25))
        traces = [sampler.process(batch).batch for batch in traces]
    filled = [batch for batch in traces if len(batch)]
    return [concatenate(filled[0::2]), concatenate(filled[1::2])]


@pytest.fixture(scope="module")
def database(embedded_clickhouse: ClickHouse) -> Iterator[Database]:
    batches = [batch for workspace in WORKSPACES for batch in batches_of(workspace)]
    with database_of(embedded_clickhouse, batches, now=END) as database:
        yield database


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with database.serving() as api:
        yield api


def close(value: float) -> Any:
    """About a duration that was read from a sketch."""
    return pytest.approx(value, rel=1.001 * RELATIVE_ERROR)


def assert_is(found: Any, spans: Spans, seconds: float) -> None:
    """That requests are those spans."""
    if not len(spans):
        assert found is None
        return
    assert found["count"] == pytest.approx(spans.count)
    assert found["failed"] == pytest.approx(spans.failed)
    assert found["succeeded"] == pytest.approx(spans.count - spans.failed)
    assert found["errorRate"] == pytest.approx(spans.failed / spans.count)
    assert found["perSecond"] == pytest.approx(spans.count / seconds)
    assert found["totalNanos"] == pytest.approx(spans.duration)
    assert found["meanNanos"] == pytest.approx(spans.duration / spans.count)
    assert int(found["minNanos"]) == spans.columns["Duration"].min()
    assert int(found["maxNanos"]) == spans.columns["Duration"].max()
    for percent in (50, 95, 99):
        assert found[f"p{percent}Nanos"] == close(spans.percentile(percent))
    # Whoever is nearer to the threshold than the error of the sketch may be on either side.
    low, high = (
        (spans.within(THRESHOLD * factor) + spans.within(4 * THRESHOLD * factor)) / 2 / spans.count
        for factor in (1 - 1.01 * RELATIVE_ERROR, 1 + 1.01 * RELATIVE_ERROR)
    )
    assert low - 1e-9 <= found["apdex"] <= high + 1e-9


@pytest.mark.parametrize(("workspace", "asked"), [("whole", RANGE), ("sampled", LONG)], ids=["whole", "sampled"])
async def test_the_dashboard_has_what_numpy_finds(api: Api, workspace: str, asked: dict[str, str]) -> None:
    document = await api.document(
        f"/api/v1/workspaces/{workspace}/dashboard", "Dashboard", **asked, apdexThreshold="20ms", limit="100"
    )
    start, end, before = (int(document[name]) for name in ("startUnixNano", "endUnixNano", "previousStartUnixNano"))
    assert (start, end, before) == (int(asked["start"]), int(asked["end"]), 2 * start - end)
    seconds = (end - start) / 1e9
    spans = (await api.spans(workspace)).entries
    current, previous = spans.between(start, end), spans.between(before, start)
    assert len(current) > 50
    assert_is(document["requests"]["current"], current, seconds)
    assert_is(document["requests"]["previous"], previous, seconds)
    assert document["complete"]

    names = set(current.columns["ServiceName"]) | set(previous.columns["ServiceName"])
    assert {service["service"] for service in document["services"]} == names
    for service in document["services"]:
        for side, those in (("current", current), ("previous", previous)):
            assert_is(service[side], those.of(ServiceName=service["service"]), seconds)
        rate = service["current"] and service["current"]["errorRate"]
        assert (service["health"] == "idle") == (rate is None)
        assert (service["health"] == "failing") == (rate is not None and rate >= 0.05)
        assert bool(service["reasons"]) == (service["health"] != "healthy")

    keys = set(zip(current.columns["ServiceName"], current.columns["SpanName"], strict=True))
    for ranking, measure in (
        ("mostRequests", lambda those: those.count),
        ("mostTime", lambda those: those.duration),
        ("mostErrors", lambda those: those.failed),
    ):
        listed = document["operations"][ranking]
        by_measure = {key: measure(current.of(ServiceName=key[0], SpanName=key[1])) for key in keys}
        expected = sorted((value for value in by_measure.values() if value > 0), reverse=True)[:100]
        assert [by_measure[each["service"], each["operation"]] for each in listed] == pytest.approx(expected)
    slowest = document["operations"]["slowest"]
    tails = [each["current"]["p95Nanos"] for each in slowest]
    assert tails == sorted(tails, reverse=True)
    for each in slowest[:20]:
        assert_is(each["current"], current.of(ServiceName=each["service"], SpanName=each["operation"]), seconds)
        assert_is(each["previous"], previous.of(ServiceName=each["service"], SpanName=each["operation"]), seconds)


async def test_more_operations_than_are_compared_count_all_the_same(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = "/api/v1/workspaces/whole/dashboard", {**RANGE, "limit": "100"}
    everything = await api.document(path, "Dashboard", **asked)
    monkeypatch.setattr("collector.query.dashboard.MOST_OPERATIONS", 3)
    document = await api.document(path, "Dashboard", **asked)
    assert not document["complete"]
    assert document["requests"] == everything["requests"]
    listed, known = (found["operations"]["mostTime"] for found in (document, everything))
    assert 0 < len(listed) <= 7
    assert [each["current"] for each in listed] == [each["current"] for each in known[: len(listed)]]


@pytest.mark.parametrize(("workspace", "step"), [("whole", "7m"), ("sampled", "15m"), ("sampled", "2h")])
async def test_series_of_the_dashboard_have_what_numpy_finds(api: Api, workspace: str, step: str) -> None:
    document = await api.document(
        f"/api/v1/workspaces/{workspace}/dashboard/series", "DashboardSeries", **RANGE, apdexThreshold="20ms", step=step
    )
    length, start, end = (int(document[name]) for name in ("stepNanos", "startUnixNano", "endUnixNano"))
    assert start % length == end % length == 0
    assert start <= int(RANGE["start"]) < int(RANGE["end"]) <= end
    spans = (await api.spans(workspace)).entries
    points = {int(point["startUnixNano"]): point for point in document["points"]}
    assert points
    for time in range(start, end, length):
        sides = {"current": time, "previous": time - (end - start)}
        of_point = {side: spans.between(first, first + length) for side, first in sides.items()}
        if time not in points:
            assert not any(map(len, of_point.values()))
            continue
        for side, those in of_point.items():
            assert_is(points[time][side], those, length / 1e9)


@pytest.mark.parametrize("workspace", WORKSPACES)
async def test_latencies_have_what_numpy_finds(api: Api, workspace: str) -> None:
    path = f"/api/v1/workspaces/{workspace}/latencies"
    asked = {**RANGE, "apdexThreshold": "20ms", "bounds": "1ms,20ms,1s"}
    bounds = np.array([1, 20, 1_000]) * 10**6
    document = await api.document(path, "SpanLatencies", **asked, limit="1000")
    start, end = int(document["startUnixNano"]), int(document["endUnixNano"])
    seconds = (end - start) / 1e9
    spans = (await api.spans(workspace)).between(start, end)
    assert [each["name"] for each in document["latencies"]] == sorted(set(spans.columns["ServiceName"]))
    for each in document["latencies"]:
        those = spans.of(ServiceName=each["name"])
        assert_is(each["spans"], those, seconds)
        cumulated = np.cumsum(each["histogram"])
        assert cumulated[-1] == pytest.approx(those.count)
        for factor, is_bounded in ((1 - 1.01 * RELATIVE_ERROR, np.greater_equal), (1 + 1.01 * RELATIVE_ERROR, np.less_equal)):
            up_to = [those.weights[those.columns["Duration"] <= bound * factor].sum() for bound in bounds]
            assert is_bounded(cumulated[:-1], np.array(up_to) - 1e-6 * (factor < 1) + 1e-6 * (factor > 1)).all()
    busiest = max(document["latencies"], key=lambda each: each["spans"]["count"])["name"]
    first = await api.document(path, "SpanLatencies", **asked, by="operation", service=busiest, kind="server", limit="1")
    of_kind = spans.of(ServiceName=busiest, SpanKind="Server")
    names = sorted(set(of_kind.columns["SpanName"]))
    for each in first["latencies"]:
        assert each["name"] == names[0]
        assert_is(each["spans"], of_kind.of(SpanName=each["name"]), seconds)
    assert (first["nextCursor"] is not None) == (len(names) > 1)


async def test_a_workspace_sees_its_own(api: Api) -> None:
    document = await api.document("/api/v1/workspaces/nobody/dashboard", "Dashboard", **RANGE)
    assert document["requests"] == {"current": None, "previous": None}
    assert document["services"] == document["operations"]["mostRequests"] == []
    found = await api.document("/api/v1/workspaces/nobody/topology", "Topology", **RANGE)
    assert found["nodes"] == []


async def test_one_service_and_whole_minutes(api: Api) -> None:
    everything = await api.document("/api/v1/workspaces/whole/dashboard", "Dashboard", **RANGE)
    service = everything["services"][0]
    query = {"start": str(int(RANGE["start"]) + 1), "end": str(int(RANGE["end"]) - 1), "service": service["service"]}
    document = await api.document("/api/v1/workspaces/whole/dashboard", "Dashboard", **query)
    assert (document["startUnixNano"], document["endUnixNano"]) == (RANGE["start"], RANGE["end"])
    assert document["services"] == [service]
    assert document["requests"] == {"current": service["current"], "previous": service["previous"]}


async def test_the_topology_of_hours_and_minutes_has_all_calls(api: Api) -> None:
    path = "/api/v1/workspaces/whole/topology"
    for asked in (RANGE, LONG, {"start": str(START), "end": str(END)}):
        document = await api.document(path, "Topology", **asked, limit="10000")
        start, end = (int(asked[name]) // 10**9 for name in ("start", "end"))
        expected = await api.rows(
            "SELECT Client, Server, ConnectionType, sum(Calls) AS Called, sum(FailedCalls) AS Failed FROM otel_topology_minute"
            f" WHERE Workspace = 'whole' AND Minute >= toDateTime({start}) AND Minute < toDateTime({end}) GROUP BY ALL"
        )
        known = {(row["Client"], row["Server"], row["ConnectionType"]): (row["Called"], row["Failed"]) for row in expected}
        found = {
            (edge["client"]["name"], edge["server"]["name"], edge["connectionType"]): (edge["calls"], edge["failedCalls"])
            for edge in document["edges"]
        }
        for key, numbers in known.items():
            # What came apart is counted besides.
            assert found[key][0] >= numbers[0]
    assert len(found) > 5


async def test_what_cannot_be_asked_is_named(api: Api) -> None:
    cases: list[tuple[str, dict[str, str], str, str]] = [
        ("dashboard", {"apdexThreshold": "0s"}, "apdexThreshold", "must be above 0"),
        ("dashboard", {"apdexThreshold": "quick"}, "apdexThreshold", "quick"),
        ("dashboard", {"limit": "101"}, "limit", "from 1 to 100"),
        ("dashboard", {"start": "5", "end": "4"}, "start", "before end"),
        ("dashboard", {"services": "a"}, "services", "did you mean service?"),
        ("dashboard", {"colour": "red"}, "colour", "the parameters here are: "),
        ("dashboard/series", {"step": "30s"}, "step", "whole minutes"),
        ("dashboard/series", {**LONG, "step": "1m", "end": str(END + 99 * HOUR)}, "step", "at most 1500 points"),
        ("latencies", {"by": "operation"}, "by", "needs the parameter service"),
        ("latencies", {"bounds": "1s,1ms"}, "bounds", "rise"),
        ("latencies", {"bounds": "1"}, "bounds", "1"),
        ("latencies", {"cursor": "?"}, "cursor", "not a cursor"),
        ("topology", {"direction": "sideways"}, "direction", "must be one of both, upstream, downstream"),
        ("topology", {"format": "png"}, "format", "must be one of json, dot, mermaid"),
        ("topology/difference", {"otherStart": "9", "otherEnd": "8"}, "otherStart", "before otherEnd"),
        ("topology/difference", {"otherEnd": "soon"}, "otherEnd", "must be a time"),
    ]
    for path, query, parameter, words in cases:
        status, problem = await api.ask(f"/api/v1/workspaces/whole/{path}", **query)
        assert (status, problem["parameter"]) == (400, parameter)
        assert words in problem["detail"]


def test_health_is_a_rule_that_says_its_reasons() -> None:
    def requests(failed: float = 0, tail: float = 1e6, satisfied: float = 100, count: float = 100) -> Requests:
        return Requests(count, failed, 1e8, 1, 10**9, (1e6, tail, tail), satisfied, satisfied)

    for current, previous, state, reasons in (
        (requests(), None, "healthy", []),
        (requests(failed=1), None, "degraded", ["1.00% of the requests failed"]),
        (requests(failed=5), requests(), "failing", ["5.00% of the requests failed"]),
        (requests(satisfied=60), None, "degraded", ["Apdex is 0.60, below 0.7"]),
        (requests(tail=1.6e6), requests(), "degraded", ["the 95th percentile is 1.6 ms, where it was 1 ms"]),
        (requests(tail=1.6e6), requests(count=19), "healthy", []),
        (None, requests(), "idle", ["no requests, where there were some in the range before"]),
    ):
        health = health_of(Compared(current, previous))
        assert (health.state, list(health.reasons)) == (state, reasons)
