"""The query API over rows in a real ClickHouse, as a client sees it. Rows come from the oracle, not from the program's writer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types
from openapi_spec_validator import validate
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector.api.app import ROUTES, build_application, build_runner
from collector.api.openapi import COMPONENTS
from collector.api.openapi_page import POLICY
from collector.api.routing import QuerySettings
from collector.query.store import Limits
from exporters.clickhouse.client import ClickHouseClient
from tests.support.answers import Answer
from tests.support.messages import canonical_spans
from tests.support.requests import EPOCH, Shape, every_value_request, generated_request, key_values, tree_request
from tests.support.rows import UPSTREAM_COLUMNS, Row, insert_statement, json_lines, rows_of
from tests.support.traces import all_traces
from tests.support.waiting import until

RANGE = {"start": str(EPOCH - 10**9), "end": str(EPOCH + 3600 * 10**9)}
SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Api:
    """A running query API on a database that nothing else writes to."""

    url: str
    client: ClickHouseClient
    session: aiohttp.ClientSession

    async def get(self, path: str, /, *, accept: str = "*/*", **query: Any) -> Answer:
        async with self.session.get(self.url + path, params=query, headers={"Accept": accept}) as response:
            return Answer(response.status, response.headers, await response.read())

    async def json(self, path: str, /, **query: Any) -> Any:
        answer = await self.get(path, **query)
        assert answer.status == 200, answer.body
        document = answer.json
        check_against_openapi(path, document)
        return document

    async def store(self, *messages: ExportTraceServiceRequest | TracesData, workspace: str = "default") -> list[Row]:
        rows = [row for message in messages for row in rows_of(message, workspace)]
        await self.store_rows(rows)
        return rows

    async def store_rows(self, rows: Sequence[Row]) -> None:
        await self.client.insert(insert_statement(rows), json_lines(rows))


def check_against_openapi(path: str, document: Any) -> None:
    """Every answer of 200 has exactly the members that the OpenAPI document promises."""
    parts = path.split("/")
    for route in sorted(ROUTES, key=lambda route: route.path != path):
        names = route.path.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            answer = route.answers["application/json"]
            assert answer is not None
            schema = {**answer, "components": {"schemas": COMPONENTS}}
            Draft202012Validator(schema).validate(document)
            return
    raise AssertionError(f"{path} is no route")


@pytest.fixture
async def api(module_client: ClickHouseClient) -> AsyncIterator[Api]:
    async with Running(module_client) as api:
        yield api


class Running:
    """A query API on a free port of loopback; to it, it is always `now`."""

    def __init__(self, client: ClickHouseClient, settings: QuerySettings | None = None, now: int = EPOCH + 60 * SECOND) -> None:
        self._client = client
        self._runner = build_runner(build_application(client, settings, now=lambda: now))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._session = aiohttp.ClientSession()
        return Api(f"http://{host}:{port}", self._client, self._session)

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        await self._runner.cleanup()


def trace_ids(document: Any) -> list[str]:
    return [hit["traceId"] for hit in document["traces"]]


def request_of(*spans: Span, service: str = "shop", **resource: Any) -> TracesData:
    message = TracesData()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(key_values({"service.name": service, **resource}))
    resource_spans.scope_spans.add().spans.extend(spans)
    return message


def span(trace: int, number: int = 1, *, parent: int = 0, start: int = 0, duration: int = 1000, **fields: Any) -> Span:
    """A span `start` nanoseconds after the epoch of the tests."""
    return Span(
        trace_id=trace.to_bytes(16),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        start_time_unix_nano=EPOCH + start,
        end_time_unix_nano=EPOCH + start + duration,
        **fields,
    )


def hex_of(trace: int) -> str:
    return trace.to_bytes(16).hex()


async def test_a_stored_trace_comes_back_as_otlp_with_nothing_lost(api: Api) -> None:
    message = every_value_request()
    await api.store(message)
    trace_id = message.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    answer = await api.get(f"/api/v1/traces/{trace_id}", accept="application/x-protobuf")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-protobuf")
    assert answer.headers["Spanhouse-Complete"] == "true"
    found = ExportTraceServiceRequest.FromString(answer.body)
    assert sorted(canonical_spans(found)) == sorted(canonical_spans(message))


async def test_real_traces_come_back_as_otlp_with_nothing_lost(api: Api) -> None:
    for file in all_traces()[3::60]:
        message = file.message
        await api.store(message)
        sent: dict[str, set[bytes]] = {}
        for trace_id, body in canonical_spans(message):
            sent.setdefault(trace_id, set()).add(body)
        for trace_id in list(sent)[:5]:
            answer = await api.get(f"/api/v1/traces/{trace_id}", accept="application/x-protobuf")
            assert {body for _, body in canonical_spans(TracesData.FromString(answer.body))} == sent[trace_id]


async def test_a_trace_as_json_has_typed_attributes_and_64_bit_numbers_as_strings(api: Api) -> None:
    message = every_value_request()
    await api.store(message)
    sent = message.resource_spans[0].scope_spans[0].spans[0]
    document = await api.json(f"/api/v1/traces/{sent.trace_id.hex().upper()}")
    assert document["spanCount"] == 2
    root = next(item for item in document["spans"] if not item["parentSpanId"])
    assert root["startTimeUnixNano"] == str(sent.start_time_unix_nano)
    values = {entry["key"]: entry["value"] for entry in root["attributes"]}
    assert values["int.large"] == {"intValue": str(2**63 - 1)}
    assert values["double.whole"] == {"doubleValue": 3.0}
    assert values["empty"] == {}
    assert root["status"] == "error"
    assert root["kind"] == "producer"
    assert document["resources"][root["resource"]]["attributes"][0]["value"] == {"stringValue": "values"}


async def test_data_26_odd_keys_and_values_survive_with_repeats_and_order(api: Api) -> None:
    sent = [("b", 1), ("a.b$'`\"", "x\0y"), ("b", 2), ("B", [1.5, "\u2028"]), ("", "empty key"), ("long", "v" * 2**20)]
    item = span(1)
    for key, value in sent:
        item.attributes.extend(key_values({key: value}))
    message = request_of(item)
    await api.store(message)
    answer = await api.get(f"/api/v1/traces/{hex_of(1)}", accept="application/x-protobuf")
    (found,) = TracesData.FromString(answer.body).resource_spans[0].scope_spans[0].spans
    assert list(found.attributes) == list(item.attributes)


async def test_rows_of_the_upstream_exporter_read_as_well(api: Api) -> None:
    message = every_value_request()
    rows = [{name: row[name] for name in UPSTREAM_COLUMNS} for row in rows_of(message)]
    await api.store_rows(rows)
    document = await api.json(f"/api/v1/traces/{rows[0]['TraceId']}")
    root = next(item for item in document["spans"] if not item["parentSpanId"])
    assert {entry["key"]: entry["value"] for entry in root["attributes"]}["int.large"] == {"stringValue": str(2**63 - 1)}
    assert [event["name"] for event in root["events"]] == ["exception", ""]
    assert [link["spanId"] for link in root["links"]] == rows[0]["Links.SpanId"]


async def test_a_duration_that_wrapped_in_another_writer_is_no_duration(api: Api) -> None:
    (row,) = rows_of(request_of(span(1, duration=0)))
    await api.store_rows([{**{name: row[name] for name in UPSTREAM_COLUMNS}, "Duration": 2**64 - 500}])
    (found,) = (await api.json(f"/api/v1/traces/{hex_of(1)}"))["spans"]
    assert (found["durationNanos"], found["endTimeUnixNano"]) == ("0", str(EPOCH - 500))
    (latencies,) = (await api.json("/api/v1/latencies", **RANGE))["services"]
    assert latencies["maxNanos"] == "0"


@pytest.mark.parametrize(
    ("start", "end"),
    [(2**63 + 5, 2**63 + 10), (2**64 - 1, 3), (2**63 - 2, 2**64 - 1), (4_300_000_000 * SECOND, 4_300_000_001 * SECOND)],
)
async def test_a_trace_outside_of_the_calendar_is_found_by_its_id(api: Api, start: int, end: int) -> None:
    item = span(7)
    item.start_time_unix_nano, item.end_time_unix_nano = start, end
    await api.store(request_of(item, span(7, 2)))
    document = await api.json(f"/api/v1/traces/{hex_of(7)}")
    assert (str(start), str(end)) in {(item["startTimeUnixNano"], item["endTimeUnixNano"]) for item in document["spans"]}
    assert document["spanCount"] == 2


async def test_data_24_a_span_that_was_sent_twice_is_one_everywhere(api: Api) -> None:
    message = request_of(span(1, 1), span(1, 2, parent=1))
    await api.store(message)
    await api.store(message)
    assert (await api.json(f"/api/v1/traces/{hex_of(1)}"))["spanCount"] == 2
    (hit,) = (await api.json("/api/v1/traces", **RANGE))["traces"]
    assert hit["spanCount"] == 2
    (latencies,) = (await api.json("/api/v1/latencies", **RANGE))["services"]
    assert latencies["count"] == 2


async def test_data_25_client_and_server_under_one_id_are_two(api: Api) -> None:
    await api.store(
        request_of(span(1, 1, kind=Span.SPAN_KIND_CLIENT), service="web"),
        request_of(span(1, 1, start=10, duration=500, kind=Span.SPAN_KIND_SERVER), service="cart"),
    )
    document = await api.json(f"/api/v1/traces/{hex_of(1)}/waterfall")
    assert [(bar["service"], bar["depth"]) for bar in document["bars"]] == [("web", 0), ("cart", 1)]
    assert {warning["kind"] for warning in document["warnings"]} == {"shared-span-id"}


async def test_other_workspaces_are_not_seen(api: Api) -> None:
    await api.store(request_of(span(1)))
    await api.store(request_of(span(2), service="secret"), workspace="other")
    assert trace_ids(await api.json("/api/v1/traces", **RANGE)) == [hex_of(1)]
    assert [item["name"] for item in (await api.json("/api/v1/services", **RANGE))["services"]] == ["shop"]
    assert [item["service"] for item in (await api.json("/api/v1/latencies", **RANGE))["services"]] == ["shop"]
    for below in ("", "/waterfall", "/critical-path", "/self-times", "/statistics", "/links", f"/spans/{1:016x}"):
        assert (await api.get(f"/api/v1/traces/{hex_of(2)}{below}")).status == 404
    async with api.session.get(f"{api.url}/api/v1/traces", params=RANGE, headers={"X-Workspace-Id": "other"}) as answer:
        assert trace_ids(await answer.json()) == [hex_of(2)]


async def test_short_ids_are_padded_and_unknown_or_malformed_ones_are_problems(api: Api) -> None:
    await api.store(request_of(span(0xABCDEF)))
    assert (await api.json(f"/api/v1/traces/{0xABCDEF:016x}"))["traceId"] == hex_of(0xABCDEF)
    unknown = await api.get(f"/api/v1/traces/{hex_of(5)}")
    assert (unknown.status, unknown.json["title"]) == (404, "Unknown trace")
    malformed = await api.get("/api/v1/traces/nonsense")
    assert (malformed.status, malformed.json["parameter"], malformed.json["value"]) == (400, "trace_id", "nonsense")
    assert malformed.headers["Content-Type"] == "application/problem+json"


async def test_every_filter_of_a_search_finds_its_spans(api: Api) -> None:
    await api.store(
        request_of(
            span(
                1,
                name="GET /",
                duration=5 * 10**6,
                kind=Span.SPAN_KIND_SERVER,
                attributes=key_values({"http.status": 200, "ok": True}),
            ),
            service="web",
            region="eu",
        ),
        request_of(
            span(2, name="query", duration=2 * 10**9, kind=Span.SPAN_KIND_CLIENT, status={"code": 2}), service="db", region="us"
        ),
        request_of(
            span(
                3,
                name="GET /",
                duration=10**6,
                events=[Span.Event(name="e", attributes=key_values({"where": "event"}))],
                links=[Span.Link(attributes=key_values({"where": "link"}))],
            ),
            service="web",
        ),
    )
    for query, expected in (
        ({"service": "web"}, {1, 3}),
        ({"service": "web", "operation": "GET /"}, {1, 3}),
        ({"operation": "query"}, {2}),
        ({"minDuration": "1s"}, {2}),
        ({"maxDuration": "1ms"}, {3}),
        ({"minDuration": "1ms", "maxDuration": "5ms"}, {1, 3}),
        ({"status": "error"}, {2}),
        ({"status": "unset"}, {1, 3}),
        ({"kind": "server"}, {1}),
        ({"attribute": "http.status=200"}, {1}),
        ({"attribute": "ok=true"}, {1}),
        ({"attribute": "region=us"}, {2}),
        ({"attribute": "resource.region=eu"}, {1}),
        ({"attribute": "resource.ok=true"}, set()),
        ({"attribute": "where=event"}, {3}),
        ({"attribute": "where=link"}, {3}),
        ({"attribute": "error=true"}, {2}),
        ({"attribute": "error=false"}, {1, 3}),
        ({"attribute": "span.kind=client"}, {2}),
        ({"attribute": "missing="}, set()),
        ({"service": "it's \\ \t 'q'"}, set()),
        ({"service": "web", "status": "error"}, set()),
    ):
        found = trace_ids(await api.json("/api/v1/traces", **RANGE, **query))
        assert set(found) == {hex_of(trace) for trace in expected}, query
    both = await api.get(
        "/api/v1/traces?" + "&".join(f"{k}={v}" for k, v in RANGE.items()) + "&attribute=ok=true&attribute=region=us"
    )
    assert both.json["traces"] == []


async def test_all_conditions_must_hold_on_one_span(api: Api) -> None:
    await api.store(request_of(span(1, 1, name="a"), service="web"), request_of(span(1, 2, parent=1, name="b"), service="db"))
    assert trace_ids(await api.json("/api/v1/traces", **RANGE, service="web", operation="b")) == []


async def test_a_hit_sums_up_the_whole_trace(api: Api) -> None:
    await api.store(
        request_of(span(1, 1, name="checkout", start=100, duration=900), service="web"),
        request_of(span(1, 2, parent=1, start=50, duration=10, status={"code": 2}), service="db"),
    )
    (hit,) = (await api.json("/api/v1/traces", **RANGE, service="db"))["traces"]
    assert hit == {
        "traceId": hex_of(1),
        "rootService": "web",
        "rootName": "checkout",
        "startTimeUnixNano": str(EPOCH + 50),
        "durationNanos": "950",
        "spanCount": 2,
        "errorCount": 1,
        "services": ["db", "web"],
        "matchedSpanCount": 1,
        "matchedSpans": [
            {
                "spanId": "0000000000000002",
                "service": "db",
                "name": "",
                "status": "error",
                "startTimeUnixNano": str(EPOCH + 50),
                "durationNanos": "10",
            }
        ],
    }


async def test_a_trace_whose_root_has_not_come_has_no_root_name(api: Api) -> None:
    await api.store(request_of(span(1, 2, parent=1)))
    (hit,) = (await api.json("/api/v1/traces", **RANGE))["traces"]
    assert (hit["rootService"], hit["rootName"]) == (None, None)


async def test_the_time_range_includes_its_start_and_not_its_end(api: Api) -> None:
    await api.store(request_of(span(1, start=10), span(2, start=20), span(3, start=30)))
    found = await api.json("/api/v1/traces", start=str(EPOCH + 10), end=str(EPOCH + 30))
    assert trace_ids(found) == [hex_of(2), hex_of(1)]


async def test_pages_go_through_all_hits_newest_first_without_repeating_one(api: Api) -> None:
    # Groups of five traces share their start, so that pages break inside of them.
    await api.store(request_of(*(span(trace, start=trace // 5) for trace in range(1, 24))))
    expected = [hex_of(trace) for trace in sorted(range(1, 24), key=lambda trace: (-(trace // 5), trace))]
    found: list[str] = []
    query = {**RANGE, "limit": "4"}
    while True:
        page = await api.json("/api/v1/traces", **query)
        found += trace_ids(page)
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
        # What arrives between two pages does not shift them.
        await api.store(request_of(span(1000 + len(found), start=100)))
    assert found == expected
    refused = await api.get("/api/v1/traces", **query, service="web")
    assert (refused.status, refused.json["parameter"]) == (400, "cursor")


async def test_services_are_paged_by_name_with_count_and_last_start(api: Api) -> None:
    for index, name in enumerate(["web", "", "Ünï", "db"]):
        await api.store(request_of(span(1, index + 1, start=index), span(2, index + 1, start=index + 50), service=name))
    first = await api.json("/api/v1/services", **RANGE, limit=3)
    second = await api.json("/api/v1/services", **RANGE, limit=3, cursor=first["nextCursor"])
    assert second["nextCursor"] is None
    assert [(item["name"], item["spanCount"]) for item in first["services"] + second["services"]] == [
        ("", 2),
        ("db", 2),
        ("web", 2),
        ("Ünï", 2),
    ]
    assert first["services"][1]["lastSeenUnixNano"] == str(EPOCH + 53)


async def test_latencies_are_those_of_numpy_to_the_last_digit(api: Api) -> None:
    random = np.random.default_rng(7)
    for service, count in (("one", 1), ("two", 2), ("many", 997)):
        durations = random.integers(0, 10**10, count)
        await api.store(
            request_of(*(span(1, index + 1, duration=int(value)) for index, value in enumerate(durations)), service=service)
        )
        (found,) = (await api.json("/api/v1/latencies", **RANGE, service=service))["services"]
        assert (found["count"], found["minNanos"], found["maxNanos"]) == (count, str(durations.min()), str(durations.max()))
        assert found["meanNanos"] == int(durations.sum()) / count
        assert [found[f"p{percent}Nanos"] for percent in (50, 95, 99)] == [
            float(np.percentile(durations, percent)) for percent in (50, 95, 99)
        ]


async def test_latencies_can_be_of_one_operation_and_kind(api: Api) -> None:
    await api.store(
        request_of(
            span(1, 1, name="a", duration=5, kind=2), span(1, 2, name="b", duration=7, kind=2), span(1, 3, name="a", duration=9)
        )
    )
    (found,) = (await api.json("/api/v1/latencies", **RANGE, operation="a", kind="server"))["services"]
    assert (found["count"], found["maxNanos"], found["errorCount"]) == (1, "5", 0)


async def test_the_default_range_is_the_last_hour(api: Api) -> None:
    await api.store(request_of(span(1), span(2, start=-7200 * SECOND)))
    assert trace_ids(await api.json("/api/v1/traces")) == [hex_of(1)]


async def test_a_waterfall_and_a_critical_path_of_a_tree(api: Api) -> None:
    message = tree_request(depth=4, children=2)
    await api.store(message)
    trace_id = message.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    waterfall = await api.json(f"/api/v1/traces/{trace_id}/waterfall")
    assert [bar["name"] for bar in waterfall["bars"]][:5] == ["0", "0.0", "0.0.0", "0.0.0.0", "0.0.0.1"]
    assert (waterfall["depth"], waterfall["rootName"], waterfall["spanCount"]) == (4, "0", 15)
    path = await api.json(f"/api/v1/traces/{trace_id}/critical-path", tolerance="0.05", overflow="ignore")
    (root,) = path["roots"]
    lengths = [int(part["endUnixNano"]) - int(part["startUnixNano"]) for part in root["segments"]]
    assert sum(lengths) == int(root["durationNanos"]) == 10**9
    spans = (await api.json(f"/api/v1/traces/{trace_id}"))["spans"]
    assert all(spans[part["index"]]["spanId"] == part["spanId"] for part in root["segments"])


async def test_a_trace_that_is_too_large_says_that_it_is_not_complete(api: Api) -> None:
    # The earliest are shown, which the table has last.
    await api.store(request_of(*(span(1, number, start=number, name=f"step {99 - number}") for number in range(1, 11))))
    async with Running(api.client, QuerySettings(max_spans=4)) as small:
        document = await small.json(f"/api/v1/traces/{hex_of(1)}")
        assert (document["complete"], document["spanCount"]) == (False, 4)
        assert [each["name"] for each in document["spans"]] == ["step 98", "step 97", "step 96", "step 95"]
        answer = await small.get(f"/api/v1/traces/{hex_of(1)}", accept="application/x-protobuf")
        assert answer.headers["Spanhouse-Complete"] == "false"


async def test_a_generated_day_of_traffic_answers_every_question(api: Api) -> None:
    await api.store(generated_request(Shape(spans=512, services=4)))
    services = (await api.json("/api/v1/services", **RANGE))["services"]
    assert sum(item["spanCount"] for item in services) == 512
    hits = (await api.json("/api/v1/traces", **RANGE, limit=1500))["traces"]
    assert sum(hit["spanCount"] for hit in hits) == 512
    assert sum(item["count"] for item in (await api.json("/api/v1/latencies", **RANGE))["services"]) == 512


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/api/v1/traces", {"start": "yesterday"}, "start"),
        ("/api/v1/traces", {"start": "20", "end": "10"}, "start"),
        ("/api/v1/traces", {"minDuration": "5"}, "minDuration"),
        ("/api/v1/traces", {"minDuration": "5s", "maxDuration": "1s"}, "maxDuration"),
        ("/api/v1/traces", {"status": "bad"}, "status"),
        ("/api/v1/traces", {"kind": "bad"}, "kind"),
        ("/api/v1/traces", {"attribute": "novalue"}, "attribute"),
        ("/api/v1/traces", {"limit": "0"}, "limit"),
        ("/api/v1/traces", {"cursor": "x"}, "cursor"),
        ("/api/v1/traces", {"sevice": "x"}, "sevice"),
        ("/api/v1/services", {"cursor": "!"}, "cursor"),
        ("/api/v1/latencies", {"limit": "many"}, "limit"),
        (f"/api/v1/traces/{'a' * 32}", {"limit": "0"}, "limit"),
        (f"/api/v1/traces/{'a' * 32}", {"offset": "-1"}, "offset"),
        (f"/api/v1/traces/{'a' * 32}", {"fields": "bones"}, "fields"),
        (f"/api/v1/traces/{'a' * 32}", {"start": "20", "end": "10"}, "end"),
        (f"/api/v1/traces/{'a' * 32}/spans/12", {}, "span_id"),
        (f"/api/v1/traces/{'a' * 32}/links", {"limit": "1001"}, "limit"),
        (f"/api/v1/traces/{'a' * 32}/waterfall", {"adjust": "everything"}, "adjust"),
        (f"/api/v1/traces/{'a' * 32}/waterfall", {"repeats": "1"}, "repeats"),
        (f"/api/v1/traces/{'a' * 32}/waterfall", {"spanId": "x"}, "spanId"),
        (f"/api/v1/traces/{'a' * 32}/waterfall", {"limit": "many"}, "limit"),
        (f"/api/v1/traces/{'a' * 32}/what-if", {}, "spanId"),
        (f"/api/v1/traces/{'a' * 32}/statistics", {"by": "colour"}, "by"),
        (f"/api/v1/traces/{'a' * 32}/critical-path", {"mode": "longest"}, "mode"),
        (f"/api/v1/traces/{'a' * 32}/critical-path", {"mode": "jaeger", "tolerance": "0"}, "tolerance"),
        ("/api/v1/traces/compare", {"left": "a" * 32}, "right"),
        ("/api/v1/traces/compare", {"left": "x", "right": "a" * 32}, "left"),
        (f"/api/v1/traces/{'a' * 32}/critical-path", {"tolerance": "2"}, "tolerance"),
        (f"/api/v1/traces/{'a' * 32}/critical-path", {"overflow": "x"}, "overflow"),
    ],
)
async def test_every_bad_parameter_is_named_with_its_value(api: Api, path: str, query: dict[str, str], parameter: str) -> None:
    answer = await api.get(path, **query)
    problem = answer.json
    assert (answer.status, problem["status"], problem["parameter"]) == (400, 400, parameter)
    assert problem["value"] == (query[parameter] if parameter in query else path.rpartition("/")[2] if "spans" in path else "")
    assert parameter in problem["detail"]


async def test_other_methods_and_other_paths_are_problems(api: Api) -> None:
    async with api.session.post(f"{api.url}/api/v1/services") as response:
        assert response.status == 405
        assert "GET" in response.headers["Allow"]
        assert response.content_type == "application/problem+json"
    answer = await api.get("/api/v1/nothing")
    assert (answer.status, answer.json["title"]) == (404, "Not found")


async def test_the_openapi_document_is_valid_and_lists_every_route(api: Api) -> None:
    document = (await api.get("/openapi.json")).json
    validate(document)
    assert set(document["paths"]) == {route.path for route in ROUTES}
    page = await api.get("/docs")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"] == POLICY
    assert all(path in page.body.decode() for path in document["paths"])


async def test_without_a_store_the_answer_is_503(unused_tcp_port: int) -> None:
    async with ClickHouseClient([f"http://127.0.0.1:{unused_tcp_port}"]) as client, Running(client) as api:
        answer = await api.get("/api/v1/services")
    assert (answer.status, answer.json["title"]) == (503, "Span store unavailable")
    assert answer.headers["Retry-After"]


async def wait_until_running(client: ClickHouseClient, marker: str, queries: int) -> None:
    """Wait until the server runs so many queries that contain the marker."""

    async def are_running() -> bool:
        return await count_running(client, marker) == queries

    await until(are_running)


async def count_running(client: ClickHouseClient, marker: str) -> int:
    sql = (
        "SELECT count() AS n FROM system.processes"
        " WHERE position(query, {marker:String}) > 0 AND query NOT LIKE '%system.processes%'"
    )
    count: int = (await client.query(sql, {"marker": marker})).columns["n"][0]
    return count


async def slow_view(api: Api) -> str:
    """A view in place of the table whose every row takes a while."""
    await api.store(request_of(*(span(number) for number in range(1, 60))))
    name = f"slow_{uuid.uuid4().hex}"
    await api.client.command(
        f"CREATE VIEW {name} AS SELECT * FROM otel_traces WHERE sleepEachRow(0.5) = 0"
        " SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
    )
    return name


async def test_a_query_that_takes_too_long_is_a_504_and_is_stopped(api: Api) -> None:
    view = await slow_view(api)
    async with Running(api.client, QuerySettings(spans_table=view, timeout_s=0.5)) as slow:
        answer = await slow.get("/api/v1/services", **RANGE)
        assert (answer.status, answer.json["title"]) == (504, "Query timed out")
        await wait_until_running(api.client, view, 0)


async def test_a_query_is_stopped_when_its_client_leaves(api: Api) -> None:
    view = await slow_view(api)
    async with Running(api.client, QuerySettings(spans_table=view)) as slow:
        asking = asyncio.create_task(slow.get("/api/v1/services", **RANGE))
        await wait_until_running(api.client, view, 1)
        asking.cancel()
        await wait_until_running(api.client, view, 0)


async def test_a_query_that_would_take_more_than_it_may_names_the_limit(api: Api) -> None:
    await api.store(request_of(*(span(number) for number in range(1, 200))))
    greedy = f"greedy_{uuid.uuid4().hex}"
    await api.client.command(
        f"CREATE VIEW {greedy} AS SELECT * FROM otel_traces WHERE length(range(1_000_000 + StatusCodeNumber)) > 0"
    )
    for table, limits, name in (
        ("otel_traces", Limits(rows=10), "max_rows_to_read"),
        ("otel_traces", Limits(bytes=100), "max_bytes_to_read"),
        (greedy, Limits(memory=20_000_000), "max_memory_usage"),
    ):
        async with Running(api.client, QuerySettings(spans_table=table, limits=limits)) as small:
            answer = await small.get("/api/v1/latencies", **RANGE)
        assert (answer.status, answer.json.get("title")) == (422, "Query too large"), (name, answer.body)
        assert name in answer.json["detail"]
    async with Running(api.client, QuerySettings(limits=Limits(10**9, 10**11, 2**30))) as large:
        assert (await large.get("/api/v1/latencies", **RANGE)).status == 200
