"""What is made of many spans, against plain Python and NumPy over rows of real traces, some of them sampled, some sent twice."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from collector.query.many import reach
from collector.sketch import RELATIVE_ERROR
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.contract.test_query_api_traces import Api, Running, check_against_openapi
from tests.support.rows import Row, insert_statement, json_lines, rows_of
from tests.support.search_oracle import attributes, traces_of
from tests.support.traces import all_traces, needs_real_traces

WEIGHTS = {"": 1.0, "ot=th:8": 2.0, "ot=th:c": 4.0, "ot=th:55555555555555": 1.5}
"""Trace state → how many spans one with it stands for."""


@dataclass(frozen=True)
class Stored:
    """What a database has.

    Attributes:
        rows: of all spans, each once.
        range: parameters of the time range around them.
    """

    database: str
    rows: Sequence[Row]
    range: dict[str, str]


@pytest.fixture(scope="module")
def stored(clickhouse: Any) -> Iterator[Stored]:
    # Those of many systems, and quick to store.
    files = [file for file in all_traces() if len(file.body) < 100_000]
    every = (row for file in files for row in rows_of(file.message))
    rows = [row for trace in traces_of(every) for row in trace.rows]
    states = list(WEIGHTS)
    for row in rows:
        row["TraceState"] = states[int(row["TraceId"][-4:], 16) % 7 % len(states)]
    database = f"many_{uuid.uuid4().hex}"

    async def store() -> None:
        async with ClickHouseClient([clickhouse.url], database=database) as client:
            await apply(client, SchemaSettings(database=database))
            for sent in (rows, rows[::5]):
                await client.insert(insert_statement(sent), json_lines(sent))

    asyncio.run(store())
    times = [row["Timestamp"] for row in rows]
    yield Stored(database, rows, {"start": _seconds(min(times)), "end": _seconds(max(times) + 1)})
    clickhouse.execute(f"DROP DATABASE {database}")


@pytest.fixture
async def api(clickhouse: Any, stored: Stored) -> AsyncIterator[Api]:
    async with ClickHouseClient([clickhouse.url], database=stored.database) as client, Running(client) as api:
        yield api


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def weight_of(row: Row) -> float:
    return WEIGHTS[row["TraceState"]]


def text_of(row: Row, key: str) -> str:
    return attributes(row, "span or resource")[0].get(key, "")


def groups_of(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def percentile(rows: Sequence[Row], percent: float, weights: Callable[[Row], float] = weight_of) -> float:
    """The percentile of durations each of which is there as often as its weight says, by the definition for whole numbers."""
    ordered = sorted(rows, key=lambda row: row["Duration"])
    reached = np.cumsum([weights(row) for row in ordered])
    first = reached - np.array([weights(row) for row in ordered])
    ranks = np.column_stack([first, reached - 1]).ravel()
    return float(np.interp((reached[-1] - 1) * (percent / 100), ranks, np.repeat([row["Duration"] for row in ordered], 2)))


@needs_real_traces
async def test_latencies_by_several_keys_are_those_of_numpy(api: Api, stored: Stored) -> None:
    document = await api.json(
        "/api/v1/analysis/latencies", **stored.range, by=["service", "http.method"], percentile=["50", "99.9"], limit="1000"
    )
    expected = groups_of(stored.rows, lambda row: (row["ServiceName"], text_of(row, "http.method")))
    assert (document["method"], document["relativeError"], document["complete"]) == ("exact", 0, True)
    assert {tuple(group["key"]) for group in document["groups"]} == set(expected)
    assert len(expected) > 20
    for group in document["groups"]:
        rows = expected[tuple(group["key"])]
        weights = [weight_of(row) for row in rows]
        assert (group["spans"], group["count"]) == (len(rows), sum(weights))
        assert group["errors"] == sum(weight_of(row) for row in rows if row["StatusCode"] == "Error")
        durations = [row["Duration"] for row in rows]
        assert (int(group["minNanos"]), int(group["maxNanos"])) == (min(durations), max(durations))
        assert group["meanNanos"] == pytest.approx(np.average(durations, weights=weights))
        assert [each["nanos"] for each in group["percentiles"]] == pytest.approx([percentile(rows, each) for each in (50, 99.9)])
    counts = [group["count"] for group in document["groups"]]
    assert counts == sorted(counts, reverse=True)


async def test_unweighted_percentiles_are_those_of_numpy_to_the_last_digit(api: Api, stored: Stored) -> None:
    document = await api.json("/api/v1/analysis/latencies", **stored.range, by="service", weighted="false", sort="percentile")
    for group in document["groups"]:
        durations = [row["Duration"] for row in stored.rows if [row["ServiceName"]] == group["key"]]
        assert group["count"] == group["spans"] == len(durations)
        assert [each["nanos"] for each in group["percentiles"]] == [
            float(np.percentile(durations, each)) for each in (50, 95, 99)
        ]
    slowest = [group["percentiles"][-1]["nanos"] for group in document["groups"]]
    assert slowest == sorted(slowest, reverse=True)


async def test_latencies_of_services_are_weighted_unless_they_are_not_to_be(api: Api, stored: Stored) -> None:
    weighted = await api.json("/api/v1/latencies", **stored.range, limit="1000")
    plain = await api.json("/api/v1/latencies", **stored.range, limit="1000", weighted="false")
    expected = groups_of(stored.rows, lambda row: row["ServiceName"])
    assert [each["service"] for each in weighted["services"]] == sorted(expected)
    for found, unweighted in zip(weighted["services"], plain["services"], strict=True):
        rows = expected[found["service"]]
        assert found["count"] == sum(map(weight_of, rows))
        assert unweighted["count"] == len(rows)
        assert found["p95Nanos"] == pytest.approx(percentile(rows, 95))


async def test_more_spans_than_are_looked_at_one_by_one_are_told_from_sketches(
    api: Api, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "MOST_EXACT", 10)
    document = await api.json("/api/v1/analysis/latencies", **stored.range, by="kind", percentile=["0", "75", "100"])
    assert (document["method"], document["relativeError"]) == ("sketch", RELATIVE_ERROR)
    # Those that were sent twice count twice.
    sent = [*stored.rows, *stored.rows[::5]]
    expected = groups_of(sent, lambda row: row["SpanKind"].lower())
    assert {group["key"][0]: group["count"] for group in document["groups"]} == {
        kind: sum(map(weight_of, rows)) for kind, rows in expected.items()
    }
    for group in document["groups"]:
        rows = sorted(expected[group["key"][0]], key=lambda row: row["Duration"])
        reached = np.cumsum([weight_of(row) for row in rows])
        for each in group["percentiles"]:
            place = int(np.searchsorted(reached, each["percentile"] / 100 * reached[-1]))
            assert each["nanos"] == pytest.approx(rows[place]["Duration"], rel=RELATIVE_ERROR * 1.0001)
    for path in ("throughput", "heat-map", "errors"):
        assert (await api.json(f"/api/v1/analysis/{path}", **stored.range))["eachOnce"] is False


async def test_operations_are_ranked_by_time_and_errors(api: Api, stored: Stored) -> None:
    document = await api.json("/api/v1/analysis/operations", **stored.range, percentile="95", limit="5")
    operations = groups_of(stored.rows, lambda row: (row["ServiceName"], row["SpanName"], row["SpanKind"].lower()))
    assert document["operationCount"] == len(operations)

    def best(rank: Callable[[list[Row]], float]) -> list[float]:
        return sorted((rank(rows) for rows in operations.values() if rank(rows)), reverse=True)[:5]

    def errors(rows: list[Row]) -> float:
        return sum(weight_of(row) for row in rows if row["StatusCode"] == "Error")

    slowest = [group["percentiles"][0]["nanos"] for group in document["slowest"]]
    assert slowest == pytest.approx(best(lambda rows: percentile(rows, 95)))
    assert [group["errors"] for group in document["mostErrors"]] == best(errors)
    rates = [group["errorRate"] for group in document["highestErrorRate"]]
    assert rates == pytest.approx(best(lambda rows: errors(rows) / sum(map(weight_of, rows))))
    times = [group["totalNanos"] for group in document["mostTime"]]
    assert times == pytest.approx(best(lambda rows: sum(weight_of(row) * row["Duration"] for row in rows)))


async def test_throughput_counts_the_spans_of_each_step(api: Api, stored: Stored) -> None:
    step = 86_400 * 10**9
    document = await api.json("/api/v1/analysis/throughput", **stored.range, by="status", step="168h")
    step *= 7
    expected: Counter[tuple[str, int]] = Counter()
    for row in stored.rows:
        expected[row["StatusCode"].lower(), row["Timestamp"] // step] += weight_of(row)  # type: ignore[assignment]  # halves too
    found = {
        (series["key"][0], int(point["startUnixNano"]) // step): point
        for series in document["series"]
        for point in series["points"]
    }
    assert {key: point["count"] for key, point in found.items()} == dict(expected)
    for point in found.values():
        seconds = (int(point["endUnixNano"]) - int(point["startUnixNano"])) / 1e9
        assert point["perSecond"] == pytest.approx(point["count"] / seconds)
        assert seconds <= step / 1e9


@needs_real_traces
async def test_cells_of_a_heat_map_lead_to_their_traces(api: Api, stored: Stored) -> None:
    document = await api.json("/api/v1/analysis/heat-map", **stored.range, kind="server", minDuration="1ms", step="8760h")
    servers = [row for row in stored.rows if row["SpanKind"] == "Server" and row["Duration"] >= 10**6]
    assert sum(cell["spans"] for cell in document["cells"]) == len(servers) > 100
    assert sum(cell["count"] for cell in document["cells"]) == sum(map(weight_of, servers))
    for cell in document["cells"]:
        within = [
            row
            for row in servers
            if int(cell["startUnixNano"]) <= row["Timestamp"] < int(cell["endUnixNano"])
            and int(cell["minNanos"]) <= row["Duration"] <= int(cell["maxNanos"])
        ]
        assert len(within) == cell["spans"]
    for cell in document["cells"][:: len(document["cells"]) // 6]:
        assert await spans_behind(api, document, cell) == cell["spans"]


async def spans_behind(api: Api, document: Any, part: Any) -> int:
    """How many spans the search of a part of an answer finds."""
    body = {**document["search"], **part["search"], "limit": 1500}
    async with api.session.post(f"{api.url}/api/v1/traces", json=body) as response:
        found = await response.json()
        assert response.status == 200, found
    assert found["nextCursor"] is None
    return sum(hit["matchedSpanCount"] for hit in found["traces"])


@needs_real_traces
async def test_errors_are_broken_down_by_what_they_say(api: Api, stored: Stored) -> None:
    document = await api.json("/api/v1/analysis/errors", **stored.range, limit="100")
    failed = [row for row in stored.rows if row["StatusCode"] == "Error"]
    assert len(failed) > 20
    assert document["errors"] == sum(map(weight_of, failed))
    assert document["errorRate"] == pytest.approx(document["errors"] / sum(map(weight_of, stored.rows)))

    def http_status(row: Row) -> str:
        found = attributes(row, "span")[0]
        return found.get("http.response.status_code") or found.get("http.status_code", "")

    def exceptions(row: Row) -> set[str]:
        return {found["exception.type"] for found in attributes(row, "event") if found.get("exception.type")} or {""}

    oracles: dict[str, Callable[[Row], Iterable[tuple[str, ...]]]] = {
        "service": lambda row: [(row["ServiceName"],)],
        "operation": lambda row: [(row["ServiceName"], row["SpanName"])],
        "message": lambda row: [(row["StatusMessage"],)],
        "httpStatus": lambda row: [(http_status(row),)],
        "exception": lambda row: [(each,) for each in exceptions(row)],
    }
    assert set(document["by"]) == set(oracles)
    for aspect, causes_of in oracles.items():
        expected = groups_of([(row, cause) for row in failed for cause in causes_of(row)], lambda pair: pair[1])  # type: ignore[arg-type,index]  # pairs
        causes = document["by"][aspect]["causes"]
        assert {tuple(cause["key"]): cause["spans"] for cause in causes} == {key: len(rows) for key, rows in expected.items()}
        for cause in causes[:3]:
            assert await spans_behind(api, document, cause) == cause["spans"], cause["search"]


async def test_groups_lead_to_their_traces(api: Api, stored: Stored) -> None:
    document = await api.json(
        "/api/v1/analysis/latencies", **stored.range, by=["operation", "http.status_code"], q="duration > 1us", limit="6"
    )
    assert not document["complete"]
    assert "raise the limit" in document["incompleteBecause"]
    assert len(document["groups"]) == 6
    for group in document["groups"]:
        assert await spans_behind(api, document, group) == group["spans"], group["search"]


def values_of(row: Row) -> set[tuple[str, str, str]]:
    """All that differences are looked for in."""
    fields = {
        "service": row["ServiceName"],
        "name": row["SpanName"],
        "kind": row["SpanKind"].lower(),
        "status": row["StatusCode"].lower(),
        "status.message": row["StatusMessage"],
        "scope.name": row["ScopeName"],
    }
    return {
        *(("field", key, value) for key, value in fields.items()),
        *((level, key, value[:2001]) for level in ("span", "resource") for key, value in attributes(row, level)[0].items()),
    }


def likelihood_ratio(having: Sequence[float], sizes: Sequence[float]) -> float:
    """G² of a table of two rows, cell by cell."""
    result = 0.0
    for side in (0, 1):
        cells = [(having[side], sum(having)), (sizes[side] - having[side], sum(sizes) - sum(having))]
        for observed, in_all in cells:
            if observed > 1e-9:
                result += 2 * observed * math.log(observed * sum(sizes) / (in_all * sizes[side]))
    return result


def check_differences(document: Any, sides: tuple[list[Row], list[Row]]) -> None:
    """All that an answer about whole sides says, against the rows of the sides."""
    counted = [Counter(value for row in rows for value in values_of(row)) for rows in sides]
    totals = [sum(map(weight_of, rows)) for rows in sides]
    sizes = [total**2 / sum(weight_of(row) ** 2 for row in rows) for total, rows in zip(totals, sides, strict=True)]
    names = [each for each in counted[0] | counted[1] if counted[0][each] + counted[1][each] >= 5]
    assert document["comparedValues"] == len(names) > 300
    for name, total, rows in zip(("selection", "baseline"), totals, sides, strict=True):
        assert (document[name]["sampled"], document[name]["count"]) == (len(rows), total)
    weighed: list[defaultdict[tuple[str, str, str], float]] = [defaultdict(float), defaultdict(float)]
    for found, rows in zip(weighed, sides, strict=True):
        for row in rows:
            for each in values_of(row):
                found[each] += weight_of(row)
    expected = {}
    for each in names:
        shares = [found[each] / total for found, total in zip(weighed, totals, strict=True)]
        score = likelihood_ratio([share * size for share, size in zip(shares, sizes, strict=True)], sizes)
        if math.erfc(math.sqrt(max(score, 0) / 2)) * len(names) < 0.01:
            expected[each] = (shares, score)
    told = {(each["level"], each["key"], value["value"]): value for each in document["differences"] for value in each["values"]}
    assert set(told) == set(expected)
    for name, value in told.items():
        shares, score = expected[name]
        assert [value["selection"]["share"], value["baseline"]["share"]] == pytest.approx(shares)
        assert [value["selection"]["spans"], value["baseline"]["spans"]] == [found[name] for found in counted]
        assert value["gSquared"] == pytest.approx(score)
    scores = [max(value["gSquared"] for value in each["values"]) for each in document["differences"]]
    assert scores == sorted(scores, reverse=True)


@needs_real_traces
async def test_differences_of_some_spans_from_the_rest_are_those_that_plain_python_finds(api: Api, stored: Stored) -> None:
    asked: dict[str, Any] = {**stored.range, "sample": "100000", "limit": "200", "values": "100"}
    document = await api.json("/api/v1/analysis/differences", **asked, selection="duration >= 20ms", kind="server")
    servers = [row for row in stored.rows if row["SpanKind"] == "Server"]
    slow = [row for row in servers if row["Duration"] >= 20 * 10**6]
    check_differences(document, (slow, [row for row in servers if row["Duration"] < 20 * 10**6]))
    parts = [value for each in document["differences"][:3] for value in each["values"][:1]]
    for part in parts:
        assert await spans_behind(api, document, part) == part["selection"]["spans"], part
    sampled = await api.json("/api/v1/analysis/differences", **stored.range, selection="duration >= 20ms", sample="100")
    assert 50 < sampled["baseline"]["sampled"] < 200 < sampled["baseline"]["spans"]


@needs_real_traces
async def test_differences_of_two_time_ranges_are_those_that_plain_python_finds(api: Api, stored: Stored) -> None:
    times = sorted(row["Timestamp"] for row in stored.rows)
    first, last = times[len(times) // 4], times[len(times) * 3 // 4]
    document = await api.json(
        "/api/v1/analysis/differences",
        start=_seconds(last),
        end=stored.range["end"],
        baselineStart=stored.range["start"],
        baselineEnd=_seconds(first),
        sample="100000",
        limit="200",
        values="100",
    )
    check_differences(
        document,
        ([row for row in stored.rows if row["Timestamp"] >= last], [row for row in stored.rows if row["Timestamp"] < first]),
    )
    versions = await api.json(
        "/api/v1/analysis/differences", **stored.range, selection="kind = server", baseline="kind = client and service != nil"
    )
    assert versions["baseline"]["sampled"] == sum(row["SpanKind"] == "Client" and row["ServiceName"] != "" for row in stored.rows)


@needs_real_traces
async def test_critical_paths_of_many_traces_add_up_those_of_each(api: Api, stored: Stored) -> None:
    asked: dict[str, Any] = {**stored.range, "q": "trace.spans > 20", "minTraceDuration": "1ms", "limit": "1000"}
    found = (await api.json("/api/v1/traces", **asked))["traces"]
    assert len(found) > 10
    traces = []
    for hit in found:
        path = (await api.get(f"/api/v1/traces/{hit['traceId']}/critical-path")).json
        spans = (await api.get(f"/api/v1/traces/{hit['traceId']}", fields="skeleton", limit="10000")).json["spans"]
        root = next((root for root in path["roots"] if not root["missingParent"]), path["roots"][0])
        times: Counter[tuple[str, str]] = Counter()
        for segment in root["segments"]:
            span = spans[segment["index"]]
            times[span["service"], span["name"]] += int(segment["endUnixNano"]) - int(segment["startUnixNano"])
        weight = WEIGHTS[next(row["TraceState"] for row in stored.rows if row["TraceId"] == hit["traceId"])]
        traces.append((int(root["durationNanos"]), hit["traceId"], weight, times))
    traces.sort()
    middles = np.cumsum([weight for *_, weight, _ in traces]) - np.array([weight for *_, weight, _ in traces]) / 2
    total = sum(weight for *_, weight, _ in traces)
    document = await api.json("/api/v1/analysis/critical-path", **asked, band=["0-50", "50-90", "90-100"])
    assert (document["total"], document["sampledTraces"], document["complete"]) == (len(traces), len(traces), True)
    assert len(document["bands"]) == 3
    for band in document["bands"]:
        within = [
            trace
            for trace, middle in zip(traces, middles, strict=True)
            if band["low"] / 100 * total <= middle < band["high"] / 100 * total
        ]
        assert (band["traces"], band["count"]) == (len(within), sum(weight for *_, weight, _ in within))
        time = sum(weight * duration for duration, _, weight, _ in within)
        expected = {
            key: sum(weight * times[key] for *_, weight, times in within) / time
            for key in set().union(*(each[3] for each in within))
        }
        told = {(each["path"][0]["service"], each["path"][0]["operation"]): each for each in band["contributions"]}
        assert {key: each["share"] for key, each in told.items()} == pytest.approx(expected)
        assert sum(each["share"] for each in told.values()) == pytest.approx(1)
        for key, each in told.items():
            longest = max(times[key] for *_, times in within)
            assert int(each["exemplars"][0]["nanos"]) == longest
            having = sum(weight for *_, weight, times in within if times[key])
            assert each["frequency"] == pytest.approx(having / band["count"])
    sampled = await api.json("/api/v1/analysis/critical-path", **asked, sample="5", by="service")
    assert (sampled["sampledTraces"], sampled["total"], sampled["complete"]) == (5, len(traces), False)
    assert f"Of {len(traces)} traces a sample of 5" in sampled["incompleteBecause"]


async def test_a_search_says_how_many_traces_those_that_are_found_stand_for(api: Api, stored: Stored) -> None:
    weights: dict[str, float] = {}
    for row in stored.rows:
        if row["SpanKind"] == "Client":
            weights[row["TraceId"]] = weight_of(row)
    for more in ({}, {"sort": "duration"}):
        first = await api.json("/api/v1/traces", **stored.range, kind="client", weighted="true", limit="5", **more)
        assert (first["total"], first["weightedTotal"]) == (len(weights), sum(weights.values()))
        second = await api.json(
            "/api/v1/traces", **stored.range, kind="client", weighted="true", limit="5", cursor=first["nextCursor"], **more
        )
        assert second["weightedTotal"] == first["weightedTotal"]
    assert (await api.json("/api/v1/traces", **stored.range))["weightedTotal"] is None


@needs_real_traces
async def test_names_that_were_not_there_before_are_new(api: Api, stored: Stored) -> None:
    times = sorted(row["Timestamp"] for row in stored.rows)
    since = times[len(times) // 2]
    whole = {"start": _seconds(since), "end": stored.range["end"], "lookback": "9600h", "limit": "1000"}
    document = await api.json("/api/v1/analysis/new", **whole, weighted="false")
    assert int(document["beforeUnixNano"]) == since - 9600 * 3600 * 10**9

    def seen(within: range, key: Callable[[Row], Any]) -> set[Any]:
        return {key(row) for row in stored.rows if row["Timestamp"] in within}

    ranges = range(since, times[-1] + 1), range(int(document["beforeUnixNano"]), since)
    for part, names, key in (
        ("services", ("service",), lambda row: (row["ServiceName"],)),
        ("operations", ("service", "operation"), lambda row: (row["ServiceName"], row["SpanName"])),
    ):
        new = seen(ranges[0], key) - seen(ranges[1], key)
        assert {tuple(each[name] for name in names) for each in document[part]} == new
        assert 0 < len(new) < len(seen(ranges[0], key))
    for each in document["operations"]:
        first = min(
            row["Timestamp"]
            for row in stored.rows
            if row["Timestamp"] >= since and (row["ServiceName"], row["SpanName"]) == (each["service"], each["operation"])
        )
        assert int(each["firstUnixNano"]) == first
    each = document["operations"][0]
    # The table of rates knows more than the spans.
    hour = since // (3600 * 10**9) * 3600 - 3600
    await api.client.command(
        "INSERT INTO otel_red_hour (Workspace, ServiceName, SpanName, Hour) VALUES"
        " ('default', {service:String}, {operation:String}, fromUnixTimestamp({hour:UInt32}))",
        {"service": each["service"], "operation": each["operation"], "hour": hour},
    )
    again = await api.json("/api/v1/analysis/new", **whole, weighted="false")
    assert [other["operation"] for other in again["operations"]] == [
        other["operation"] for other in document["operations"] if other is not each
    ]
    filtered = await api.json("/api/v1/analysis/new", **whole, kind="client")
    assert filtered["operationCount"] < again["operationCount"]


async def test_another_workspace_has_nothing_of_it(api: Api, stored: Stored) -> None:
    asked: dict[str, Any] = {**stored.range, "q": "service != nil"}
    nothing: dict[str, Callable[[Any], Any]] = {
        "latencies": lambda found: found["groups"],
        "operations": lambda found: found["slowest"] + found["mostTime"],
        "throughput": lambda found: found["series"],
        "heat-map": lambda found: found["cells"],
        "errors": lambda found: found["spans"] or found["by"]["service"]["causes"],
        "critical-path": lambda found: found["bands"] or found["total"],
        "new": lambda found: found["services"] + found["operations"],
        "differences": lambda found: found["selection"]["spans"] + found["baseline"]["spans"] or found["differences"],
    }
    for path, told in nothing.items():
        body = {**asked, **({"selection": "kind = server"} if path == "differences" else {})}
        for workspace, is_empty in (("default", False), ("other", True)):
            headers = {"X-Workspace-Id": workspace}
            async with api.session.post(f"{api.url}/api/v1/analysis/{path}", json=body, headers=headers) as response:
                document = await response.json()
                assert response.status == 200, document
            check_against_openapi(f"/api/v1/analysis/{path}", document)
            assert (not told(document)) is is_empty, (path, workspace)


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("latencies", {"by": "duration"}, "by"),
    ("latencies", {"by": list("abcdef")}, "by"),
    ("latencies", {"percentile": "101"}, "percentile"),
    ("latencies", {"percentile": [str(each) for each in range(11)]}, "percentile"),
    ("latencies", {"q": "trace.duration > 2s"}, "q"),
    ("latencies", {"sort": "beauty"}, "sort"),
    ("latencies", {"weighted": "somewhat"}, "weighted"),
    ("latencies", {"minTraceDuration": "1s"}, "minTraceDuration"),
    ("throughput", {"step": "0s"}, "step"),
    ("heat-map", {"step": "1ms"}, "step"),
    ("heat-map", {"perDoubling": "9"}, "perDoubling"),
    ("errors", {"status": "ok"}, "status"),
    ("operations", {"limit": "0"}, "limit"),
    ("critical-path", {"band": "50-20"}, "band"),
    ("critical-path", {"band": "0-101"}, "band"),
    ("critical-path", {"by": "host"}, "by"),
    ("critical-path", {"sample": "5001"}, "sample"),
    ("differences", {}, "selection"),
    ("differences", {"selection": "trace.spans > 2"}, "selection"),
    ("differences", {"baseline": "a ="}, "baseline"),
    ("differences", {"baselineStart": "1772370000"}, "baselineEnd"),
    ("differences", {"baselineStart": "1772370000", "baselineEnd": "1772360000"}, "baselineStart"),
    ("differences", {"selection": "a = 1", "sample": "99"}, "sample"),
    ("new", {"lookback": "0s"}, "lookback"),
    ("new", {"since": "2026-03-01T12:00:00Z"}, "since"),
)


async def test_what_cannot_be_asked_is_named(api: Api) -> None:
    for path, query, parameter in WRONG:
        answer = await api.get(f"/api/v1/analysis/{path}", **query)
        assert (answer.status, answer.json["parameter"]) == (400, parameter), (path, query)
        assert answer.json["value"] in (query.get(parameter, ""), query.get(parameter, " ")[-1])
