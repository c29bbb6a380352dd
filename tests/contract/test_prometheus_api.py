"""Prometheus' API over the tables of derived rows: what PromQL says of counters, held against NumPy over the spans themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from collector.processors.probabilistic_sampler import Sampler
from collector.query.promql.families import METRICS
from collector.query.promql.needs import ENDS_AFTER, MERGED
from collector.query.rollups import HOUR, MINUTE
from collector.sketch import RELATIVE_ERROR
from config.sampling import ProbabilisticSampler
from proto.otlp_decode import decode
from tests.support.clickhouse import ClickHouse
from tests.support.monitoring import Api, Database, Spans, database_of, spread
from tests.support.requests import EPOCH, Shape, generated_request
from tests.support.scenes import scene

SECOND = 10**9
DAY = 24 * HOUR
START = EPOCH // DAY * DAY + 10 * HOUR
END = START + 2 * HOUR
CALLS = "traces_span_metrics_calls_total"
BUCKETS = "traces_spanmetrics_latency_bucket"
SHOP = """
    web SERVER a 20ms
    web CLIENT b <a 10ms
    cart SERVER c <b 8ms!
    cart CLIENT d <c 2ms db.system=postgresql db.name=carts
"""


@pytest.fixture(scope="module")
def database(embedded_clickhouse: ClickHouse) -> Iterator[Database]:
    request = generated_request(Shape(spans=6_000, services=4, errors_share=0.1), seed=5)
    batch = decode(request.SerializeToString()).batch
    # Of all services at all times.
    batch = spread(batch.select(np.random.default_rng(1).permutation(len(batch))), START, END)
    sampled = Sampler(ProbabilisticSampler(mode="equalizing", sampling_percentage=50)).process(batch).batch
    calls = [decode(scene(SHOP, trace=n + 1, start=START + n * MINUTE).SerializeToString()).batch for n in range(5)]
    secret = decode(scene(SHOP.replace("cart", "vault"), start=START).SerializeToString(), "other").batch
    with database_of(embedded_clickhouse, [sampled, *calls, secret], now=END) as database:
        yield database


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with database.serving() as api:
        yield api


@pytest.fixture
async def spans(api: Api) -> Spans:
    return await api.spans()


async def ask(api: Api, path: str, *, method: str = "GET", **query: str) -> tuple[int, Any]:
    parameters = {"match[]" if name == "match" else name: value for name, value in query.items()}
    return await api.ask(f"/prometheus/api/v1{path}", method=method, **parameters)


async def instant(api: Api, query: str, time: int = END, **more: str) -> list[tuple[dict[str, str], float]]:
    status, document = await ask(api, "/query", query=query, time=str(time / SECOND), **more)
    assert (status, document["status"]) == (200, "success"), document
    assert document["data"]["resultType"] == "vector"
    return [(each["metric"], float(each["value"][1])) for each in document["data"]["result"]]


async def number(api: Api, query: str, time: int = END) -> float:
    ((labels, value),) = await instant(api, query, time)
    assert labels == {}
    return value


async def ranged(api: Api, query: str, start: int, end: int, step: str) -> dict[tuple[tuple[str, str], ...], dict[int, float]]:
    asked = {"query": query, "start": str(start / SECOND), "end": str(end / SECOND), "step": step}
    status, document = await ask(api, "/query_range", method="POST", **asked)
    assert status == 200, document
    assert document["data"]["resultType"] == "matrix"
    return {
        tuple(sorted(each["metric"].items())): {round(time * SECOND): float(value) for time, value in each["values"]}
        for each in document["data"]["result"]
    }


async def test_rates_and_increases_are_those_of_the_spans(api: Api, spans: Spans) -> None:
    assert spans.weights.max() == 2
    end = START + 90 * MINUTE
    window = spans.between(end - 5 * MINUTE, end)
    assert await number(api, f"sum(increase({CALLS}[5m]))", end) == pytest.approx(window.count)
    assert await number(api, f"sum(rate({CALLS}[5m]))", end) == pytest.approx(window.count / 300)
    assert await number(api, f"sum(rate({CALLS}[5m] offset 10m))", end + 10 * MINUTE) == pytest.approx(window.count / 300)
    failed = 'sum(increase(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[5m]))'
    assert await number(api, failed, end) == pytest.approx(window.failed)
    by_service = {
        labels["service_name"]: value
        for labels, value in await instant(api, f"sum by (service_name) (increase({CALLS}[5m]))", end)
    }
    assert by_service == pytest.approx(
        {name: window.of(ServiceName=name).count for name in set(window.columns["ServiceName"])}
        | dict.fromkeys(set(by_service) - set(window.columns["ServiceName"]), 0.0)
    )
    # Every series, and the same once more by what is left of the labels.
    every = await instant(api, f'increase({CALLS}{{span_kind=~"SPAN_KIND_(SERVER|CLIENT)"}}[5m])', end)
    assert all(set(labels) == {"service_name", "span_name", "span_kind", "status_code"} for labels, _ in every)
    kinds = window.where(np.isin(window.columns["SpanKind"], ("Server", "Client")))
    assert sum(value for _, value in every) == pytest.approx(kinds.count)
    without = await instant(api, f"sum without (span_name, status_code, service_name) (increase({CALLS}[5m]))", end)
    assert {labels["span_kind"]: value for labels, value in without} == pytest.approx(
        {f"SPAN_KIND_{kind.upper()}": window.of(SpanKind=kind).count for kind in ("Server", "Client")}
    )
    duration = "traces_span_metrics_duration_milliseconds"
    mean = f"sum(rate({duration}_sum[5m])) / sum(rate({duration}_count[5m]))"
    assert await number(api, mean, end) == pytest.approx(window.duration / window.count / 1e6)


async def test_within_a_minute_counters_grow_evenly(api: Api, spans: Spans) -> None:
    minute = START + 30 * MINUTE
    whole = spans.between(minute, minute + MINUTE).count
    before = spans.between(minute - MINUTE, minute).count
    found = await number(api, f"sum(increase({CALLS}[1m]))", minute + 15 * SECOND)
    assert found == pytest.approx(whole / 4 + before * 3 / 4)


async def test_series_over_time_are_those_of_the_spans(api: Api, spans: Spans) -> None:
    first, last = START + 20 * MINUTE, START + 80 * MINUTE
    found = await ranged(api, f"sum by (service_name) (increase({CALLS}[2m]))", first, last, "60")
    assert {labels[0][1] for labels in found} == set(spans.columns["ServiceName"]) - {"nobody"}
    for labels, points in found.items():
        of_service = spans.of(ServiceName=labels[0][1])
        for time, value in points.items():
            assert value == pytest.approx(of_service.between(time - 2 * MINUTE, time).count, abs=1e-6)
    # In steps for which there is a smaller table.
    quarters = await ranged(api, f"sum(increase({CALLS}[15m]))", START + 15 * MINUTE, END, "15m")
    assert quarters[()] == pytest.approx({time: spans.between(time - 15 * MINUTE, time).count for time in quarters[()]})
    assert len(quarters[()]) == 8


async def test_what_was_over_a_time_is_that_of_the_spans(api: Api, spans: Spans) -> None:
    end = START + 60 * MINUTE
    by_minute = [spans.between(end - (number + 1) * MINUTE, end - number * MINUTE).count for number in range(30)]
    per_minute = f"sum(increase({CALLS}[1m]))"
    assert await number(api, f"max_over_time({per_minute}[30m:1m])", end) == pytest.approx(max(by_minute))
    assert await number(api, f"avg_over_time({per_minute}[30m:])", end) == pytest.approx(sum(by_minute) / 30)
    assert await number(api, f"quantile_over_time(0.9, {per_minute}[30m:1m])", end) == pytest.approx(np.quantile(by_minute, 0.9))
    busiest = await ranged(api, f"max_over_time({per_minute}[10m:1m])", end - 5 * MINUTE, end, "60")
    assert busiest[()] == pytest.approx({end - n * MINUTE: max(by_minute[n : n + 10]) for n in range(6)})
    # The last hour against what it was at its end, at each of its steps.
    share = await ranged(api, f"{per_minute} / (sum(increase({CALLS}[1m] @ end())))", end - 5 * MINUTE, end, "60")
    assert share[()] == pytest.approx({end - n * MINUTE: by_minute[n] / by_minute[0] for n in range(6)})
    renamed = f'label_replace(sum by (service_name) (increase({CALLS}[30m])), "service", "$1", "service_name", "(.*)")'
    assert all(labels["service"] == labels["service_name"] for labels, _ in await instant(api, renamed, end))


async def test_quantiles_are_those_of_the_spans(api: Api, spans: Spans) -> None:
    end = START + 90 * MINUTE
    query = f"histogram_quantile(0.95, sum by (le, service) (rate({BUCKETS}[30m])))"
    window = spans.between(end - 30 * MINUTE, end)
    found = await instant(api, query, end)
    assert len(found) >= 4
    for labels, value in found:
        of_service = window.of(ServiceName=labels["service"])
        if len(of_service):
            assert value * 1e9 == pytest.approx(of_service.percentile(95), rel=1.001 * RELATIVE_ERROR)
    over_time = await ranged(api, query, START + 40 * MINUTE, end, "60")
    for labels, points in over_time.items():
        for time, value in points.items():
            of_service = (
                spans.of(service=labels[0][1]) if False else spans.of(ServiceName=labels[0][1]).between(time - 30 * MINUTE, time)
            )
            if len(of_service):
                assert value * 1e9 == pytest.approx(of_service.percentile(95), rel=(MERGED + 0.1) * RELATIVE_ERROR)


async def test_buckets_are_those_of_the_spans(api: Api, spans: Spans) -> None:
    buckets = await instant(api, f"sum by (le) (increase({BUCKETS}[30m]))", END)
    bounds = {labels["le"]: value for labels, value in buckets}
    window = spans.between(END - 30 * MINUTE, END)
    assert len(bounds) == 17
    assert bounds["+Inf"] == pytest.approx(window.count)
    for bound, value in bounds.items():
        low, high = (
            window.weights[window.columns["Duration"] <= float(bound) * 1e9 * factor].sum()
            for factor in (1 - 1.01 * RELATIVE_ERROR, 1 + 1.01 * RELATIVE_ERROR)
        )
        assert low - 1e-6 <= value <= high + 1e-6
    (only,) = await instant(api, f'sum(increase({BUCKETS}{{le="0.1"}}[30m]))', END)
    assert only[1] == pytest.approx(bounds["0.1"])
    # What is made of the buckets by hand is what Prometheus makes of them.
    values = sorted((float(bound), value) for bound, value in bounds.items())
    rank = 0.5 * values[-1][1]
    place = next(number for number, (_, value) in enumerate(values) if value >= rank)
    (low, below), (high, upto) = values[place - 1] if place else (0.0, 0.0), values[place]
    by_hand = await number(api, f"histogram_quantile(0.5, 1 * sum by (le) (increase({BUCKETS}[30m])))", END)
    assert by_hand == pytest.approx(low + (high - low) * (rank - below) / (upto - below))


async def test_counters_begin_at_midnight_and_series_end(api: Api, spans: Spans) -> None:
    total = await number(api, f'sum({CALLS}{{service_name="checkout"}})', END)
    of_service = spans.of(ServiceName="checkout")
    series = {}
    for key in zip(*(of_service.columns[name].tolist() for name in ("SpanName", "SpanKind", "StatusCode")), strict=True):
        name, kind, code = key
        series[key] = of_service.of(SpanName=name, SpanKind=kind, StatusCode=code)
    lasting = [each for each in series.values() if each.columns["Start"].max() >= END - ENDS_AFTER]
    assert total == pytest.approx(sum(each.count for each in lasting))
    found = await instant(api, f'{CALLS}{{service_name="cart",span_kind="SPAN_KIND_SERVER"}}', END)
    assert [labels["__name__"] for labels, _ in found] == [CALLS] * len(found)
    last = int(spans.columns["Start"].max()) // MINUTE * MINUTE
    assert await instant(api, f"sum({CALLS})", last + ENDS_AFTER)
    assert await instant(api, f"sum({CALLS})", last + MINUTE + ENDS_AFTER) == []
    assert await instant(api, f"absent({CALLS})", last + MINUTE + ENDS_AFTER) == [({}, 1)]
    assert await instant(api, 'absent({__name__="x_total",service="a",b=~"c"})') == [({"service": "a"}, 1)]
    assert await instant(api, f"absent(rate({CALLS}[5m]))") == []


async def test_service_graphs_are_what_grafana_asks_for(api: Api) -> None:
    end = START + 30 * MINUTE
    requests = await instant(api, "sum by (client, server) (increase(traces_service_graph_request_total[3600s]))", end)
    found = {(labels["client"], labels["server"]): value for labels, value in requests}
    assert found["web", "cart"] == found["cart", "carts"] == 5
    failed = await instant(api, 'increase(traces_service_graph_request_failed_total{client="web"}[1h])', end)
    assert [(labels["server"], value) for labels, value in failed] == [("cart", 5)]
    for side, milliseconds in (("server", 8), ("client", 10)):
        metric = f"traces_service_graph_request_{side}_seconds"
        mean = f'sum(rate({metric}_sum{{client="web"}}[1h])) / sum(rate({metric}_count{{client="web"}}[1h]))'
        assert await number(api, mean, end) == pytest.approx(milliseconds / 1e3)
        tail = f'histogram_quantile(0.9, sum by (le) (rate({metric}_bucket{{client="web"}}[1h])))'
        assert await number(api, tail, end) == pytest.approx(milliseconds / 1e3, rel=RELATIVE_ERROR)


async def test_operators_are_those_of_prometheus(api: Api, spans: Spans) -> None:
    rate = f"sum by (service_name) (rate({CALLS}[1h]))"
    errors = f'sum by (service_name) (rate({CALLS}{{status_code="STATUS_CODE_ERROR"}}[1h]))'
    rates, failed = [{labels["service_name"]: value for labels, value in await instant(api, query)} for query in (rate, errors)]
    window = spans.between(END - HOUR, END)
    share = {labels["service_name"]: value for labels, value in await instant(api, f"{errors} / {rate}")}
    assert share == pytest.approx({name: failed[name] / rates[name] for name in failed})
    for name, value in share.items():
        if len(window.of(ServiceName=name)):
            assert value == pytest.approx(window.of(ServiceName=name).failed / window.of(ServiceName=name).count)
    half = sorted(rates.values())[len(rates) // 2]
    above = await instant(api, f"{rate} > {half!r}")
    assert {labels["service_name"]: value for labels, value in above} == {k: v for k, v in rates.items() if v > half}
    as_numbers = await instant(api, f"{rate} > bool {half!r}")
    assert {labels["service_name"]: value for labels, value in as_numbers} == {k: float(v > half) for k, v in rates.items()}
    ranked = [value for _, value in await instant(api, f"topk(2, {rate})")]
    assert ranked == sorted(rates.values(), reverse=True)[:2]
    assert [value for _, value in await instant(api, f"bottomk(2, {rate})")] == sorted(rates.values())[:2]
    for name, expected in (("avg", np.mean), ("max", np.max), ("min", np.min), ("count", len)):
        assert await number(api, f"{name}({rate})") == pytest.approx(float(expected(list(rates.values()))))
    of_all = await instant(api, f"{rate} / ignoring(service_name) group_left sum(rate({CALLS}[1h]))")
    assert sum(value for _, value in of_all) == pytest.approx(1)
    swapped = await instant(api, f"sum(rate({CALLS}[1h])) / ignoring(service_name) group_right {rate}")
    assert sum(1 / value for _, value in swapped if np.isfinite(value)) == pytest.approx(1)
    left = await instant(api, f"{rate} and on(service_name) {errors}")
    right = await instant(api, f"{rate} unless on(service_name) {errors}")
    assert sorted(labels["service_name"] for labels, _ in (*left, *right)) == sorted(rates)
    assert {labels["service_name"] for labels, _ in left} == set(failed)
    assert await instant(api, "absent(x) or vector(7)") == [({}, 1)]
    assert await instant(api, "sum(x) or vector(7)") == [({}, 7)]
    assert await number(api, "-vector(2) ^ 2 + 10 % 4") == -2
    status, document = await ask(api, "/query", query="1 + 2 * scalar(vector(3)) ^ 2 - 1 / 0", time="5.5")
    assert (status, document["data"]) == (200, {"resultType": "scalar", "result": [5.5, "-Inf"]})
    _, document = await ask(api, "/query", query="'text'", time="5")
    assert document["data"] == {"resultType": "string", "result": [5, "text"]}
    _, document = await ask(api, "/query_range", query="time()", start="0", end="60", step="30s")
    assert document["data"]["result"] == [{"metric": {}, "values": [[0, "0"], [30, "30"], [60, "60"]]}]


async def test_names_and_values(api: Api, spans: Spans) -> None:
    asked = {"start": str(START // SECOND), "end": str(END // SECOND)}
    assert (await ask(api, "/label/__name__/values", **asked))[1]["data"] == sorted(METRICS)
    _, document = await ask(api, "/label/service_name/values", **asked, match=CALLS)
    assert document["data"] == sorted(set(spans.columns["ServiceName"]))
    labels = (await ask(api, "/labels", **asked, match="{__name__=~'traces_service_graph.*'}"))[1]["data"]
    assert labels == ["__name__", "client", "connection_type", "le", "server"]
    series = (await ask(api, "/series", **asked, match=f'{BUCKETS}{{service="web",span_kind="SPAN_KIND_SERVER"}}'))[1]["data"]
    assert {each["le"] for each in series} >= {"0.002", "15", "+Inf"}
    assert {each["service"] for each in series} == {"web"}
    in_quotes = f'{{"{BUCKETS}","service"="web","span_kind"="SPAN_KIND_SERVER"}}'
    assert (await ask(api, "/series", **asked, match=in_quotes))[1]["data"] == series
    _, document = await ask(api, "/series", **asked, match=CALLS, limit="1")
    assert len(document["data"]) == 1
    assert document["warnings"]
    assert (await ask(api, "/series", start="0", end="60", match=CALLS))[1]["data"] == []
    families = (await ask(api, "/metadata"))[1]["data"]
    assert families[CALLS][0]["type"] == "counter"
    assert families["traces_spanmetrics_latency"][0]["type"] == "histogram"
    assert (await ask(api, "/status/buildinfo"))[1]["data"]["version"]
    assert (await ask(api, "/rules"))[1] == {"status": "success", "data": {"groups": []}}
    assert "vault" not in str((await ask(api, "/label/server/values", **asked))[1])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_exemplars_are_the_slowest_spans_of_each_stretch_of_time(api: Api, spans: Spans, method: str) -> None:
    asked = {"start": str(START // SECOND), "end": str(START // SECOND + 1000)}
    # 100 stretches and a nanosecond, since the end belongs to the time.
    service, stretch = "payment", 10 * SECOND + 1
    assert service in spans.columns["ServiceName"]
    of_service = spans.of(ServiceName=service).between(START, START + 1000 * SECOND + 1)
    query = f'histogram_quantile(0.9, sum by (le) (rate({BUCKETS}{{service="{service}",span_kind!~"x|y"}}[5m]))) > 0'
    status, document = await ask(api, "/query_exemplars", method=method, query=query, **asked)
    assert (status, document["status"]) == (200, "success"), document
    found: dict[tuple[int, bool], float] = {}
    for each in document["data"]:
        labels = each["seriesLabels"]
        assert set(labels) == {"__name__", "service", "span_name", "span_kind", "status_code", "le"}
        assert (labels["__name__"], labels["service"]) == (BUCKETS, service)
        for exemplar in each["exemplars"]:
            assert (len(exemplar["labels"]["trace_id"]), len(exemplar["labels"]["span_id"])) == (32, 16)
            assert float(exemplar["value"]) <= float(labels["le"])
            time = round((exemplar["timestamp"] - START // SECOND) * SECOND)
            found[(time // stretch, labels["status_code"] == "STATUS_CODE_ERROR")] = float(exemplar["value"])
    slowest: dict[tuple[int, bool], float] = {}
    columns = of_service.columns
    for start, duration, code in zip(columns["Start"].tolist(), columns["Duration"].tolist(), columns["StatusCode"], strict=True):
        # Timestamps are told in milliseconds.
        key = ((start - START) // 10**6 * 10**6 // stretch, code == "Error")
        slowest[key] = max(slowest.get(key, 0.0), duration / SECOND)
    assert found == pytest.approx(slowest)


async def test_exemplars_follow_labels_that_are_attributes(api: Api) -> None:
    asked = {"start": str(START // SECOND), "end": str(END // SECOND)}
    # Two of the five begin in the same stretch.
    for label, count in (("db_system", 4), ("db_name", 4), ("db_nothing", 0)):
        query = f'rate({CALLS}{{{label}=~".+"}}[5m])'
        _, document = await ask(api, "/query_exemplars", query=query, **asked)
        assert {each["seriesLabels"]["service_name"] for each in document["data"]} == ({"cart"} if count else set())
        assert sum(len(each["exemplars"]) for each in document["data"]) == count
        assert {exemplar["value"] for each in document["data"] for exemplar in each["exemplars"]} <= {"1"}


async def test_exemplars_of_calls_are_of_the_side_that_the_metric_tells_of(api: Api) -> None:
    async def told(query: str) -> dict[tuple[str, ...], list[tuple[int, float]]]:
        """Last bytes of the ids of spans, and values, by the clients, servers and types of connections of series."""
        asked = {"start": str(START // SECOND), "end": str(END // SECOND)}
        status, document = await ask(api, "/query_exemplars", query=query, **asked)
        assert (status, document["status"]) == (200, "success"), document
        return {
            tuple(each["seriesLabels"].get(name, "") for name in ("client", "server", "connection_type")): [
                (int(exemplar["labels"]["span_id"][-2:], 16), float(exemplar["value"])) for exemplar in each["exemplars"]
            ]
            for each in document["data"]
        }

    # Two of the five begin in the same stretch; the server's span has failed.
    of_server, of_client = ord("c"), ord("b")
    call = ("web", "cart", "")
    prefix = "traces_service_graph_request"
    shop = '{client="web",server="cart"}'
    assert await told(f"rate({prefix}_total{shop}[5m])") == {call: [(of_server, 1)] * 4}
    assert await told(f"rate({prefix}_failed_total{shop}[5m])") == {call: [(of_server, 1)] * 4}
    assert await told(f"{prefix}_server_seconds_sum{shop}") == {call: [(of_server, 0.008)] * 4}
    assert await told(f"{prefix}_client_seconds_sum{shop}") == {call: [(of_client, 0.01)] * 4}
    users = await told(f'{prefix}_total{{client="user"}}')
    assert {labels[::2] for labels in users} == {("user", "virtual_node")}
    assert await told(f'{prefix}_failed_total{{client="user",server="web"}}') == {}
    assert await told(f'{prefix}_total{{server="nobody"}}') == {}


async def test_errors_are_prometheus_own(api: Api) -> None:
    cases: list[tuple[str, dict[str, str], int, str, str]] = [
        ("/query", {}, 400, "bad_data", 'invalid parameter "query": is needed'),
        ("/query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error: expected a value'),
        ("/query", {"query": "derive(x[5m])"}, 400, "bad_data", "unknown function with name 'derive'; did you mean deriv?"),
        ("/query", {"query": "x[5m]"}, 400, "bad_data", "a range vector is served within functions of ranges only, as rate"),
        ("/query", {"query": "x", "time": "noon"}, 400, "bad_data", 'invalid parameter "time"'),
        ("/query", {"query": "x", "time": "1e400"}, 400, "bad_data", 'invalid parameter "time"'),
        ("/query", {"query": "x", "time": "\u0661\u0662"}, 400, "bad_data", 'invalid parameter "time"'),
        ("/query", {"query": "x", "timeout": "soon"}, 400, "bad_data", 'invalid parameter "timeout"'),
        ("/query", {"query": CALLS, "timeout": "0.000001"}, 503, "timeout", "took longer than timeout=0.000001"),
        ("/query_range", {"query": "x", "start": "0", "end": "60"}, 400, "bad_data", 'invalid parameter "step": is needed'),
        ("/query_range", {"query": "x", "start": "0", "end": "60", "step": "0"}, 400, "bad_data", "above 0"),
        ("/query_range", {"query": "x", "start": "60", "end": "0", "step": "5"}, 400, "bad_data", "must not be before start"),
        (
            "/query_range",
            {"query": "x", "start": "0", "end": "11001", "step": "1"},
            400,
            "bad_data",
            "exceeded maximum resolution",
        ),
        (
            "/query_range",
            {"query": "x[5m]", "start": "0", "end": "1", "step": "1"},
            400,
            "bad_data",
            'invalid expression type "range',
        ),
        (
            "/query_range",
            {"query": "'x'", "start": "0", "end": "1", "step": "1"},
            400,
            "bad_data",
            'invalid expression type "string',
        ),
        ("/series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("/series", {"match[]": "a[5m]"}, 400, "bad_data", "a selector of series is needed"),
        ("/labels", {"start": "9", "end": "8"}, 400, "bad_data", "before the end"),
        ("/nothing", {}, 404, "not_found", "There is nothing at"),
        (
            "/query",
            {"query": f"sum by (service_name) ({CALLS}) / sum by (span_kind) ({CALLS})", "time": str(END // SECOND)},
            200,
            "",
            "",
        ),
        (
            "/query",
            {"query": f"{CALLS} / on(service_name) {CALLS}", "time": str(END // SECOND)},
            422,
            "execution",
            "found duplicate series for the match group",
        ),
        (
            "/query",
            {"query": f"{CALLS} / on(service_name) sum by (service_name) ({CALLS})", "time": str(END // SECOND)},
            422,
            "execution",
            "many-to-one matching must be explicit",
        ),
    ]
    for path, query, status, kind, words in cases:
        found, document = await ask(api, path, **query)
        assert found == status, document
        if kind:
            assert (document["status"], document["errorType"]) == ("error", kind)
            assert words in document["error"]
