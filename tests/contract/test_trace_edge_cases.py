"""Reading traces by their ids from a real store: windows, links, analysis, and the edge cases that concern the store by their
numbers. The others are in tests/unit/test_trace_edge_cases.py."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector.api.routing import QuerySettings
from tests.contract.test_query_api_traces import Api, Running, check_against_openapi, hex_of, request_of, span
from tests.contract.test_query_api_traces import api as api  # the fixture
from tests.support.messages import canonical_spans
from tests.support.requests import EPOCH, key_values
from tests.support.waiting import until

HOUR = 3_600 * 10**9
LARGE = 100_000


def trace_path(trace: int, below: str = "") -> str:
    return f"/api/v1/traces/{hex_of(trace)}{below}"


async def store_large(api: Api, trace: int) -> None:
    """A trace of 100,000 spans, ten below each span that has any, with an attribute each."""
    await api.client.command(
        "INSERT INTO otel_traces (TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, Timestamp, Duration,"
        " ResourceAttributes, SpanAttributes)"
        " SELECT {trace_id:String}, leftPad(lower(hex(number + 1)), 16, '0'),"
        " if(number = 0, '', leftPad(lower(hex(intDiv(number - 1, 10) + 1)), 16, '0')), 'call',"
        " 'Internal', concat('s', toString(number % 7)), fromUnixTimestamp64Nano({epoch:Int64} + number * 1000),"
        " 1000000000 - number * 1000, map('service.name', concat('s', toString(number % 7))), map('n', toString(number))"
        " FROM numbers({count:UInt64})",
        {"trace_id": hex_of(trace), "epoch": EPOCH, "count": LARGE},
    )


async def test_trace_19_100_000_spans_are_read_whole_and_in_windows(api: Api) -> None:
    await store_large(api, 1)
    # Documents of this size are not held to their schema: that takes longer than all the rest.
    skeleton = (await api.get(trace_path(1), fields="skeleton")).json
    assert (skeleton["spanCount"], len(skeleton["spans"]), skeleton["complete"]) == (LARGE, LARGE, True)
    assert max(item["depth"] for item in skeleton["spans"]) == 5
    part = await api.json(trace_path(1), offset="99990", limit="5")
    assert (part["spanCount"], part["offset"]) == (LARGE, 99990)
    assert [item["attributes"][0]["value"] for item in part["spans"]] == [{"stringValue": str(n)} for n in range(99990, 99995)]
    waterfall = await api.json(trace_path(1, "/waterfall"), offset="10", limit="20", depth="2")
    assert (waterfall["barCount"], len(waterfall["bars"])) == (111, 20)
    path = (await api.get(trace_path(1, "/critical-path"))).json
    assert sum(int(part["endUnixNano"]) - int(part["startUnixNano"]) for part in path["roots"][0]["segments"]) == 10**9
    groups = (await api.json(trace_path(1, "/self-times")))["groups"]
    assert sum(group["spanCount"] for group in groups) == LARGE


async def test_trace_20_of_a_trace_beyond_the_limit_the_earliest_spans_are_told_to_be_a_part(api: Api) -> None:
    await api.store(request_of(*(span(1, number, parent=number // 2, start=number) for number in range(1, 21))))
    async with Running(api.client, QuerySettings(max_spans=7)) as small:
        for below in ("", "/waterfall", "/critical-path", "/self-times", "/statistics"):
            assert (await small.json(trace_path(1, below)))["complete"] is False
        document = await small.json(trace_path(1), fields="skeleton")
        assert [item["spanId"] for item in document["spans"]] == [f"{number:016x}" for number in range(1, 8)]
        windowed = await small.get(trace_path(1), accept="application/x-protobuf", limit="3")
        assert windowed.headers["Spanhouse-Complete"] == "false"


async def test_trace_21_a_64_bit_id_finds_the_trace_and_no_other_with_the_same_lower_half(api: Api) -> None:
    other = (7 << 64) + 0xABC
    await api.store(request_of(span(0xABC)), request_of(span(other, 2)))
    for text in (f"{0xABC:016x}", f"{0xABC:032x}"):
        assert (await api.json(f"/api/v1/traces/{text}"))["spans"][0]["spanId"] == f"{1:016x}"
    assert (await api.json(trace_path(other)))["spanCount"] == 1


async def test_trace_22_ids_are_read_in_upper_case_and_with_dashes_and_not_with_0x(api: Api) -> None:
    trace = 0x0AF7651916CD43DD8448EB211C80319C
    await api.store(request_of(span(trace, 0xABCDEF)))
    for text in ("0AF7651916CD43DD8448EB211C80319C", "0af76519-16cd-43dd-8448-eb211c80319c"):
        assert (await api.json(f"/api/v1/traces/{text}/waterfall"))["traceId"] == hex_of(trace)
    answer = await api.get(f"/api/v1/traces/0x{trace:032x}")
    assert (answer.status, answer.json["parameter"]) == (400, "trace_id")
    details = await api.json(trace_path(trace, "/spans/0000000000ABCDEF"))
    assert details["spans"][0]["spanId"] == "0000000000abcdef"


async def test_trace_24_a_value_of_a_megabyte_is_whole_on_the_spans_own_path(api: Api) -> None:
    await api.store(request_of(span(1, attributes=key_values({"long": "v" * 2**20}))))
    (cut,) = (await api.json(trace_path(1)))["spans"][0]["attributes"]
    assert (len(cut["value"]["stringValue"]), cut["fullLength"]) == (65_536, 2**20)
    (whole,) = (await api.json(trace_path(1, f"/spans/{1:016x}")))["spans"][0]["attributes"]
    assert whole == {"key": "long", "value": {"stringValue": "v" * 2**20}}
    unknown = await api.get(trace_path(1, f"/spans/{9:016x}"))
    assert (unknown.status, unknown.json["title"]) == (404, "Unknown span")


async def test_trace_27_and_16_days_apart_the_spans_of_one_id_are_one_trace_that_can_be_narrowed(api: Api) -> None:
    later = 50 * HOUR
    await api.store(request_of(span(1, 1), span(1, 2, start=10, parent=1), span(1, 3, start=later)))
    document = await api.json(trace_path(1, "/waterfall"))
    assert [warning["kind"] for warning in document["warnings"]] == ["long-gap"]
    for query, expected in (
        ({"end": str(EPOCH + later)}, [1, 2]),
        ({"start": str(EPOCH + later)}, [3]),
        ({"start": str(EPOCH + 10), "end": str(EPOCH + later + 1)}, [2, 3]),
    ):
        for below in ("", "/waterfall"):
            found = await api.json(trace_path(1, below), **query)
            assert [item["spanId"] for item in found["spans" if below == "" else "bars"]] == [f"{n:016x}" for n in expected]
    assert (await api.get(trace_path(1), start=str(EPOCH + 60 * HOUR))).status == 404


async def test_trace_28_a_client_that_asks_again_while_spans_arrive_gets_only_what_is_new(api: Api) -> None:
    await api.store(request_of(span(1, 1)))
    for below in ("", "/waterfall", "/critical-path"):
        first, second = await api.get(trace_path(1, below)), await api.get(trace_path(1, below))
        assert (first.body, first.headers["ETag"]) == (second.body, second.headers["ETag"])
        async with api.session.get(api.url + trace_path(1, below), headers={"If-None-Match": first.headers["ETag"]}) as again:
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    before = (await api.get(trace_path(1))).headers["ETag"]
    await api.store(request_of(span(1, 2, parent=1)))

    async def has_changed() -> bool:
        async with api.session.get(api.url + trace_path(1), headers={"If-None-Match": before}) as answer:
            return answer.status == 200

    await until(has_changed)


async def test_spans_that_differ_in_their_attributes_alone_are_two_and_what_was_sent_twice_is_one(api: Api) -> None:
    attributes = [key_values({"attempt": n}) for n in (1, 2, 2)]
    await api.store(*(request_of(span(1, 1), span(1, 2, parent=1, attributes=each)) for each in attributes))
    for below in ("", "/waterfall"):
        assert (await api.json(trace_path(1, below)))["spanCount"] == 3
    whole = (await api.json(trace_path(1)))["spans"]
    assert sorted(item["attributes"][0]["value"]["intValue"] for item in whole[1:]) == ["1", "2"]
    for offset, expected in enumerate(whole):
        (found,) = (await api.json(trace_path(1), offset=str(offset), limit="1"))["spans"]
        assert (found["spanId"], found["attributes"]) == (expected["spanId"], expected["attributes"])


async def test_windows_put_together_are_the_whole_trace_whatever_their_size(api: Api) -> None:
    # Equal starts, a shared id, a span that was sent twice, and times outside of the calendar.
    odd = [span(1, number, start=number // 3) for number in range(1, 10)]
    odd += [span(1, 5, start=1, kind=Span.SPAN_KIND_SERVER), span(1, 11, start=1, attributes=key_values({"a": 1}))]
    odd += [span(1, 11, start=1, attributes=key_values({"a": "1"})), odd[3]]
    beyond = span(1, 12)
    beyond.start_time_unix_nano, beyond.end_time_unix_nano = 2**63 + 5, 2**63 + 9
    nowhere = span(1, 13)
    nowhere.start_time_unix_nano = 0
    await api.store(request_of(*odd, beyond, nowhere))
    whole = await api.json(trace_path(1))
    assert whole["spanCount"] == 14
    skeleton = await api.json(trace_path(1), fields="skeleton")
    assert [item["spanId"] for item in skeleton["spans"]] == [item["spanId"] for item in whole["spans"]]
    assert [item["index"] for item in skeleton["spans"]] == list(range(14))
    for size in (1, 4, 100):
        spans: list[Any] = []
        for offset in range(0, 14, size):
            part = await api.json(trace_path(1), offset=str(offset), limit=str(size))
            assert part["offset"] == offset
            spans += part["spans"]
        assert [item | {"resource": 0, "scope": 0} for item in spans] == whole["spans"]
    assert (await api.json(trace_path(1), offset="14"))["spans"] == []
    answer = await api.get(trace_path(1), accept="application/x-protobuf", offset="12")
    found = canonical_spans(TracesData.FromString(answer.body))
    assert sorted(found) == sorted(canonical_spans(request_of(*sorted(odd, key=lambda s: s.start_time_unix_nano)[-1:], beyond)))


async def test_links_are_found_both_ways_within_time_and_workspace(api: Api) -> None:
    to_first = Span.Link(trace_id=(1).to_bytes(16), span_id=(1).to_bytes(8))
    to_second = Span.Link(trace_id=(2).to_bytes(16), span_id=(5).to_bytes(8))
    await api.store(request_of(span(1, 1), span(1, 2, parent=1, name="publish", links=[to_second, to_first])))
    await api.store(request_of(span(2, 5, start=50, name="consume", links=[to_first]), service="worker"))
    await api.store(request_of(span(3, 6, start=5 * HOUR, links=[to_first])))
    await api.store(request_of(span(4, 7, links=[to_first])), workspace="other")
    found = await api.json(trace_path(1, "/links"))
    assert [(link["spanId"], link["toTraceId"], link["toSpanId"]) for link in found["outgoing"]] == [
        (f"{2:016x}", hex_of(1), f"{1:016x}"),
        (f"{2:016x}", hex_of(2), f"{5:016x}"),
    ]
    assert [(link["traceId"], link["service"], link["name"], link["toSpanId"]) for link in found["incoming"]] == [
        (hex_of(2), "worker", "consume", f"{1:016x}")
    ]
    assert found["complete"] is True
    later = await api.json(trace_path(1, "/links"), end=str(EPOCH + 6 * HOUR))
    assert [link["traceId"] for link in later["incoming"]] == [hex_of(2), hex_of(3)]
    few = await api.json(trace_path(1, "/links"), limit="1")
    assert (len(few["outgoing"]), few["complete"]) == (1, False)


async def test_every_analysis_of_a_trace_answers_what_it_promises(api: Api) -> None:
    await api.store(
        request_of(
            span(1, 1, name="GET /", start=1, duration=100, kind=Span.SPAN_KIND_SERVER),
            span(1, 2, parent=1, name="query", start=11, duration=30, attributes=key_values({"db.system": "mysql"})),
            span(1, 3, parent=1, name="query", start=11, duration=60, attributes=key_values({"db.system": "redis"})),
            span(1, 4, parent=1, name="render", start=71, duration=25, status={"code": 2}),
            service="web",
            region="eu",
        )
    )
    for mode, expected in (("default", [1, 4, 3, 1]), ("jaeger", [1, 4, 1, 2, 1])):
        document = await api.json(trace_path(1, "/critical-path"), mode=mode)
        assert [int(segment["spanId"], 16) for segment in document["roots"][0]["segments"]] == expected
    crisp = await api.json(trace_path(1, "/critical-path"), mode="crisp")
    assert {int(item["spanId"], 16): item["exclusiveNanos"] for item in crisp["roots"][0]["spans"]} == {1: "15", 3: "60", 4: "25"}
    completion = await api.json(trace_path(1, "/critical-path"), mode="completion")
    assert [int(step["spanId"], 16) for step in completion["steps"]] == [1, 4, 3, 1]
    assert (completion["durationNanos"], completion["waitNanos"]) == ("100", "0")
    chain = await api.json(trace_path(1, "/critical-path"), mode="longest-chain")
    assert ([int(item["spanId"], 16) for item in chain["roots"][0]["spans"]], chain["roots"][0]["totalNanos"]) == ([1, 3], "160")
    what_if = await api.json(trace_path(1, "/what-if"), spanId=f"{3:016x}")
    assert (what_if["savedNanos"], what_if["projectedNanos"]) == ("30", "70")
    assert (await api.get(trace_path(1, "/what-if"), spanId=f"{9:016x}")).status == 404
    (query, render, root) = (await api.json(trace_path(1, "/self-times")))["groups"]
    assert (query["operation"], query["spanCount"], query["selfNanos"], query["onPathNanos"]) == ("query", 2, "90", "60")
    assert (render["errorCount"], root["selfNanos"]) == (1, "15")
    statistics = (await api.get(trace_path(1, "/statistics?by=attribute.db.system&by=attribute.region"))).json
    check_against_openapi(trace_path(1, "/statistics"), statistics)
    assert [(group["key"], group["spanCount"]) for group in statistics["groups"]] == [
        (["redis", "eu"], 1),
        (["", "eu"], 2),
        (["mysql", "eu"], 1),
    ]
    kinds = (await api.get(trace_path(1, "/statistics?by=kind&by=status"))).json["groups"]
    assert {tuple(group["key"]): group["spanCount"] for group in kinds} == {
        ("server", "unset"): 1,
        ("unspecified", "unset"): 2,
        ("unspecified", "error"): 1,
    }
    await api.store(request_of(span(2, 1, name="GET /", duration=50, kind=Span.SPAN_KIND_SERVER), service="web"))
    compared = await api.json("/api/v1/traces/compare", left=hex_of(1), right=hex_of(2))
    assert [(node["name"], node["leaf"], node["state"]) for node in compared["nodes"]] == [
        ("GET /", False, "only-left"),
        ("query", True, "only-left"),
        ("render", True, "only-left"),
        ("GET /", True, "only-right"),
    ]
    await api.store(request_of(span(3)), workspace="other")
    assert (await api.get("/api/v1/traces/compare", left=hex_of(1), right=hex_of(3))).status == 404
    assert (await api.get(trace_path(3, "/what-if"), spanId=f"{1:016x}")).status == 404


async def test_clock_skew_is_shown_and_corrected_only_when_asked_for(api: Api) -> None:
    client = request_of(span(1, 1, duration=100), span(1, 2, parent=1, start=10, duration=50, kind=Span.SPAN_KIND_CLIENT))
    server = span(1, 3, parent=2, start=55, duration=45, kind=Span.SPAN_KIND_SERVER)
    await api.store(client, request_of(server, service="cart", **{"host.name": "far"}))
    for query, start in (({}, 55), ({"adjust": "clock-skew"}, 13)):
        document = await api.json(trace_path(1, "/waterfall"), **query)
        bar = document["bars"][2]
        assert (bar["skewNanos"], bar["startTimeUnixNano"]) == ("42", str(EPOCH + start))
        assert [warning["kind"] for warning in document["warnings"]] == ["clock-skew"]
