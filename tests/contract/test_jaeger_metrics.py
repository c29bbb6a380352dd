"""Jaeger's pages Monitor and System Architecture: metrics and calls, over what the processors have counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from collector.processors.red_metrics import RedMetrics
from collector.processors.topology.processor import Topology
from collector.sketch import RELATIVE_ERROR
from config.red_metrics import RedMetricsProcessor
from config.topology import TopologyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.otlp_decode import decode
from tests.contract.test_query_api_traces import Api, Running
from tests.support.clickhouse import ClickHouse
from tests.support.requests import EPOCH
from tests.support.scenes import scene

MINUTE = 60 * 10**9
START = EPOCH // MINUTE * MINUTE
END_MS = START // 10**6 + 3 * 60_000 - 1
"""The end of the third minute: the last instant of it, so that no fourth is touched."""

SHOP = """
    web SERVER a 20ms
    web CLIENT b <a 10ms
    cart SERVER c <b 8ms!
    cart CLIENT d <c 2ms db.system=postgresql db.name=carts
    cart PRODUCER e <c
    mail CONSUMER f ~e 4ms
"""


@pytest.fixture
async def shop(embedded_clickhouse: ClickHouse) -> AsyncIterator[Api]:
    """The shop once in a first minute, and three times without a failure in the minute after the next."""
    database = f"jaeger_{uuid4().hex}"
    with ThreadPoolExecutor(1) as executor:
        async with ClickHouseClient([embedded_clickhouse.url], database=database) as client:
            writer = ClickHouseWriter(client, WriterSettings(SchemaSettings(database=database)), executor)
            await writer.open()
            for trace, minute in ((1, 0), (2, 2), (3, 2), (4, 2)):
                text = SHOP if minute == 0 else SHOP.replace("!", "")
                batch = decode(scene(text, trace=trace, start=START + minute * MINUTE).SerializeToString(), "default").batch
                derived = [
                    *Topology(TopologyProcessor()).process(batch).derived,
                    *RedMetrics(RedMetricsProcessor()).process(batch).derived,
                ]
                for rows in derived:
                    for insert in await writer.prepare_rows(rows, uuid4().hex):
                        await insert.send(60.0)
            async with Running(client, now=START + 60 * MINUTE) as api:
                yield api
            await client.command(f"DROP DATABASE {database} SYNC", database="default")


async def family(api: Api, name: str, **query: Any) -> Any:
    """A family as Jaeger's page asks for it."""
    asked = {"endTs": END_MS, "lookback": 3 * 60_000 - 1, "step": 60_000, "ratePer": 600_000, **query}
    answer = await api.get(f"/jaeger/api/metrics/{name}", **asked)
    assert answer.status == 200, answer.body
    document = answer.json
    assert set(document) == {"name", "type", "help", "metrics"}
    assert document["type"] == "GAUGE"
    return document


def values(metric: Any) -> list[float | str]:
    return [point["gaugeValue"]["doubleValue"] for point in metric["metricPoints"]]


async def test_calls_are_rates_of_each_step(shop: Api) -> None:
    document = await family(shop, "calls", service="cart")
    assert document["name"] == "service_call_rate"
    (metric,) = document["metrics"]
    assert metric["labels"] == [{"name": "service_name", "value": "cart"}]
    assert values(metric) == [1 / 60, 0, 3 / 60]


async def test_a_point_stands_where_its_time_ends(shop: Api) -> None:
    """As in Prometheus, which Jaeger asks; and none where the time that was asked for is over."""
    for until, ends in ((120, [60, 120]), (121, [60, 120, 121]), (150, [60, 120, 150]), (180, [60, 120, 180])):
        document = await family(shop, "calls", service="cart", endTs=START // 10**6 + until * 1000, lookback=(until - 1) * 1000)
        (metric,) = document["metrics"]
        times = [datetime.fromisoformat(point["timestamp"]).timestamp() - START // 10**9 for point in metric["metricPoints"]]
        assert (times, values(metric)) == (ends, [1 / 60, 0, 3 / 60][: len(ends)])


async def test_a_step_that_is_not_over_has_no_point(shop: Api) -> None:
    for passed_s, rates in ((179, [1 / 60, 0]), (180, [1 / 60, 0, 3 / 60])):
        async with Running(shop.client, now=START + passed_s * 10**9) as api:
            (metric,) = (await family(api, "calls", service="cart"))["metrics"]
            assert values(metric) == rates


async def test_errors_are_shares_and_zero_where_nothing_failed(shop: Api) -> None:
    document = await family(shop, "errors", service="cart")
    assert (document["name"], values(document["metrics"][0])) == ("service_error_rate", [1, "NaN", 0])
    # Calls of which none has failed are a series of zeros, not no series.
    document = await family(shop, "errors", service="web")
    assert values(document["metrics"][0]) == [0, "NaN", 0]


async def test_latencies_are_milliseconds(shop: Api) -> None:
    document = await family(shop, "latencies", service="cart", quantile=0.75)
    assert document["name"] == "service_latencies"
    first, none, last = values(document["metrics"][0])
    assert none == "NaN"
    assert [first, last] == pytest.approx([8, 8], rel=RELATIVE_ERROR)


async def test_operations_and_kinds_are_told_apart(shop: Api) -> None:
    document = await family(shop, "calls", service="cart", groupByOperation="true", spanKind="client")
    assert document["name"] == "service_operation_call_rate"
    (metric,) = document["metrics"]
    assert [label["name"] for label in metric["labels"]] == ["service_name", "operation"]
    assert values(metric) == [1 / 60, 0, 3 / 60]
    everything = await shop.session.get(
        f"{shop.url}/jaeger/api/metrics/calls?service=cart&service=mail&endTs={END_MS}&lookback=179999&step=60000"
        "&spanKind=server&spanKind=SPAN_KIND_CONSUMER"
    )
    found = {metric["labels"][0]["value"]: values(metric) for metric in (await everything.json())["metrics"]}
    assert found == {"cart": [1 / 60, 0, 3 / 60], "mail": [1 / 60, 0, 3 / 60]}


async def test_a_service_without_spans_has_no_series(shop: Api) -> None:
    assert (await family(shop, "errors", service="nobody"))["metrics"] == []


async def test_without_tables_metrics_are_not_implemented(shop: Api) -> None:
    await shop.client.command("DROP TABLE otel_red_minute")
    answer = await shop.get("/jaeger/api/metrics/calls", service="cart")
    assert (answer.status, answer.json["errors"][0]["code"]) == (501, 501)


async def test_dependencies_are_calls_between_services(shop: Api) -> None:
    document = (await shop.get("/jaeger/api/dependencies", endTs=END_MS, lookback=7 * 86_400_000)).json
    found = {(edge["parent"], edge["child"]): edge for edge in document["data"]}
    assert set(found) == {("web", "cart"), ("cart", "carts"), ("cart", "mail")}
    assert found["web", "cart"]["callCount"] == 4
    assert (found["web", "cart"]["errorCount"], found["web", "cart"]["async"]) == (1, False)
    assert found["web", "cart"]["p50"] == pytest.approx(8_000, rel=2 * RELATIVE_ERROR)
    assert found["cart", "mail"]["async"] is True
    # The range is respected, and so is the service, at either end of an edge.
    first = (await shop.get("/jaeger/api/dependencies", endTs=START // 10**6 + 1, lookback=1, service="web")).json["data"]
    assert [(edge["parent"], edge["child"], edge["callCount"]) for edge in first] == [("web", "cart", 1)]
