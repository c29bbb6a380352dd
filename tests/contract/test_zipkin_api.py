"""Zipkin's query API: what its page and its clients send, and what they get."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from collector.query.store import STATUS_CODES
from proto.zipkin import zipkin_json_to_otlp
from tests.contract.test_query_api_traces import Api, hex_of, request_of, span
from tests.contract.test_query_api_traces import api as api
from tests.support.requests import EPOCH, key_values
from tests.support.traces import read_trace, trace_names
from tests.support.zipkin import KINDS, flattened

SECOND = 10**9
RANGE: dict[str, Any] = {"endTs": EPOCH // 10**6 + 60_000, "lookback": 120_000}


async def get(api: Api, path: str, **query: Any) -> Any:
    answer = await api.get(f"/zipkin/api/v2/{path}", **query)
    assert answer.status == 200, answer.body
    return answer.json


@pytest.fixture
async def shop(api: Api) -> Api:
    """A call whose two halves share an id, as Zipkin has it, with a failed query below; and a trace that went well."""
    await api.store(
        request_of(
            span(1, 1, duration=120_000_000, name="GET /", kind=2),
            span(
                1,
                2,
                parent=1,
                start=1,
                duration=4_500_000,
                name="GET /Cart",
                kind=3,
                attributes=key_values({"peer.service": "Cart"}),
            ),
            service="Web",
            **{"host.name": "web-1"},
        ),
        request_of(
            span(1, 2, parent=1, start=123_456, duration=4_000_000, name="GET /Cart", kind=2),
            span(
                1,
                3,
                parent=2,
                start=200_000,
                duration=999,
                name="SELECT",
                kind=3,
                status=Status(code=Status.STATUS_CODE_ERROR, message="boom"),
                attributes=key_values({"db.name": "Carts", "server.address": "db-1", "rows": 7}),
                events=[Span.Event(name="retry", time_unix_nano=EPOCH + 1999)],
            ),
            service="cart",
        ),
        request_of(span(2, 1, start=SECOND, duration=0, name="job"), service="cart"),
    )
    return api


async def test_names_are_in_lower_case_and_in_order(api: Api, shop: Api) -> None:
    assert await get(api, "services") == ["cart", "web"]
    assert await get(api, "spans", serviceName="web") == ["get /", "get /cart"]
    assert await get(api, "spans", serviceName="nobody") == []
    assert await get(api, "remoteServices", serviceName="web") == ["cart"]
    assert await get(api, "remoteServices", serviceName="cart") == ["db-1"]
    assert await get(api, "remoteServices", serviceName="nobody") == []
    assert await get(api, "autocompleteKeys") == [
        "db.name",
        "host.name",
        "peer.service",
        "rows",
        "server.address",
        "service.name",
    ]
    assert await get(api, "autocompleteValues", key="rows") == ["7"]


async def test_a_trace_has_every_member_of_zipkins_model(api: Api, shop: Api) -> None:
    root, client, server, query = await get(api, f"trace/{hex_of(1)}")
    assert root == {
        "traceId": hex_of(1),
        "id": f"{1:016x}",
        "kind": "SERVER",
        "name": "get /",
        "timestamp": EPOCH // 1000,
        "duration": 120_000,
        "localEndpoint": {"serviceName": "web"},
        "annotations": [],
        "tags": {"host.name": "web-1"},
    }
    assert (client["kind"], client["remoteEndpoint"], client.get("shared")) == ("CLIENT", {"serviceName": "cart"}, None)
    assert (server["kind"], server["id"], server["shared"]) == ("SERVER", client["id"], True)
    assert query == {
        "traceId": hex_of(1),
        "parentId": f"{2:016x}",
        "id": f"{3:016x}",
        "kind": "CLIENT",
        "name": "select",
        "timestamp": (EPOCH + 200_000) // 1000,
        "duration": 1,  # zero would mean that it is not known
        "localEndpoint": {"serviceName": "cart"},
        "remoteEndpoint": {"serviceName": "db-1"},
        "annotations": [{"timestamp": (EPOCH + 1999) // 1000, "value": "retry"}],
        "tags": {"db.name": "Carts", "server.address": "db-1", "rows": "7", "otel.status_code": "ERROR", "error": "boom"},
    }
    (job,) = await get(api, "trace/2")
    assert "duration" not in job
    assert "kind" not in job


async def test_searches_find_whole_traces(api: Api, shop: Api) -> None:
    for query, expected in (
        ({}, [2, 1]),
        ({"limit": 1}, [2]),
        ({"serviceName": "web"}, [1]),
        ({"serviceName": "WEB", "spanName": "get /cart"}, [1]),
        ({"serviceName": "web", "spanName": "all"}, [1]),
        ({"serviceName": "web", "spanName": "select"}, []),
        ({"serviceName": "nobody"}, []),
        ({"serviceName": "web", "remoteServiceName": "cart"}, [1]),
        ({"remoteServiceName": "db-1"}, [1]),
        ({"remoteServiceName": "carts"}, []),
        ({"annotationQuery": "retry and rows=7"}, [1]),
        ({"annotationQuery": "error"}, [1]),
        ({"annotationQuery": "host.name=web-1 and retry"}, []),
        ({"annotationQuery": "peer.service"}, [1]),
        ({"minDuration": 4_500, "maxDuration": 4_500}, [1]),
        ({"minDuration": 120_001}, []),
        ({"endTs": EPOCH // 10**6 + 500}, [1]),
        ({"endTs": EPOCH // 10**6 + 1_000, "lookback": 1}, [2]),
    ):
        found = await get(api, "traces", **{**RANGE, **query})
        assert (query, [int(spans[0]["traceId"], 16) for spans in found]) == (query, expected)
        assert all(len(spans) == {1: 4, 2: 1}[int(spans[0]["traceId"], 16)] for spans in found)


async def test_several_traces_by_id(api: Api, shop: Api) -> None:
    found = await get(api, "traceMany", traceIds=f"2,{hex_of(9)},{hex_of(1)}")
    assert [len(spans) for spans in found] == [1, 4]


async def test_an_unknown_trace_is_404_with_a_line_of_text(api: Api) -> None:
    answer = await api.get(f"/zipkin/api/v2/trace/{hex_of(9)}")
    assert (answer.status, answer.body.decode()) == (404, f"{hex_of(9)} not found")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_bad_parameter_is_400_in_plain_text(api: Api) -> None:
    bad: list[tuple[str, dict[str, str], str]] = [
        ("spans", {}, "serviceName"),
        ("remoteServices", {}, "serviceName"),
        ("traces", {"limit": "0"}, "limit"),
        ("traces", {"limit": "x"}, "limit"),
        ("traces", {"endTs": "now"}, "endTs"),
        ("traces", {"lookback": "1h"}, "lookback"),
        ("traces", {"minDuration": "5ms"}, "minDuration"),
        ("traces", {"minDuration": "5", "maxDuration": "4"}, "maxDuration"),
        ("traces", {"annotationQuery": "=x"}, "annotationQuery"),
        ("traces", {"annotationQuery": "a and  and b"}, "annotationQuery"),
        ("trace/xyz", {}, "traceId"),
        ("traceMany", {}, "traceIds"),
        ("traceMany", {"traceIds": "1"}, "traceIds"),
        ("traceMany", {"traceIds": "1,1"}, "traceIds"),
        ("traceMany", {"traceIds": "1,x"}, "traceIds"),
        ("dependencies", {}, "endTs"),
        ("autocompleteValues", {}, "key"),
    ]
    for path, query, named in bad:
        answer = await api.get(f"/zipkin/api/v2/{path}", **query)
        assert (path, query, answer.status) == (path, query, 400)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.body.decode().startswith(named + "=")


async def test_without_spans_there_are_no_dependencies(api: Api) -> None:
    assert await get(api, "dependencies", endTs=RANGE["endTs"]) == []


async def test_spans_of_real_traces_come_back_through_zipkin(api: Api) -> None:
    """As far as Zipkin's model can say it: ids, names, times in microseconds, keys of attributes, events, services.

    What is answered is also read by the receiver, and means the same to it.
    """
    message = TracesData()
    for name in trace_names()[:4]:
        message.resource_spans.extend(read_trace(name).message.resource_spans)
    await api.store(message)
    wanted = {}
    for resource_spans in message.resource_spans:
        attributes = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for sent in scope_spans.spans:
                wanted[sent.trace_id.hex(), sent.span_id.hex()] = (
                    sent.name.lower(),
                    sent.parent_span_id.hex(),
                    sent.start_time_unix_nano // 1000,
                    max(sent.end_time_unix_nano - sent.start_time_unix_nano, 0) // 1000,
                    attributes.get("service.name", "").lower(),
                    {each.key for each in sent.attributes},
                    [event.time_unix_nano // 1000 for event in sent.events],
                )
    seen = 0
    for trace_id in sorted({trace_id for trace_id, _ in wanted if trace_id}):
        answer = await get(api, f"trace/{trace_id}")
        request = zipkin_json_to_otlp(json.dumps(answer).encode())
        assert not request.warnings
        for each, read in zip(answer, flattened(request.protobuf), strict=True):
            seen += 1
            assert (read["trace_id"].hex(), read["span_id"].hex()) == (trace_id, each["id"])
            name, parent, start, duration, service, keys, events = wanted[trace_id, each["id"]]
            assert (each["name"], each.get("parentId", ""), each["timestamp"]) == (name, parent, start)
            assert each.get("duration", 0) in (duration, 1 if duration == 0 else duration)
            assert each.get("localEndpoint", {}).get("serviceName", "") == service
            assert keys <= set(each["tags"])
            assert [annotation["timestamp"] for annotation in each["annotations"]] == events
            assert (read["name"], read["parent_span_id"].hex()) == (name, parent if parent != each["id"] else "")
            begin, end = (time // 1000 for time in read["times"])
            assert (begin, end - begin) == (start, each.get("duration", 0))
            assert (read["resource"].get("service.name", ""), read["kind"]) == (service, KINDS[each.get("kind", "")])
            assert [time // 1000 for time, _ in read["events"]] == events
            assert read["status"][0] == STATUS_CODES.index(each["tags"].get("otel.status_code", "UNSET").capitalize())
            own = {"error", "otel.status_code", "otel.status_description", "otel.scope.name", "otel.scope.version"}
            assert {key: value for key, value in each["tags"].items() if key not in own}.items() <= (
                read["attributes"] | read["resource"]
            ).items()
    assert seen
