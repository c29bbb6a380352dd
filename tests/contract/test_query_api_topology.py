"""GET /api/v1/topology, over what pieces of spans have told ClickHouse of calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types

from collector.api.app import build_application
from collector.api.openapi import COMPONENTS
from collector.api.schemas import reference
from collector.processors.topology.processor import Topology
from collector.sketch import RELATIVE_ERROR
from config.topology import TopologyProcessor
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.schema import SchemaSettings
from exporters.clickhouse.writer import ClickHouseWriter, WriterSettings
from proto.otlp_decode import decode
from tests.support.requests import EPOCH
from tests.support.scenes import MILLISECOND, scene

MINUTE = 60 * 10**9
START = EPOCH // MINUTE * MINUTE
NOW = START + 10 * MINUTE
RANGE = {"start": str(START), "end": str(START + MINUTE)}

SHOP = """
    web SERVER a 20ms
    web CLIENT b <a 10ms
    cart SERVER c <b 8ms!
    cart CLIENT d <c 2ms db.system=postgresql db.name=carts
    cart PRODUCER e <c
    mail CONSUMER f ~e 4ms
"""


@dataclass(frozen=True, slots=True)
class Api:
    client: TestClient[Any, Any]
    writer: ClickHouseWriter

    async def add(self, text: str, *, trace: int = 1, start: int = START, workspace: str = "default") -> None:
        """Store what a piece tells of calls that has these spans."""
        batch = decode(scene(text, trace=trace, start=start).SerializeToString(), workspace).batch
        for rows in Topology(TopologyProcessor()).process(batch).derived:
            for insert in await self.writer.prepare_rows(rows, uuid4().hex):
                await insert.send(60.0)

    async def get(self, **query: str) -> Any:
        async with self.client.get("/api/v1/topology", params={**RANGE, **query}) as response:
            document = await response.json()
            assert response.status == 200, document
        Draft202012Validator({**reference("Topology"), "components": {"schemas": COMPONENTS}}).validate(document)
        return document


@pytest.fixture
async def api(embedded_client: ClickHouseClient) -> AsyncIterator[Api]:
    schema = SchemaSettings(database=embedded_client.database)
    with ThreadPoolExecutor(1) as executor:
        writer = ClickHouseWriter(embedded_client, WriterSettings(schema), executor)
        await writer.open()
        async with TestClient(TestServer(build_application(embedded_client, now=lambda: NOW))) as session:
            yield Api(session, writer)


def edges_of(document: Any) -> dict[tuple[str, str, str], float]:
    return {(edge["client"]["name"], edge["server"]["name"], edge["connectionType"]): edge["calls"] for edge in document["edges"]}


async def test_nodes_and_edges_have_kinds_rates_and_durations(api: Api) -> None:
    await api.add(SHOP)
    await api.add(SHOP.replace("!", ""), trace=2)
    document = await api.get()
    assert document["complete"]
    assert (document["startUnixNano"], document["endUnixNano"]) == (RANGE["start"], RANGE["end"])
    assert edges_of(document) == {
        ("user", "web", "virtual_node"): 2,
        ("web", "cart", ""): 2,
        ("cart", "carts", "database"): 2,
        ("cart", "mail", "messaging_system"): 2,
    }
    kinds = {node["name"]: node["kind"] for node in document["nodes"]}
    assert kinds == {"user": "user", "web": "service", "cart": "service", "carts": "database", "mail": "service"}
    edge = next(edge for edge in document["edges"] if edge["server"]["name"] == "cart")
    assert (edge["failedCalls"], edge["errorRate"], edge["callsPerSecond"]) == (1, 0.5, 2 / 60)
    assert edge["clientDurations"]["meanNanos"] == 10 * MILLISECOND
    assert edge["clientDurations"]["p50Nanos"] == pytest.approx(10 * MILLISECOND, rel=RELATIVE_ERROR)
    assert edge["serverDurations"]["p99Nanos"] == pytest.approx(8 * MILLISECOND, rel=RELATIVE_ERROR)
    by_user = next(edge for edge in document["edges"] if edge["client"]["kind"] == "user")
    assert by_user["clientDurations"] is None
    nodes = {node["name"]: node for node in document["nodes"]}
    assert (nodes["cart"]["calls"], nodes["cart"]["failedCalls"]) == (2, 1)
    assert nodes["cart"]["durations"]["meanNanos"] == 8 * MILLISECOND
    assert nodes["carts"]["durations"]["meanNanos"] == 2 * MILLISECOND
    assert (nodes["user"]["calls"], nodes["user"]["durations"]) == (0, None)


async def test_a_call_whose_sides_came_apart_is_there_as_soon_as_both_are(api: Api) -> None:
    await api.add("web CLIENT b <a 10ms th:c")
    assert edges_of(await api.get()) == {}
    await api.add("cart SERVER c <b 8ms! th:8")
    document = await api.get()
    assert edges_of(document) == {("web", "cart", ""): 4}
    (edge,) = document["edges"]
    assert edge["failedCalls"] == 4
    assert edge["clientDurations"]["p95Nanos"] == pytest.approx(10 * MILLISECOND, rel=RELATIVE_ERROR)
    assert edge["serverDurations"]["meanNanos"] == 8 * MILLISECOND


async def test_near_a_service_are_ways_that_begin_or_end_there(api: Api) -> None:
    await api.add(SHOP)
    assert set(edges_of(await api.get(service="cart"))) == {
        ("web", "cart", ""),
        ("cart", "carts", "database"),
        ("cart", "mail", "messaging_system"),
    }
    assert set(edges_of(await api.get(service="mail"))) == {("cart", "mail", "messaging_system")}
    assert set(edges_of(await api.get(service="mail", depth="2"))) == {("cart", "mail", "messaging_system"), ("web", "cart", "")}
    assert len(edges_of(await api.get(service="mail", depth="3"))) == 3
    assert edges_of(await api.get(service="user")) == {}
    # Kinds of nodes with the same name are told apart.
    assert edges_of(await api.get(service="carts")) == {}


async def test_ways_are_followed_in_one_direction(api: Api) -> None:
    await api.add(SHOP)
    upstream = await api.get(service="cart", direction="upstream", depth="3")
    assert set(edges_of(upstream)) == {("web", "cart", ""), ("user", "web", "virtual_node")}
    downstream = await api.get(service="cart", direction="downstream", depth="3")
    assert set(edges_of(downstream)) == {("cart", "carts", "database"), ("cart", "mail", "messaging_system")}


async def test_a_topology_can_be_drawn(api: Api) -> None:
    await api.add(SHOP)
    await api.add('od"d\\ SERVER a', trace=2)
    answers = {}
    for form, media_type in (("dot", "text/vnd.graphviz"), ("mermaid", "text/vnd.mermaid")):
        path = "/api/v1/workspaces/default/topology"
        async with api.client.get(path, params={**RANGE, "format": form}) as response:
            assert (response.status, response.content_type) == (200, media_type)
            answers[form] = await response.text()
    assert answers["dot"].startswith("digraph topology {")
    assert 'label="web\\n0.0167/s, 0.00% failed, p95 20' in answers["dot"]
    assert "shape=cylinder" in answers["dot"]
    assert 'label="od\\"d\\\\\\n' in answers["dot"]
    assert answers["mermaid"].startswith("flowchart LR")
    assert '[("carts<br/>0.0167/s' in answers["mermaid"]
    assert '"od#34;d#92;<br/>' in answers["mermaid"]
    for text in answers.values():
        assert len([line for line in text.splitlines() if "->" in line or "-->" in line]) == 5


async def test_numbers_of_a_drawn_topology_have_no_exponent(api: Api) -> None:
    await api.add("web SERVER a 20000ms")
    for minutes, rate in ((1, "0.0167"), (60_000, "0.000000278")):
        asked = {"start": str(START), "end": str(START + minutes * MINUTE), "format": "mermaid"}
        async with api.client.get("/api/v1/topology", params=asked) as response:
            told = re.findall(r"<br/>(.*)/s, 0.00% failed, p95 (.*) s\"", await response.text())
        assert [(each, round(float(p95))) for each, p95 in told] == [(rate, 20)] * 2


async def test_two_topologies_differ_in_what_came_what_went_and_what_changed(api: Api) -> None:
    await api.add("web CLIENT b <a 10ms\ncart SERVER c <b 8ms\nweb CLIENT d <a\nmail SERVER e <d")
    for trace in (2, 3):
        await api.add(
            "web CLIENT b <a 10ms\ncart SERVER c <b 4ms!\nweb CLIENT d <a\nstock SERVER e <d", trace=trace, start=START + MINUTE
        )
    later = {"start": str(START + MINUTE), "end": str(START + 2 * MINUTE)}
    path = "/api/v1/workspaces/default/topology/difference"
    async with api.client.get(path, params=later) as response:
        document = await response.json()
    Draft202012Validator({**reference("TopologyDifference"), "components": {"schemas": COMPONENTS}}).validate(document)
    assert (document["otherStartUnixNano"], document["otherEndUnixNano"]) == (RANGE["start"], RANGE["end"])
    edges = {edge["server"]["name"]: edge for edge in document["edges"]}
    assert {name: edge["state"] for name, edge in edges.items()} == {"cart": "kept", "stock": "added", "mail": "removed"}
    assert edges["cart"]["change"] == {"callsPerSecond": pytest.approx(1 / 60), "errorRate": 1.0}
    assert (edges["cart"]["current"]["calls"], edges["cart"]["other"]["calls"]) == (2, 1)
    assert edges["stock"]["other"] is edges["stock"]["change"] is edges["mail"]["current"] is None
    states = {node["name"]: node["state"] for node in document["nodes"]}
    assert states == {"web": "kept", "cart": "kept", "stock": "added", "mail": "removed"}
    # The other way round, what came has gone.
    swapped = {**RANGE, "otherStart": later["start"], "otherEnd": later["end"]}
    async with api.client.get(path, params=swapped) as response:
        document = await response.json()
    assert {edge["server"]["name"]: edge["state"] for edge in document["edges"]} == {
        "cart": "kept",
        "mail": "added",
        "stock": "removed",
    }


async def test_minutes_are_whole_and_others_are_left_out(api: Api) -> None:
    await api.add("web SERVER a", start=START + 59 * 10**9)
    await api.add("web SERVER a", start=START + MINUTE, trace=2)
    document = await api.get(start=str(START + 30 * 10**9), end=str(START + 31 * 10**9))
    assert (document["startUnixNano"], document["endUnixNano"]) == (RANGE["start"], RANGE["end"])
    assert edges_of(document) == {("user", "web", "virtual_node"): 1}
    assert edges_of(await api.get(end=str(START + MINUTE + 1))) == {("user", "web", "virtual_node"): 2}


async def test_the_edges_with_the_most_calls_come_first_and_the_rest_is_said_to_be_missing(api: Api) -> None:
    for trace in range(3):
        await api.add(
            "web CLIENT b <a\ncart SERVER c <b" + ("\nweb CLIENT d <a\nmail SERVER e <d" if trace else ""), trace=trace + 1
        )
    document = await api.get(limit="1")
    assert edges_of(document) == {("web", "cart", ""): 3}
    assert not document["complete"]


async def test_other_workspaces_are_not_seen(api: Api) -> None:
    await api.add(SHOP, workspace="other")
    await api.add("web CLIENT b <a 10ms", trace=2, workspace="other")
    await api.add("cart SERVER c <b 8ms", trace=2)
    assert edges_of(await api.get()) == {}


async def test_bad_parameters_are_named(api: Api) -> None:
    for name, value in [("depth", "0"), ("depth", "11"), ("limit", "10001"), ("start", "x"), ("servce", "a")]:
        async with api.client.get("/api/v1/topology", params={**RANGE, name: value}) as response:
            document = await response.json()
        assert (response.status, document["parameter"]) == (400, name)
