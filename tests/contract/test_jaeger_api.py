"""Jaeger's query API: what Jaeger's page and Grafana's data source send, and what they get."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from tests.contract.test_query_api_traces import Api, hex_of, request_of, span
from tests.contract.test_query_api_traces import api as api
from tests.support.messages import canonical_spans, with_base64_ids
from tests.support.otlp_json import to_json
from tests.support.requests import EPOCH, every_value_request, key_values, tree_request
from tests.support.traces import read_trace, trace_names

SECOND = 10**9
START_US, END_US = EPOCH // 1000 - 1_000_000, EPOCH // 1000 + 60_000_000
V3_RANGE = {"query.startTimeMin": "2025-01-01T00:00:00Z", "query.startTimeMax": "2100-01-01T00:00:00.123456789Z"}


async def data(api: Api, path: str, **query: Any) -> Any:
    """What is in the envelope of an answer, which has the members that clients read and no others."""
    answer = await api.get(f"/jaeger/api/{path}", **query)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json
    assert set(document) == {"data", "total", "limit", "offset", "errors"}
    assert (document["limit"], document["offset"], document["errors"]) == (0, 0, None)
    return document["data"]


@pytest.fixture
async def shop(api: Api) -> Api:
    """Two traces: one of two services with a failure, and one of a span that names a parent that never came."""
    link = Span.Link(trace_id=(9).to_bytes(16), span_id=(8).to_bytes(8))
    event = Span.Event(name="cache miss", time_unix_nano=EPOCH + 1999, attributes=key_values({"key": "basket"}))
    server = span(
        1,
        2,
        parent=1,
        start=1_234_567,
        duration=5_999,
        name="GET /cart",
        kind=2,
        flags=0x101,
        trace_state="vendor=1",
        attributes=key_values({"http.response.status_code": 500, "big": 2**53 + 1, "ratio": 0.5, "cached": False}),
        status=Status(code=Status.STATUS_CODE_ERROR, message="boom"),
        links=[link],
        events=[event],
    )
    await api.store(
        request_of(span(1, 1, duration=10 * SECOND, name="GET /", kind=3), service="web", **{"host.name": "web-3"}),
        request_of(server, service="cart/eu"),
        request_of(span(2, 1, parent=7, start=SECOND, name="job"), service="web"),
    )
    return api


async def test_lists_of_names_are_sorted_and_counted(api: Api, shop: Api) -> None:
    answer = (await api.get("/jaeger/api/services")).json
    assert answer == {"data": ["cart/eu", "web"], "total": 2, "limit": 0, "offset": 0, "errors": None}
    assert await data(api, "services/web/operations") == ["GET /", "job"]
    # As Grafana sends it: with the slash encoded.
    assert (await api.session.get(f"{api.url}/jaeger/api/services/cart%2Feu/operations")).status == 200
    assert await data(api, "services/cart/eu/operations") == ["GET /cart"]
    assert await data(api, "operations", service="cart/eu") == [{"name": "GET /cart", "spanKind": "server"}]
    assert await data(api, "operations", service="web", spanKind="client") == [{"name": "GET /", "spanKind": "client"}]
    assert (await api.get("/jaeger/api/v3/services")).json == {"services": ["cart/eu", "web"]}
    assert (await api.get("/jaeger/api/v3/operations", service="web")).json == {
        "operations": [{"name": "GET /", "spanKind": "client"}, {"name": "job", "spanKind": "internal"}]
    }


async def test_an_empty_store_has_empty_lists(api: Api) -> None:
    empty = {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": None}
    assert (await api.get("/jaeger/api/services")).json == empty
    assert (await api.get("/jaeger/api/services/nobody/operations")).json == empty
    assert (await api.get("/jaeger/api/dependencies")).json == empty
    assert (await api.get("/jaeger/api/traces", service="nobody", start=START_US, end=END_US)).json == empty
    assert (await api.get("/jaeger/api/v3/services")).json == {"services": []}
    assert (await api.get("/jaeger/api/v3/operations")).json == {"operations": []}
    assert (await api.get("/jaeger/api/v3/trace-summaries", **V3_RANGE)).json == {"summaries": []}


async def test_a_trace_has_every_member_of_jaegers_model(api: Api, shop: Api) -> None:
    (trace,) = await data(api, f"traces/{hex_of(1)}")
    root, server = trace["spans"]
    assert trace["traceID"] == root["traceID"] == hex_of(1)
    assert trace["warnings"] is None
    assert trace["processes"] == {
        "p1": {"serviceName": "web", "tags": [{"key": "host.name", "type": "string", "value": "web-3"}]},
        "p2": {"serviceName": "cart/eu", "tags": []},
    }
    assert (root["processID"], root["references"], root["logs"], root["warnings"]) == ("p1", [], [], None)
    assert root["tags"] == [{"key": "span.kind", "type": "string", "value": "client"}]
    assert server == {
        "traceID": hex_of(1),
        "spanID": f"{2:016x}",
        "flags": 1,
        "operationName": "GET /cart",
        "references": [
            {"refType": "CHILD_OF", "traceID": hex_of(1), "spanID": f"{1:016x}"},
            {"refType": "FOLLOWS_FROM", "traceID": hex_of(9), "spanID": f"{8:016x}"},
        ],
        "startTime": (EPOCH + 1_234_567) // 1000,
        "duration": 5,
        "tags": [
            {"key": "http.response.status_code", "type": "int64", "value": 500},
            {"key": "big", "type": "int64", "value": str(2**53 + 1)},
            {"key": "ratio", "type": "float64", "value": 0.5},
            {"key": "cached", "type": "bool", "value": False},
            {"key": "span.kind", "type": "string", "value": "server"},
            {"key": "error", "type": "bool", "value": True},
            {"key": "otel.status_code", "type": "string", "value": "ERROR"},
            {"key": "otel.status_description", "type": "string", "value": "boom"},
            {"key": "w3c.tracestate", "type": "string", "value": "vendor=1"},
        ],
        "logs": [
            {
                "timestamp": (EPOCH + 1999) // 1000,
                "fields": [
                    {"key": "event", "type": "string", "value": "cache miss"},
                    {"key": "key", "type": "string", "value": "basket"},
                ],
            }
        ],
        "processID": "p2",
        "warnings": None,
    }


async def test_what_is_odd_is_a_warning_unless_the_trace_is_raw(api: Api, shop: Api) -> None:
    (trace,) = await data(api, f"traces/{hex_of(2)}")
    assert trace["spans"][0]["warnings"] == [f"The parent span {7:016x} is not in the trace."]
    (raw,) = await data(api, f"traces/{hex_of(2)}", raw="true")
    assert raw["spans"][0]["warnings"] is None


async def test_pages_draw_the_tree_of_spans_with_one_id_and_of_cycles(api: Api) -> None:
    async def drawn(trace: int, **query: str) -> dict[str, str]:
        """Which span each is drawn below, by name."""
        answer = await api.get(f"/jaeger/api/traces/{hex_of(trace)}", **query)
        spans = answer.json["data"][0]["spans"]
        # As Jaeger's page has it: of spans with one id the first is found under it.
        names: dict[str, str] = {}
        for each in spans:
            names.setdefault(each["spanID"], each["operationName"])
        return {each["operationName"]: names[each["references"][0]["spanID"]] if each["references"] else "" for each in spans}

    server = span(1, 2, parent=1, start=10, duration=800, name="server", kind=2)
    await api.store(
        request_of(
            span(1, 1, duration=1000, name="root"), span(1, 2, parent=1, duration=900, name="client", kind=3), service="web"
        ),
        request_of(server, span(1, 3, parent=2, start=20, duration=700, name="below"), service="cart"),
        request_of(span(2, 1, parent=2, name="a"), span(2, 2, parent=1, name="b"), span(3, 1, parent=1, name="own")),
    )
    assert await drawn(1) == {"root": "", "client": "root", "server": "client", "below": "server"}
    assert await drawn(1, raw="true") == {"root": "", "client": "root", "server": "root", "below": "client"}
    assert await drawn(2) == {"a": "", "b": "a"}
    assert await drawn(3) == {"own": ""}


async def test_a_trace_is_found_under_every_spelling_of_its_id(api: Api, shop: Api) -> None:
    for spelling in (
        "1",
        "0001",
        hex_of(1),
        base64.b64encode((1).to_bytes(16)).decode(),
        base64.urlsafe_b64encode((1).to_bytes(16)).decode().rstrip("="),
    ):
        # The hints of Grafana, in the wrong unit and of another time, exclude nothing.
        (trace,) = await data(api, f"traces/{spelling}", start="1", end="1735689600000", prettyPrint="true")
        assert trace["traceID"] == hex_of(1)


async def test_two_fetches_of_a_trace_are_the_same_bytes(api: Api, shop: Api) -> None:
    answers = [await api.get(f"/jaeger/api/traces/{hex_of(1)}") for _ in range(2)]
    assert answers[0].body == answers[1].body


async def test_pretty_printing_indents_by_four(api: Api, shop: Api) -> None:
    pretty = await api.get(f"/jaeger/api/traces/{hex_of(1)}", prettyPrint="true")
    plain = await api.get(f"/jaeger/api/traces/{hex_of(1)}", prettyPrint="false")
    assert pretty.body.startswith(b'{\n    "data": [\n')
    assert b"\n" not in plain.body
    assert pretty.json == plain.json


async def test_grafanas_search_finds_whole_traces(api: Api, shop: Api) -> None:
    asked = {"service": "cart/eu", "start": START_US, "end": END_US, "limit": 20, "lookback": "1h"}
    for more in (
        {},
        {"operation": "GET /cart"},
        {"tags": json.dumps({"http.response.status_code": "500"})},
        {"tags": json.dumps({"http.response.status_code": 500, "cached": False})},
        {"tag": "http.response.status_code:500"},
        {"tags": '{"error":"true"}'},
        {"minDuration": "5us", "maxDuration": "1ms"},
    ):
        (found,) = await data(api, "traces", **asked, **more)
        assert (found["traceID"], len(found["spans"])) == (hex_of(1), 2)
    for more in (
        {"tags": '{"http.response.status_code":"404"}'},
        {"minDuration": "1ms"},
        {"operation": "GET /"},  # which another span of the trace has
    ):
        assert await data(api, "traces", **asked, **more) == []
    # The newest first; without a service, all of them.
    found = await data(api, "traces", start=START_US, end=END_US)
    assert [trace["traceID"] for trace in found] == [hex_of(2), hex_of(1)]
    assert [trace["traceID"] for trace in await data(api, "traces", start=START_US, end=END_US, limit=1)] == [hex_of(2)]


async def test_traces_by_id_say_which_are_unknown(api: Api, shop: Api) -> None:
    answer = await api.session.get(f"{api.url}/jaeger/api/traces?traceID=2&traceID={hex_of(5)}&traceID=1")
    document = await answer.json()
    assert answer.status == 200
    assert [trace["traceID"] for trace in document["data"]] == [hex_of(2), hex_of(1)]
    assert document["errors"] == [{"code": 404, "msg": "trace not found", "traceID": hex_of(5)}]


async def test_an_unknown_trace_is_404_in_the_form_of_either_api(api: Api, shop: Api) -> None:
    answer = await api.get(f"/jaeger/api/traces/{hex_of(5)}")
    assert answer.status == 404
    assert answer.json == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": [{"code": 404, "msg": "trace not found"}],
    }
    none = {"error": {"httpCode": 404, "message": "No traces found"}}
    for path, query in ((f"traces/{hex_of(5)}", {}), ("traces", {**V3_RANGE, "query.serviceName": "nobody"})):
        answer = await api.get(f"/jaeger/api/v3/{path}", **query)
        assert (answer.status, answer.json) == (404, none)


BAD: list[tuple[str, dict[str, str], str]] = [
    ("traces/xyz", {}, "traceID"),
    (f"traces/{0:032x}", {}, "traceID"),
    ("traces", {"limit": "abc"}, "limit"),
    ("traces", {"limit": "0"}, "limit"),
    ("traces", {"limit": "1501"}, "limit"),
    ("traces", {"start": "yesterday"}, "start"),
    ("traces", {"start": "99999999999999999999"}, "start"),
    ("traces", {"start": "2", "end": "1"}, "start"),
    ("traces", {"minDuration": "5"}, "minDuration"),
    ("traces", {"minDuration": "5ms", "maxDuration": "4ms"}, "maxDuration"),
    ("traces", {"tag": "nocolon"}, "tag"),
    ("traces", {"tags": "{"}, "tags"),
    ("traces", {"tags": "[1]"}, "tags"),
    ("traces", {"tags": '{"a":{}}'}, "tags"),
    ("traces", {"traceID": "-"}, "traceID"),
    ("traces", {"raw": "perhaps"}, "raw"),
    ("operations", {}, "service"),
    ("operations", {"service": "web", "spanKind": "odd"}, "spanKind"),
    ("dependencies", {"endTs": "now"}, "endTs"),
    ("dependencies", {"lookback": "1h"}, "lookback"),
    ("metrics/calls", {}, "service"),
    ("metrics/latencies", {"service": "web"}, "quantile"),
    ("metrics/latencies", {"service": "web", "quantile": "2"}, "quantile"),
    ("metrics/errors", {"service": "web", "step": "1m"}, "step"),
    ("metrics/errors", {"service": "web", "spanKind": "odd"}, "spanKind"),
    ("metrics/errors", {"service": "web", "lookback": str(10**12)}, "step"),
]


async def test_a_bad_parameter_is_400_in_the_envelope(api: Api) -> None:
    for path, query, named in BAD:
        answer = await api.get(f"/jaeger/api/{path}", **query)
        assert answer.status == 400
        document = answer.json
        assert document["data"] is None
        (error,) = document["errors"]
        assert error["code"] == 400
        assert error["msg"].startswith(named + "=")


BAD_IN_V3: list[tuple[str, dict[str, str], str]] = [
    ("traces", {}, "query.startTimeMin"),
    ("trace-summaries", {"query.startTimeMin": "2025-01-01T00:00:00Z"}, "query.startTimeMax"),
    ("trace-summaries", {**V3_RANGE, "query.startTimeMax": "2000-01-01T00:00:00Z"}, "query.startTimeMin"),
    ("trace-summaries", {**V3_RANGE, "query.searchDepth": "-1"}, "query.searchDepth"),
    ("trace-summaries", {**V3_RANGE, "query.durationMin": "x"}, "query.durationMin"),
    ("trace-summaries", {**V3_RANGE, "query.attributes": "x"}, "query.attributes"),
    ("trace-summaries", {**V3_RANGE, "query.filter": "{}"}, "query.filter"),
    ("traces/zzz", {}, "trace_id"),
    ("operations", {"spanKind": "odd"}, "spanKind"),
]


async def test_a_bad_parameter_of_v3_is_400_in_its_form(api: Api) -> None:
    for path, query, named in BAD_IN_V3:
        answer = await api.get(f"/jaeger/api/v3/{path}", **query)
        assert (answer.status, answer.json["error"]["httpCode"]) == (400, 400)
        assert answer.json["error"]["message"].startswith(f"malformed parameter {named}: ")


async def test_summaries_are_of_whole_traces(api: Api, shop: Api) -> None:
    found = await api.get("/jaeger/api/v3/trace-summaries", **V3_RANGE, **{"query.serviceName": "cart/eu"})
    assert found.json == {
        "summaries": [
            {
                "traceId": hex_of(1),
                "rootServiceName": "web",
                "rootOperationName": "GET /",
                "minStartTimeUnixNano": str(EPOCH),
                "maxEndTimeUnixNano": str(EPOCH + 10 * SECOND),
                "spanCount": 2,
                "errorSpanCount": 1,
                "services": [
                    {"name": "cart/eu", "spanCount": 1, "errorSpanCount": 1},
                    {"name": "web", "spanCount": 1},
                ],
            }
        ]
    }
    (orphan,) = (await api.get("/jaeger/api/v3/trace-summaries", **V3_RANGE, **{"query.operationName": "job"})).json["summaries"]
    assert orphan["orphanSpanCount"] == 1
    assert "rootServiceName" not in orphan


async def test_v3_traces_are_otlp_json_in_both_spellings(api: Api, shop: Api) -> None:
    old = {
        "query.service_name": "cart/eu",
        "query.start_time_min": V3_RANGE["query.startTimeMin"],
        "query.start_time_max": V3_RANGE["query.startTimeMax"],
        "query.num_traces": "20",
        "query.duration_min": "1us",
    }
    new = {**V3_RANGE, "query.serviceName": "cart/eu", "query.attributes": '{"error":"true"}', "query.searchDepth": "20"}
    by_id = await api.get(f"/jaeger/api/v3/traces/{hex_of(1)}", start_time="x", end_time="x")
    for query in (old, new):
        assert (await api.get("/jaeger/api/v3/traces", **query)).json == by_id.json
    first, second = by_id.json["result"]["resourceSpans"]
    (server,) = second["scopeSpans"][0]["spans"]
    assert first["scopeSpans"][0]["spans"][0]["parentSpanId"] == ""
    assert (server["traceId"], server["spanId"], server["kind"]) == (hex_of(1), f"{2:016x}", 2)
    assert server["startTimeUnixNano"] == str(EPOCH + 1_234_567)
    assert server["status"] == {"message": "boom", "code": 2}


async def test_v3_gives_back_everything_that_was_sent(api: Api) -> None:
    message = every_value_request()
    await api.store(message)
    got = TracesData()
    for trace_id in {sent.trace_id.hex() for rs in message.resource_spans for ss in rs.scope_spans for sent in ss.spans}:
        document = (await api.get(f"/jaeger/api/v3/traces/{trace_id}")).json["result"]
        got.resource_spans.extend(ParseDict(with_base64_ids(document), TracesData()).resource_spans)
    assert sorted(canonical_spans(got)) == sorted(canonical_spans(message))


async def test_spans_of_real_traces_come_back_through_jaeger(api: Api) -> None:
    """As far as Jaeger's model can say it: ids, names, times in microseconds, texts of attributes, events, services."""
    wanted: dict[tuple[str, str], tuple[Any, ...]] = {}
    message = TracesData()
    for name in trace_names()[:4]:
        message.resource_spans.extend(read_trace(name).message.resource_spans)
    await api.store(message)
    for resource_spans in message.resource_spans:
        attributes = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for sent in scope_spans.spans:
                wanted[sent.trace_id.hex(), sent.span_id.hex()] = (
                    sent.name,
                    sent.parent_span_id.hex(),
                    sent.start_time_unix_nano // 1000,
                    max(sent.end_time_unix_nano - sent.start_time_unix_nano, 0) // 1000,
                    attributes.get("service.name") or "unknown_service",
                    {each.key for each in sent.attributes},
                    [event.time_unix_nano // 1000 for event in sent.events],
                )
    got = {}
    for trace_id in sorted({trace_id for trace_id, _ in wanted if trace_id}):
        (trace,) = await data(api, f"traces/{trace_id}")
        for each in trace["spans"]:
            parents = [ref["spanID"] for ref in each["references"] if ref["refType"] == "CHILD_OF"]
            got[trace_id, each["spanID"]] = (
                each["operationName"],
                parents[0] if parents else "",
                each["startTime"],
                each["duration"],
                trace["processes"][each["processID"]]["serviceName"],
                {tag["key"] for tag in each["tags"]},
                [log["timestamp"] for log in each["logs"]],
            )
    assert got
    for key, (*fields, keys, events) in got.items():
        *sent_fields, sent_keys, sent_events = wanted[key]
        assert (fields, events) == (sent_fields, sent_events)
        assert sent_keys <= keys


async def test_a_file_of_spans_is_shown_as_stored_ones_are(api: Api) -> None:
    message = ExportTraceServiceRequest()
    for each in (every_value_request(), tree_request(depth=4, children=3, seed=5), tree_request(depth=2, seed=3)):
        message.MergeFromString(each.SerializeToString())
        await api.store(each)
    status, document = await transformed(api, to_json(message))
    assert (status, document["errors"]) == (200, None)
    traces = {trace["traceID"]: trace for trace in document["data"]}
    assert len(traces) == 3
    for trace_id, trace in traces.items():
        assert [trace] == await data(api, f"traces/{trace_id}")


async def test_what_is_no_file_of_spans_is_told_in_the_envelope(api: Api) -> None:
    broken = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00","spanId":"01"}]}]}]}'
    assert (await transformed(api, b'{"resourceSpans":[]}'))[1]["data"] == []
    status, document = await transformed(api, broken)
    assert (status, document["data"], len(document["errors"])) == (200, [], 1)
    for body, code in ((b"", 400), (b"[1", 400), (b'{"data": []}', 200), (b" " * (17 << 20), 413)):
        status, document = await transformed(api, body)
        assert status == code, body[:20]
        if code != 200:
            assert document["errors"][0]["code"] == code


async def transformed(api: Api, body: bytes) -> tuple[int, Any]:
    async with api.session.post(f"{api.url}/jaeger/api/transform", data=io.BytesIO(body)) as response:
        return response.status, await response.json()
