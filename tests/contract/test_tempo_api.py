"""Tempo's query API: what Grafana's Tempo data source sends, and what it gets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from collector.api.routing import QuerySettings
from tests.contract.test_query_api_traces import Api, Running, hex_of, request_of, span
from tests.contract.test_query_api_traces import api as api
from tests.support.messages import canonical_spans
from tests.support.requests import EPOCH, every_value_request, key_values

SECOND = 10**9
RANGE: dict[str, Any] = {"start": EPOCH // SECOND - 1, "end": EPOCH // SECOND + 60}


@pytest.fixture
async def shop(api: Api) -> Api:
    """Three traces: a request with a failed call below it; one that went well; and spans whose root has not arrived."""
    event = Span.Event(name="exception", time_unix_nano=EPOCH, attributes=key_values({"exception.type": "KeyError"}))
    for trace, failed in ((1, True), (2, False)):
        status = Status(code=Status.STATUS_CODE_ERROR, message="boom") if failed else Status()
        attributes = key_values({"http.response.status_code": 500 if failed else 200, "ratio": 0.5, "cached": not failed})
        start = trace * SECOND
        await api.store(
            request_of(
                span(trace, 1, start=start, duration=120_000_000, name="GET /", kind=2),
                span(trace, 2, parent=1, start=start, duration=4_500_000, name="GET /cart", kind=3),
                service="web",
                **{"host.name": f"web-{trace}"},
            ),
            request_of(
                span(
                    trace,
                    3,
                    parent=2,
                    start=start + 123,
                    duration=4_000_000,
                    name="GET /cart",
                    kind=2,
                    status=status,
                    attributes=attributes,
                    events=[event] if failed else [],
                ),
                service="cart",
            ),
        )
    await api.store(request_of(span(3, 5, parent=4, start=3 * SECOND, name="late", attributes=key_values({"a/b": "x y"}))))
    return api


async def found(api: Api, q: str, **more: Any) -> list[int]:
    """Traces that a TraceQL query finds, by their numbers, in the order of the answer."""
    answer = await api.get("/tempo/api/search", q=q, **{**RANGE, **more})
    assert answer.status == 200, answer.body
    return [int(trace["traceID"], 16) for trace in answer.json["traces"]]


def named(series: dict[str, Any]) -> str:
    """The labels of a series of metrics, as Prometheus writes them."""
    # Grafana's data source reads answers strictly: any other member fails it.
    assert set(series) <= {"labels", "samples", "exemplars"} or set(series) == {"labels", "value"}
    texts = ((each["key"], next(iter(each["value"].values()))) for each in series["labels"])
    return "{" + ", ".join(f'{key}="{text}"' for key, text in texts) + "}"


async def matched(api: Api, q: str) -> dict[int, list[int]]:
    """Spans that fit, by trace."""
    answer = await api.get("/tempo/api/search", q=q, spss=100, **RANGE)
    assert answer.status == 200, answer.body
    return {
        int(trace["traceID"], 16): sorted(int(each["spanID"], 16) for each in trace["spanSet"]["spans"])
        for trace in answer.json["traces"]
    }


async def test_grafana_sees_that_somebody_is_there(api: Api) -> None:
    echo = await api.get("/tempo/api/echo")
    assert (echo.status, echo.body) == (200, b"echo")
    assert (await api.get("/tempo/api/status/buildinfo")).json["version"].startswith("2.")


@pytest.mark.parametrize("version", ["", "v2/"])
async def test_a_trace_comes_back_whole_as_protobuf_and_json(api: Api, version: str) -> None:
    message = every_value_request()
    await api.store(message)
    got, got_json = TracesData(), TracesData()
    for trace_id in {sent.trace_id.hex() for rs in message.resource_spans for ss in rs.scope_spans for sent in ss.spans}:
        answer = await api.get(f"/tempo/api/{version}traces/{trace_id}", accept="application/protobuf")
        assert answer.headers["Content-Type"] == "application/protobuf"
        body = answer.body
        if version:
            # A message whose first member is the trace.
            length, shift, position = 0, 0, 1
            assert body[0] == 0x0A
            while True:
                length |= (body[position] & 0x7F) << shift
                shift, position = shift + 7, position + 1
                if body[position - 1] < 0x80:
                    break
            wrapped = TracesData.FromString(body[position : position + length])
            assert body[position + length :] == b"\x12\x00"
        else:
            wrapped = TracesData.FromString(body)
        # Grafana's Tempo data source reads each span's status without asking whether there is one.
        assert all(span.HasField("status") for rs in wrapped.resource_spans for ss in rs.scope_spans for span in ss.spans)
        got.resource_spans.extend(wrapped.resource_spans)
        document = (await api.get(f"/tempo/api/{version}traces/{trace_id}")).json
        if version:
            assert (document["status"], document["message"]) == ("COMPLETE", "")
            groups = document["trace"]["resourceSpans"]
        else:
            groups = document["batches"]
        got_json.resource_spans.extend(ParseDict({"resourceSpans": groups}, TracesData()).resource_spans)
    assert sorted(canonical_spans(got)) == sorted(canonical_spans(message))
    assert sorted(canonical_spans(got_json)) == sorted(canonical_spans(message))


async def test_grafana_can_show_spans_that_name_no_service_or_end_before_they_start(api: Api) -> None:
    backwards = span(1, 1, duration=-5)
    unfinished = span(1, 2)
    unfinished.ClearField("end_time_unix_nano")
    message = request_of(backwards, unfinished)
    message.resource_spans[0].ClearField("resource")
    await api.store(message)
    body = (await api.get(f"/tempo/api/traces/{hex_of(1)}", accept="application/protobuf")).body
    (found,) = TracesData.FromString(body).resource_spans
    assert [(pair.key, pair.value.string_value) for pair in found.resource.attributes] == [("service.name", "unknown_service")]
    assert [each.end_time_unix_nano for each in found.scope_spans[0].spans] == [EPOCH, EPOCH]


async def test_ids_are_base64_and_enumerations_are_names(api: Api, shop: Api) -> None:
    document = (await api.get(f"/tempo/api/traces/{hex_of(1)}", **RANGE)).json
    (server,) = document["batches"][1]["scopeSpans"][0]["spans"]
    assert (server["traceId"], server["spanId"]) == ("AAAAAAAAAAAAAAAAAAAAAQ==", "AAAAAAAAAAM=")
    assert (server["kind"], server["status"]) == ("SPAN_KIND_SERVER", {"message": "boom", "code": "STATUS_CODE_ERROR"})


async def test_a_missing_trace_is_404_in_v1_and_empty_in_v2(api: Api) -> None:
    for accept in ("application/json", "application/protobuf"):
        answer = await api.get(f"/tempo/api/traces/{hex_of(9)}", accept=accept)
        assert (answer.status, answer.body) == (404, b"")
    answer = await api.get(f"/tempo/api/v2/traces/{hex_of(9)}")
    assert (answer.status, answer.json) == (200, {"trace": {}, "metrics": {}, "status": "COMPLETE", "message": ""})
    answer = await api.get(f"/tempo/api/v2/traces/{hex_of(9)}", accept="application/protobuf")
    assert (answer.status, answer.body) == (200, b"\x0a\x00\x12\x00")


async def test_a_trace_that_is_too_large_says_so(api: Api, shop: Api) -> None:
    async with Running(api.client, QuerySettings(max_spans=2)) as small:
        document = (await small.get(f"/tempo/api/v2/traces/{hex_of(1)}")).json
        assert document["status"] == "PARTIAL"
        assert "earliest 2 spans" in document["message"]
        body = (await small.get(f"/tempo/api/v2/traces/{hex_of(1)}", accept="application/protobuf")).body
        assert document["message"].encode() in body
        assert b"\x18\x01\x22" in body


async def test_a_hit_has_every_member_that_grafana_reads(api: Api, shop: Api) -> None:
    query = '{ resource.service.name = "cart" && span.http.response.status_code >= 500 && status = error }'
    document = (await api.get("/tempo/api/search", q=query, limit=20, spss=3, **RANGE)).json
    assert set(document) == {"traces", "metrics"}
    span_set = {
        "spans": [
            {
                "spanID": f"{3:016x}",
                "name": "GET /cart",
                "startTimeUnixNano": str(EPOCH + SECOND + 123),
                "durationNanos": "4000000",
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "cart"}},
                    {"key": "http.response.status_code", "value": {"intValue": "500"}},
                    {"key": "status", "value": {"stringValue": "error"}},
                ],
            }
        ],
        "matched": 1,
    }
    assert document["traces"] == [
        {
            "traceID": hex_of(1),
            "rootServiceName": "web",
            "rootTraceName": "GET /",
            "startTimeUnixNano": str(EPOCH + SECOND),
            "durationMs": 120,
            "spanSet": span_set,
            "spanSets": [span_set],
            "serviceStats": {"cart": {"spanCount": 1, "errorCount": 1}, "web": {"spanCount": 2}},
        }
    ]


async def test_spans_say_where_in_their_trees_they_stand(api: Api, shop: Api) -> None:
    """What Grafana's page Traces Drilldown asks to make one tree of many traces."""
    query = (
        "({nestedSetParent<0 && true } &>> { kind = server }) || ({nestedSetParent<0 && true })"
        " | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)"
    )
    # One whose call was stored without it.
    await api.store(request_of(span(4, 1, start=4 * SECOND), span(4, 3, parent=2, start=4 * SECOND, kind=2)))

    def numbers(found: dict[str, Any]) -> tuple[int, list[int]]:
        values = {each["key"]: each["value"] for each in found["attributes"]}
        names = ("nestedSetLeft", "nestedSetRight", "nestedSetParent")
        return int(found["spanID"], 16), [int(values[name]["intValue"]) for name in names]

    document = (await api.get("/tempo/api/search", q=query, limit=200, spss=20, **RANGE)).json
    assert {int(trace["traceID"], 16): list(map(numbers, trace["spanSet"]["spans"])) for trace in document["traces"]} == {
        1: [(1, [1, 6, -1]), (3, [3, 4, 2])],
        2: [(1, [1, 6, -1]), (3, [3, 4, 2])],
        4: [(1, [1, 2, -1])],
    }
    document = (await api.get("/tempo/api/search", q="{ kind = server } | select(nestedSetParent)", **RANGE)).json
    assert [found["attributes"][-1:] for found in document["traces"][0]["spanSet"]["spans"]] == [
        [{"key": "nestedSetParent", "value": {"intValue": "0"}}]
    ]


async def test_matched_counts_all_and_spss_bounds_those_that_are_shown(api: Api, shop: Api) -> None:
    document = (await api.get("/tempo/api/search", q="{}", spss=2, limit=1, **RANGE)).json
    assert [trace["rootServiceName"] for trace in document["traces"]] == ["<root span not yet received>"]
    document = (await api.get("/tempo/api/search", q='{ name = "GET /cart" }', spss=1, **RANGE)).json
    assert [(trace["spanSet"]["matched"], len(trace["spanSet"]["spans"])) for trace in document["traces"]] == [(2, 1), (2, 1)]


QUERIES: list[tuple[str, dict[int, list[int]]]] = [
    ("{}", {1: [1, 2, 3], 2: [1, 2, 3], 3: [5]}),
    ('{ name = "GET /" }', {1: [1], 2: [1]}),
    ('{ name =~ "GET /c.*" }', {1: [2, 3], 2: [2, 3]}),
    ('{ name =~ "/cart" }', {}),
    ('{ name !~ "GET.*" }', {3: [5]}),
    ("{ kind = client }", {1: [2], 2: [2]}),
    ("{ status = error }", {1: [3]}),
    ('{ statusMessage = "boom" }', {1: [3]}),
    ("{ duration > 100ms }", {1: [1], 2: [1]}),
    ("{ traceDuration >= 120ms && kind = server }", {1: [1, 3], 2: [1, 3]}),
    ("{ trace:duration < 1ms }", {3: [5]}),
    ("{ kind = server && duration > trace:duration * .3 }", {1: [1], 2: [1]}),
    ("{ kind = server && duration * 2 < traceDuration - 100ms }", {1: [3], 2: [3]}),
    ("{ nestedSetParent<0 && true } &>> { duration > trace:duration * .03 && .ratio > .4 }", {1: [1, 3], 2: [1, 3]}),
    ('{ rootServiceName = "web" && trace:rootName = "GET /" && kind = client }', {1: [2], 2: [2]}),
    ("{ nestedSetParent < 0 }", {1: [1], 2: [1]}),
    ('{ resource.host.name = "web-2" }', {2: [1, 2]}),
    ('{ .host.name = "web-2" || .http.response.status_code = 500 }', {1: [3], 2: [1, 2]}),
    ("{ span.http.response.status_code != 500 }", {2: [3]}),
    ("{ !(span.http.response.status_code = 500) && kind = server }", {1: [1], 2: [1, 3]}),
    ("{ .ratio > 0.4 && .ratio <= 0.5 }", {1: [3], 2: [3]}),
    ("{ .cached = true }", {2: [3]}),
    ("{ .cached }", {2: [3]}),
    ("{ .cached = nil && kind = server }", {1: [1], 2: [1]}),
    ("{ .cached != nil }", {1: [3], 2: [3]}),
    ('{ event:name = "exception" && event.exception.type = "KeyError" }', {1: [3]}),
    ('{ span."a/b" = "x y" }', {3: [5]}),
    ('{ span:id = "0000000000000005" }', {3: [5]}),
    ('{ trace:id = "00000000000000000000000000000002" && kind = client }', {2: [2]}),
    ('{ status = error } && { name = "GET /" }', {1: [1, 3]}),
    ('{ status = error } || { name = "late" }', {1: [3], 3: [5]}),
    ('{ name = "GET /" } > { kind = client }', {1: [2], 2: [2]}),
    ("{ status = error } < { kind = client }", {1: [2]}),
    ("{ kind = client } &> { status = error }", {1: [2, 3]}),
    ("{ kind = client } !> { kind = server }", {1: [1], 2: [1]}),
    ("{ parent.resource.host.name = `web-1` }", {1: [2, 3]}),
    ("{ kind = server } | count() > 1", {1: [1, 3], 2: [1, 3]}),
    ("{} | count() = 1", {3: [5]}),
    ("{ kind = server } | avg(duration) > 62ms", {}),
    ("{ kind = server } | max(duration) >= 120ms", {1: [1, 3], 2: [1, 3]}),
    ("{ kind = server } | sum(.http.response.status_code) = 200", {2: [1, 3]}),
    ("{ kind = server } | { status = error }", {1: [3]}),
    ("{ status = error } | select(resource.host.name)", {1: [3]}),
    ("{ true } with (most_recent=true)", {1: [1, 2, 3], 2: [1, 2, 3], 3: [5]}),
]


async def test_traceql_finds_the_spans_that_it_asks_for(api: Api, shop: Api) -> None:
    for query, expected in QUERIES:
        assert (query, await matched(api, query)) == (query, expected)


async def test_siblings_are_other_children_of_the_parent(api: Api) -> None:
    children = [span(1, number, parent=1, name=name) for number, name in ((2, "a"), (3, "b"), (4, "b"))]
    await api.store(request_of(span(1, 1, name="root"), *children, span(1, 5, parent=2, name="a"), span(2, 1, name="a")))
    for query, expected in (
        ('{ name = "a" } ~ {}', {1: [3, 4]}),
        ('{ name = "b" } ~ {}', {1: [2, 3, 4]}),
        ('{ name = "b" } ~ { name = "b" }', {1: [3, 4]}),
        ('{ name = "a" } ~ { name = "a" }', {}),
        ('{ name = "a" } &~ { name = "b" }', {1: [2, 3, 4]}),
        ('{ name = "root" } ~ {}', {}),
    ):
        assert (query, await matched(api, query)) == (query, expected)


async def test_the_newest_come_first_and_the_range_counts(api: Api, shop: Api) -> None:
    assert await found(api, "{}") == [3, 2, 1]
    assert await found(api, "{}", limit=2) == [3, 2]
    assert await found(api, "{}", start=EPOCH // SECOND, end=EPOCH // SECOND + 2) == [1]


async def test_the_tags_of_before_are_parts_in_either_case(api: Api, shop: Api) -> None:
    for tags, expected in (
        ("service.name=CAR", [2, 1]),
        ('service.name=cart name="get /C"', [2, 1]),
        ("http.response.status_code=500 error=true", [1]),
        ('a/b="x y"', [3]),
        ("service.name=nobody", []),
    ):
        assert await found(api, "", tags=tags) == expected
    assert await found(api, "", minDuration="100ms") == [2, 1]
    assert await found(api, "", tags="service.name=shop", maxDuration="1ms") == [3]


BAD: list[tuple[str, dict[str, str], str]] = [
    ("v2/search/tag/service.name/values", {}, "tag"),
    ("search", {"limit": "0"}, "limit"),
    ("search", {"limit": ""}, "limit"),
    ("search", {"limit": "1000000"}, "limit"),
    ("search", {"spss": "101"}, "spss"),
    ("search", {"start": "1"}, "end"),
    ("search", {"end": "1"}, "start"),
    ("search", {"start": "2", "end": "2"}, "end"),
    ("search", {"start": "yesterday", "end": "2"}, "start"),
    ("search", {"q": "{"}, "q"),
    ("search", {"q": "{ .a = 'x' }"}, "q"),
    ("search", {"q": "{} | rate()"}, "q"),
    ("search", {"q": "{} | compare({})"}, "q"),
    ("search", {"q": "{}", "tags": "a=b"}, "tags"),
    ("search", {"tags": "a"}, "tags"),
    ("search", {"tags": 'a="b'}, "tags"),
    ("search", {"minDuration": "5"}, "minDuration"),
    ("search", {"q": "{ .a = 1 }" + "x" * 12_000}, "q"),
    ("traces/xyz", {}, "traceID"),
    ("v2/traces/0", {}, "traceID"),
    (f"v2/traces/{1:032x}", {"q": "{}"}, "q"),
    ("search/tags", {"scope": "odd"}, "scope"),
    ("metrics/query_range", {}, "q"),
    ("metrics/query_range", {"q": "{}"}, "q"),
    ("metrics/query_range", {"q": "{} | rate()", "step": "x"}, "step"),
    ("metrics/query_range", {"q": "{} | rate()", "step": "1ms"}, "step"),
    ("metrics/query_range", {"q": "{} | rate()", "start": "1", "end": "1"}, "start"),
    ("metrics/query_range", {"q": "{} | rate()", "start": "1", "end": "100000"}, "start"),
    ("metrics/query_range", {"q": "{} | rate()", "since": "1"}, "since"),
    ("metrics/query_range", {"q": "({} | rate()) / ({} | count() > 1)"}, "q"),
    ("metrics/query", {}, "q"),
    ("metrics/query", {"q": "1 + 2"}, "q"),
    ("metrics/query", {"q": "(5)"}, "q"),
    ("metrics/query", {"q": "{} | rate()", "start": "1", "end": "100000"}, "start"),
    ("search", {"q": "({} | rate()) / ({} | rate())"}, "q"),
    ("v2/search/tags", {"limit": "x"}, "limit"),
    ("v2/search/tag/odd/values", {}, "tag"),
]


async def test_a_bad_parameter_is_400_in_plain_text(api: Api) -> None:
    for path, query, named in BAD:
        answer = await api.get(f"/tempo/api/{path}", **query)
        assert answer.status == 400
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.body.decode().startswith(named + "=")


async def test_an_error_of_traceql_names_its_place(api: Api) -> None:
    answer = await api.get("/tempo/api/search", q="{ name = 5 }")
    assert answer.body.decode().endswith("line 1, column 10: expected a text in double quotes")


async def test_tags_are_completed_by_scope(api: Api, shop: Api) -> None:
    document = (await api.get("/tempo/api/v2/search/tags", limit=5000, **RANGE)).json
    scopes = {scope["name"]: scope["tags"] for scope in document["scopes"]}
    assert scopes["resource"] == ["host.name", "service.name"]
    assert scopes["span"] == ["a/b", "cached", "http.response.status_code", "ratio"]
    assert scopes["event"] == ["exception.type"]
    assert "duration" in scopes["intrinsic"]
    document = (await api.get("/tempo/api/v2/search/tags", scope="resource", q='{ name = "late" }', **RANGE)).json
    assert document["scopes"] == [{"name": "resource", "tags": ["service.name"]}]
    names = (await api.get("/tempo/api/search/tags", **RANGE)).json["tagNames"]
    assert {"host.name", "ratio", "exception.type"} <= set(names)


async def test_the_traces_app_can_break_down_by_every_intrinsic_that_it_is_offered(api: Api, shop: Api) -> None:
    document = (await api.get("/tempo/api/v2/search/tags", scope="intrinsic", **RANGE)).json
    (offered,) = (scope["tags"] for scope in document["scopes"])
    # What the app leaves out by itself, in its `shared.ts`.
    for name in set(offered) - {"trace:duration", "traceDuration"}:
        q = f"{{nestedSetParent<0 && true && {name} != nil}} | rate() by({name})"
        answer = await api.get("/tempo/api/metrics/query_range", q=q, **RANGE)
        assert answer.status == 200, answer.body


async def test_values_are_completed_with_their_types(api: Api, shop: Api) -> None:
    async def values(tag: str, **query: Any) -> list[tuple[str, str]]:
        answer = await api.session.get(f"{api.url}/tempo/api/v2/search/tag/{tag}/values", params={**RANGE, **query})
        assert answer.status == 200, await answer.text()
        return sorted((each["type"], each["value"]) for each in (await answer.json())["tagValues"])

    assert await values("resource.service.name") == [("string", "cart"), ("string", "shop"), ("string", "web")]
    assert await values(".http.response.status_code") == [("int", "200"), ("int", "500")]
    assert await values("span.ratio") == [("float", "0.5")]
    assert await values("span.cached") == [("bool", "false"), ("bool", "true")]
    assert await values("event.exception.type") == [("string", "KeyError")]
    assert await values("name") == [("string", "GET /"), ("string", "GET /cart"), ("string", "late")]
    assert await values("rootServiceName") == [("string", "web")]
    assert await values("event:name") == [("string", "exception")]
    assert ("keyword", "error") in await values("status")
    assert await values("duration") == await values("trace:duration") == []
    # As Grafana sends them: with what stands so far, and a name that is encoded twice.
    assert await values("resource.service.name", q="{ span.foo=") == await values("resource.service.name")
    assert await values("resource.service.name", q="{ .cached != nil && span.foo= }") == [("string", "cart")]
    document = await (await api.session.get(f"{api.url}/tempo/api/v2/search/tag/span.a%252Fb/values", params=RANGE)).json()
    assert document["tagValues"] == [{"type": "string", "value": "x y"}]
    # And as its back end does, which leaves slashes as they are.
    document = await (await api.session.get(f"{api.url}/tempo/api/v2/search/tag/span.a/b/values", params=RANGE)).json()
    assert document["tagValues"] == [{"type": "string", "value": "x y"}]
    document = (await api.get("/tempo/api/search/tag/service.name/values", limit=1, **RANGE)).json
    assert document == {"tagValues": ["web"], "metrics": {}}


async def test_values_have_their_types_beside_nested_ones_and_are_told_once(api: Api) -> None:
    nested = {"list": ["a", {"b": [1, 2.5]}], "map": {"x": True, "y": "1"}}
    values = (1, 1.0, "1", True, [1], b"", "", None)
    await api.store(
        request_of(
            *(span(1, n, attributes=key_values({**nested, "v": value, "after": n})) for n, value in enumerate(values, 1)),
            span(1, 99, attributes=key_values({"v": 1})),
        )
    )

    async def found(path: str) -> list[Any]:
        document = (await api.get(f"/tempo/api/{path}", **RANGE)).json
        return sorted(document["tagValues"], key=str)

    assert await found("v2/search/tag/span.v/values") == [
        {"type": kind, "value": text}
        for kind, text in (("bool", "true"), ("float", "1"), ("int", "1"), ("string", ""), ("string", "1"), ("string", "[1]"))
    ]
    assert await found("search/tag/v/values") == ["", "1", "[1]", "true"]


async def test_metrics_are_made_of_the_spans_that_fit(api: Api, shop: Api) -> None:
    async def series(q: str, **more: Any) -> dict[str, list[float]]:
        answer = await api.get("/tempo/api/metrics/query_range", q=q, step="2s", **{**span_of_time, **more})
        assert answer.status == 200, answer.body
        assert answer.json["status"] == ("PARTIAL" if "maxSeries" in more else "COMPLETE")
        return {named(each): [sample["value"] for sample in each["samples"]] for each in answer.json["series"]}

    # Two steps of two seconds: the first has traces 1, the second 2 and 3.
    first = EPOCH // SECOND // 2 * 2
    assert first == EPOCH // SECOND
    span_of_time = {"start": first, "end": first + 4}
    assert await series("{ kind = server } | rate()") == {'{__name__="rate"}': [1.0, 1.0]}
    assert await series('{ name = "late" } | count_over_time()') == {'{__name__="count_over_time"}': [0, 1]}
    assert await series("{} | count_over_time() by (resource.service.name)") == {
        '{resource.service.name="cart"}': [1, 1],
        '{resource.service.name="shop"}': [0, 1],
        '{resource.service.name="web"}': [2, 2],
    }
    assert await series("{} | count_over_time() by (resource.service.name)", maxSeries=1) == {
        '{resource.service.name="web"}': [2, 2]
    }
    assert await series("{ kind = server } | max_over_time(duration)") == {'{__name__="max_over_time"}': [0.12, 0.12]}
    assert await series("{} | sum_over_time(span.http.response.status_code) by (.cached, status)") == {
        '{.cached="false", status="error"}': [500],
        '{.cached="true", status="unset"}': [200],
    }
    quantiles = await series("{ kind = client } | quantile_over_time(duration, .5, 0.9) by (name)")
    assert set(quantiles) == {'{name="GET /cart", p="0.5"}', '{name="GET /cart", p="0.9"}'}
    assert all(values == pytest.approx([0.0045, 0.0045]) for values in quantiles.values())
    assert await series('{ name = "nobody" } | rate()') == {}


async def test_metrics_are_calculated_with_where_their_labels_agree(api: Api, shop: Api) -> None:
    async def series(q: str) -> dict[str, list[float]]:
        first = EPOCH // SECOND
        answer = await api.get("/tempo/api/metrics/query_range", q=q, step="2s", start=first, end=first + 4)
        assert answer.status == 200, answer.body
        return {named(each): [sample["value"] for sample in each["samples"]] for each in answer.json["series"]}

    # The spans by service, in two steps: cart 1, 1; shop 0, 1; web 2, 2; those of kind server 2, 2 and all others of it.
    by_service = "count_over_time() by (resource.service.name)"
    assert await series(f'({{ resource.service.name != "web" }} | {by_service}) / ({{}} | {by_service}) * 100') == {
        '{resource.service.name="cart"}': [100, 100],
        # Nothing by nothing is no number.
        '{resource.service.name="shop"}': [100],
    }
    assert await series(f"10 - ({{}} | {by_service} | topk(1))") == {'{resource.service.name="web"}': [8, 8]}
    assert await series('({ name = "late" } | count_over_time()) + ({} | rate())') == {
        '{__name__="count_over_time + rate"}': [1.5, 3.0]
    }
    # What has no labels goes with everything.
    assert await series(f"({{}} | {by_service}) / ({{}} | count_over_time()) * 12") == {
        '{resource.service.name="cart"}': [4, 3],
        '{resource.service.name="shop"}': [0, 3],
        '{resource.service.name="web"}': [8, 6],
    }
    assert await series(f"({{}} | count_over_time()) - ({{}} | {by_service}) > 2 | topk(1)") == {
        '{resource.service.name="cart"}': [3],
        '{resource.service.name="shop"}': [3],
    }


async def test_series_are_told_apart_by_roots_and_by_what_happened(api: Api, shop: Api) -> None:
    async def counts(by: str) -> dict[tuple[str, ...], float]:
        q = f"{{}} | count_over_time() by ({by})"
        answer = await api.get("/tempo/api/metrics/query", q=q, start=EPOCH // SECOND, end=EPOCH // SECOND + 4)
        assert answer.status == 200, answer.body
        labels = [tuple(each["value"]["stringValue"] for each in series["labels"]) for series in answer.json["series"]]
        return dict(zip(labels, (series["value"] for series in answer.json["series"]), strict=True))

    # The root of trace 3 has not come.
    assert await counts("rootName, trace:rootService") == {("GET /", "web"): 6, ("nil", "nil"): 1}
    assert await counts("event:name") == {("exception",): 1, ("nil",): 6}
    assert await counts("event:timeSinceStart") == {(f"{-(SECOND + 123)}ns",): 1, ("nil",): 6}
    assert await counts("duration") == {("120000000ns",): 2, ("4500000ns",): 2, ("4000000ns",): 2, ("1000ns",): 1}
    assert await counts("event.exception.type") == {("KeyError",): 1, ("nil",): 6}
    assert len(await counts("trace:id")) == 3


async def test_what_is_selected_of_events_is_shown(api: Api, shop: Api) -> None:
    q = "{ status = error } | select(event:name, event.exception.type, event.nothing, resource.service.name)"
    (trace,) = (await api.get("/tempo/api/search", q=q, **RANGE)).json["traces"]
    (failed,) = trace["spanSet"]["spans"]
    shown = {each["key"]: each["value"]["stringValue"] for each in failed["attributes"]}
    assert shown == {
        "status": "error",
        "event:name": "exception",
        "exception.type": "KeyError",
        "service.name": "cart",
    }


async def test_what_a_key_has_is_of_one_kind_in_an_answer(api: Api) -> None:
    values: list[dict[str, Any]] = [
        {"code": 200, "n": 1, "list": ["a", 2], "sure": True, "bytes": b"\x00"},
        {"code": "404", "n": 2.5, "list": "none", "sure": False, "bytes": None},
        {"code": True},
    ]
    for number, attributes in enumerate(values, 1):
        await api.store(request_of(span(number, number, start=number, attributes=key_values(attributes))))
    q = "{ .code != nil } | select(.n, span.list, .sure, .bytes)"
    traces = (await api.get("/tempo/api/search", q=q, **RANGE)).json["traces"]
    told = [
        {pair["key"]: pair["value"] for pair in shown["attributes"] if pair["key"] != "service.name"}
        for trace in reversed(traces)
        for shown in trace["spanSet"]["spans"]
    ]
    assert told == [
        {
            "code": {"stringValue": "200"},
            "n": {"intValue": "1"},
            "list": {"stringValue": '["a",2]'},
            "sure": {"boolValue": True},
            "bytes": {"stringValue": "AA=="},
        },
        {
            "code": {"stringValue": "404"},
            "n": {"doubleValue": 2.5},
            "list": {"stringValue": "none"},
            "sure": {"boolValue": False},
            "bytes": {"stringValue": ""},
        },
        {"code": {"stringValue": "true"}},
    ]


async def test_of_spans_with_one_id_each_shows_what_it_has(api: Api) -> None:
    halves = [
        (span(1, 2, parent=1, start=5, duration=900, kind=3, attributes=key_values({"side": "caller"})), "web"),
        (span(1, 2, parent=1, start=5, duration=800, kind=2, attributes=key_values({"side": "called"})), "cart"),
    ]
    for half, service in halves:
        await api.store(request_of(half, service=service))
    places = "nestedSetParent, nestedSetLeft, nestedSetRight"
    for kind, told in (("client", ["web", "caller", "0", "1", "4"]), ("server", ["cart", "called", "1", "2", "3"])):
        q = f"{{ kind = {kind} }} | select(resource.service.name, .side, {places})"
        (trace,) = (await api.get("/tempo/api/search", q=q, **RANGE)).json["traces"]
        (shown,) = trace["spanSet"]["spans"]
        assert [next(iter(pair["value"].values())) for pair in shown["attributes"]] == [kind, *told]


async def test_exemplars_are_spans_of_which_numbers_are_made(api: Api, shop: Api) -> None:
    async def exemplars(q: str, **more: Any) -> list[list[tuple[int, int, float, int]]]:
        """Of each series: numbers of traces and spans, values, and milliseconds since the start."""
        asked = {"start": EPOCH // SECOND, "end": EPOCH // SECOND + 4, "step": "2s", **more}
        answer = await api.get("/tempo/api/metrics/query_range", q=q, **asked)
        assert answer.status == 200, answer.body
        return [
            [
                (
                    *(int(label["value"]["stringValue"], 16) for label in each["labels"]),
                    each["value"],
                    int(each["timestampMs"]) - EPOCH // 10**6,
                )
                for each in series.get("exemplars", [])
            ]
            for series in answer.json["series"]
        ]

    # Counted spans stand at the number of their step, and the slowest are shown.
    assert await exemplars("{} | count_over_time()") == [[(1, 1, 3, 1000), (2, 1, 4, 2000)]]
    assert await exemplars("{} | min_over_time(duration)") == [[(1, 3, 0.004, 1000), (3, 5, 1e-06, 3000)]]
    # The highest quantile has them.
    assert await exemplars("{ kind = server } | quantile_over_time(duration, .9, .5)") == [
        [(1, 1, 0.12, 1000), (2, 1, 0.12, 2000)],
        [],
    ]
    assert await exemplars("({} | count_over_time()) / ({ status = error } | count_over_time())") == [
        [(1, 1, 3, 1000), (1, 3, 3, 1000)]
    ]
    assert await exemplars("{} | count_over_time() > 3") == [[(2, 1, 4, 2000)]]
    by_service = "{} | count_over_time() by (resource.service.name)"
    assert [len(each) for each in await exemplars(by_service, exemplars=4)] == [2, 1, 1]
    assert [len(each) for each in await exemplars(by_service + " with (exemplars = 1)", exemplars=50)] == [1, 0, 0]
    assert await exemplars("{} | rate() with (exemplars = false)") == [[]]


async def test_selected_spans_are_set_against_the_others_by_what_they_have(api: Api, shop: Api) -> None:
    first = EPOCH // SECOND

    async def counted(q: str) -> dict[tuple[str, str, str], list[float]]:
        answer = await api.get("/tempo/api/metrics/query_range", q=q, step="2s", start=first, end=first + 4)
        assert answer.status == 200, answer.body
        found = {}
        for each in answer.json["series"]:
            what, attribute = each["labels"]
            key = what["value"]["stringValue"], attribute["key"], attribute["value"]["stringValue"]
            found[key] = [sample["value"] for sample in each["samples"]]
        return found

    found = await counted('{} | compare({ resource.service.name = "web" })')
    services = {names: numbers for names, numbers in found.items() if names[1] == "resource.service.name"}
    assert services == {
        ("baseline", "resource.service.name", "cart"): [1, 1],
        ("baseline", "resource.service.name", "shop"): [1],
        ("baseline_total", "resource.service.name", "nil"): [1, 2],
        ("selection", "resource.service.name", "web"): [2, 2],
        ("selection_total", "resource.service.name", "nil"): [2, 2],
    }
    assert found["selection", "kind", "server"] == [1, 1]
    assert {key for _, key, _ in found} >= {"name", "kind", "status", "span.http.response.status_code"}
    fewer = await counted('{} | compare({ resource.service.name = "web" }, 1)')
    assert [value for what, key, value in fewer if (what, key) == ("baseline", "resource.service.name")] == ["cart"]
    later = f"{(first + 2) * SECOND}, {(first + 4) * SECOND}"
    within = await counted(f'{{}} | compare({{ resource.service.name = "web" }}, 10, {later})')
    assert within["selection", "resource.service.name", "web"] == within["baseline", "resource.service.name", "web"] == [2]


async def test_an_instant_is_one_number_over_all_of_the_time_range(api: Api, shop: Api) -> None:
    async def numbers(q: str) -> dict[str, float]:
        # A time range that no whole step begins or ends with.
        answer = await api.get("/tempo/api/metrics/query", q=q, start=EPOCH // SECOND - 1, end=EPOCH // SECOND + 4)
        assert answer.status == 200, answer.body
        assert answer.json["status"] == "COMPLETE"
        return {named(each): each["value"] for each in answer.json["series"]}

    assert await numbers("{} | count_over_time() by (resource.service.name)") == {
        '{resource.service.name="cart"}': 2,
        '{resource.service.name="shop"}': 1,
        '{resource.service.name="web"}': 4,
    }
    assert await numbers("{} | rate()") == {'{__name__="rate"}': 7 / 5}
    assert await numbers("{ kind = server } | max_over_time(duration)") == {'{__name__="max_over_time"}': 0.12}
    assert await numbers("({ status = error } | rate()) / ({} | rate())") == {'{__name__="rate / rate"}': pytest.approx(1 / 7)}
    assert await numbers('{ name = "nobody" } | rate()') == {}
    without_start: dict[str, Any] = {"q": "{} | count_over_time()", "end": EPOCH // SECOND + 4}
    assert (await api.get("/tempo/api/metrics/query", **without_start, since="1d")).json["series"][0]["value"] == 7


async def test_metrics_say_that_they_are_not_of_all_groups(api: Api, shop: Api) -> None:
    for metric, most, status in (
        ("rate() by (resource.service.name)", 2, "PARTIAL"),
        ("rate() by (resource.service.name)", 3, "COMPLETE"),
        ("compare({}, 1)", 8, "PARTIAL"),
        ("compare({}, 1)", 100, "COMPLETE"),
    ):
        document = (await api.get("/tempo/api/metrics/query", q=f"{{}} | {metric}", maxSeries=most, **RANGE)).json
        assert (metric, most, document["status"]) == (metric, most, status)
        assert ("message" in document) == (status == "PARTIAL")
        assert len(document["series"]) <= most
    q = "({} | rate() by (name)) / ({} | rate())"
    assert (await api.get("/tempo/api/metrics/query_range", q=q, maxSeries=1, **RANGE)).json["status"] == "PARTIAL"


async def test_a_trace_of_years_is_as_long_as_answers_can_say(api: Api) -> None:
    await api.store(request_of(span(1, 1, start=-EPOCH + SECOND), span(1, 2, parent=1)))
    (trace,) = (await api.get("/tempo/api/search", q="{}", **RANGE)).json["traces"]
    assert trace["durationMs"] == 2**32 - 1


async def test_what_is_no_number_leaves_those_of_other_spans_alone(api: Api) -> None:
    values: list[Any] = [2.5, math.nan, math.inf, "nan", 4]
    spans = [span(1, number, attributes=key_values({"n": value})) for number, value in enumerate(values, 1)]
    await api.store(request_of(*spans))
    for metric, expected in (("sum", 6.5), ("avg", 3.25), ("min", 2.5), ("max", 4)):
        q = f"{{}} | {metric}_over_time(span.n)"
        answer = await api.get("/tempo/api/metrics/query", q=q, start=EPOCH // SECOND, end=EPOCH // SECOND + 10)
        assert [series["value"] for series in answer.json["series"]] == [expected], metric
    answer = await api.get("/tempo/api/metrics/query_range", q="{} | histogram_over_time(span.n)", **RANGE)
    assert sorted(named(series) for series in answer.json["series"]) == ['{__bucket="4.0"}']


async def test_a_span_counts_for_those_that_sampling_dropped_where_a_query_asks_for_that(api: Api) -> None:
    # Thresholds c and 8 of OpenTelemetry's probability sampling keep a quarter and a half of the spans.
    sampled = [("ot=th:c", 2_000_000, "web"), ("vendor=x,ot=th:8", 1_000_000, "web"), ("", 5_000_000, "cart")]
    for number, (state, duration, service) in enumerate(sampled, 1):
        attributes = key_values({"n": number})
        kept = span(number, number, duration=duration, trace_state=state, attributes=attributes)
        await api.store(request_of(kept, service=service))

    async def numbers(metric: str, hint: str) -> list[float]:
        q = f"{{}} | {metric} with (sample = 0.1, extrapolate = {hint})"
        answer = await api.get("/tempo/api/metrics/query", q=q, start=EPOCH // SECOND, end=EPOCH // SECOND + 10)
        assert answer.status == 200, answer.body
        return [series["value"] for series in answer.json["series"]]

    counted = {
        "rate()": (0.3, 0.7),
        "count_over_time()": (3, 7),
        "sum_over_time(span.n)": (1 + 2 + 3, 4 + 2 * 2 + 3),
        "avg_over_time(span.n)": (2, 11 / 7),
        "min_over_time(duration)": (0.001, 0.001),
        "max_over_time(duration)": (0.005, 0.005),
        # Between the middles of what the second span and the third stand for.
        "quantile_over_time(duration, .7)": (0.005, 0.00308),
    }
    for metric, expected in counted.items():
        found = [*await numbers(metric, "false"), *await numbers(metric, "true")]
        assert (metric, found) == (metric, pytest.approx(expected, rel=0.03))
    assert sorted(await numbers("count_over_time() by (resource.service.name)", "true")) == [1, 6]
    assert sorted(await numbers("histogram_over_time(duration)", "true")) == [1, 2, 4]
    # Both sides, by the service and in all.
    assert {1, 6} <= set(await numbers('compare({ resource.service.name = "web" })', "true"))


async def test_a_sample_stands_at_the_start_of_its_step(api: Api, shop: Api) -> None:
    query = {"q": '{ name = "late" } | max_over_time(duration)', "start": EPOCH // SECOND, "end": EPOCH // SECOND + 60}
    (series,) = (await api.get("/tempo/api/metrics/query_range", **query, step="1s")).json["series"]
    assert series["labels"] == [{"key": "__name__", "value": {"stringValue": "max_over_time"}}]
    assert series["samples"] == [{"timestampMs": str((EPOCH + 3 * SECOND) // 10**6), "value": 1e-06}]
