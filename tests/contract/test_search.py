"""Searching for traces in words, in parameters and in bodies: against plain Python over the rows of real traces."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.api.search import search_of
from collector.query.search import find_traces
from collector.query.store import SpanStore
from exporters.clickhouse.client import ClickHouseClient
from exporters.clickhouse.migrations import apply
from exporters.clickhouse.schema import SchemaSettings
from tests.contract.test_query_api_traces import RANGE, Api, hex_of, request_of, span, trace_ids
from tests.contract.test_query_api_traces import api as api  # the fixture
from tests.support.requests import key_values
from tests.support.rows import Row, insert_statement, json_lines, rows_of
from tests.support.search_oracle import LEVELS, Fits, as_number, attributes, found_by, has_value, traces_of
from tests.support.traces import all_traces

SECOND = 10**9
_PLAIN = re.compile(r"[a-z_][A-Za-z0-9_-]*(\.[a-z_][A-Za-z0-9_-]*)*", re.ASCII)
_MEANINGS = {
    "name",
    "kind",
    "status",
    "duration",
    "service",
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "attributes",
}


class Rows(list[Row]):
    """Rows that a message about a test need not show."""

    def __repr__(self) -> str:
        return f"{len(self)} rows"


def quoted(text: str) -> str:
    """A text as the language writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\\/", "/")


@st.composite
def attribute_conditions(draw: st.DrawFn, rows: Rows) -> tuple[str, Fits]:
    """A condition on an attribute that some span has, in words and as a function."""
    row = draw(st.sampled_from(Rows(row for row in rows if row["SpanAttributes"] or row["ResourceAttributes"])))
    level = draw(st.sampled_from([level for level in LEVELS if any(attributes(row, level))]))
    found = draw(st.sampled_from([each for each in attributes(row, level) if each]))
    key = draw(st.sampled_from(sorted(found)))
    value = found[key]
    levels = [level] if draw(st.booleans()) else list(LEVELS)
    name = f"{'any' if len(levels) > 1 else level}[{quoted(key)}]"
    if (
        level in ("span", "resource")
        and _PLAIN.fullmatch(key)
        and key.split(".")[0] not in {*LEVELS, *_MEANINGS}
        and draw(st.booleans())
    ):
        name, levels = key, ["span or resource"]
    operator = draw(st.sampled_from(["=", "==", "!=", "<", ">=", "in", "exists", "absent", "=~", "!~", "prefix", "match"]))
    number = as_number(value)
    if operator in ("<", ">=") and number is not None and abs(number) < 2**53 and "e" not in value.lower():
        compare: Callable[[float, float], bool] = float.__lt__ if operator == "<" else float.__ge__

        def compares(text: str) -> bool:
            other = as_number(text)
            return other is not None and compare(other, number)

        return f"{name} {operator} {value}", has_value(levels, key, compares)
    equal = has_value(levels, key, lambda text: text == value)
    part = re.escape(value[1:4]) if value.isascii() and value.isalnum() else ""
    match operator:
        case "=" | "==":
            return f"{name} {operator} {quoted(value)}", equal
        case "!=":
            return f"{name} != {quoted(value)}", lambda row: not equal(row)
        case "in":
            return f'{name} in ({quoted(value)}, "x y z")', equal
        case "exists":
            return f"{name} != nil", has_value(levels, key, lambda _: True)
        case "absent":
            there = has_value(levels, key, lambda _: True)
            return f"{name} == nil", lambda row: not there(row)
        case "=~" | "!~":
            matches = has_value(levels, key, lambda text: re.fullmatch(f".*{part}.*", text, re.DOTALL) is not None)
            return f"{name} {operator} {quoted(f'.*{part}.*')}", matches if operator == "=~" else lambda row: not matches(row)
        case "match":
            return f"IsMatch({name}, {quoted(f'^.{part}')})", has_value(
                levels, key, lambda text: re.search(f"^.{part}", text, re.DOTALL) is not None
            )
    return f"HasPrefix({name}, {quoted(value[:3])})", has_value(levels, key, lambda text: text.startswith(value[:3]))


@st.composite
def field_conditions(draw: st.DrawFn, rows: Rows) -> tuple[str, Fits]:
    """A condition on a field of the span."""
    row = draw(st.sampled_from(rows))
    match draw(st.sampled_from(["name", "service", "kind", "status", "duration", "root", "text", "event", "id"])):
        case "name":
            return f"span.name = {quoted(row['SpanName'])}", lambda other: other["SpanName"] == row["SpanName"]
        case "service":
            return f"service != {quoted(row['ServiceName'])}", lambda other: other["ServiceName"] != row["ServiceName"]
        case "kind":
            kind = row["SpanKind"]
            written = draw(st.sampled_from([kind.lower(), f"SPAN_KIND_{kind.upper()}"]))
            return f"kind in ({written}, producer)", lambda other: other["SpanKind"] in (kind, "Producer")
        case "status":
            return f"status = {row['StatusCode'].lower()}", lambda other: other["StatusCode"] == row["StatusCode"]
        case "duration":
            return f"duration >= {row['Duration']}ns", lambda other: other["Duration"] >= row["Duration"]
        case "root":
            return "IsRootSpan()", lambda other: not other["ParentSpanId"]
        case "event":
            names = row["Events.Name"] or [""]
            return f"event.name = {quoted(names[0])}", lambda other: names[0] in other["Events.Name"]
        case "id":
            return f"trace_id = {quoted(row['TraceId'])}", lambda other: other["TraceId"] == row["TraceId"]
    needle = re.sub(r"[^A-Za-z]", "", row["SpanName"])[:3] or "q"
    texts = ("exception.message", "exception.type", "message")

    def says(other: Row) -> bool:
        messages = [found[key] for found in attributes(other, "event") for key in texts if key in found]
        said = [other["SpanName"], other["StatusMessage"], *other["Events.Name"], *messages]
        return any(needle.lower() in text.lower() for text in said)

    return quoted(needle.swapcase()), says


def _words(joint: str, conditions: list[tuple[str, Fits]]) -> str:
    return joint.join(f"({words})" for words, _ in conditions)


def span_conditions(rows: Rows) -> st.SearchStrategy[tuple[str, Fits]]:
    """Conditions on one span, joined by and, or, not."""

    def joined(terms: st.SearchStrategy[tuple[str, Fits]]) -> st.SearchStrategy[tuple[str, Fits]]:
        several = st.lists(terms, min_size=2, max_size=3)
        return st.one_of(
            several.map(lambda each: (_words(" and ", each), lambda row: all(fits(row) for _, fits in each))),
            several.map(lambda each: (_words(" or ", each), lambda row: any(fits(row) for _, fits in each))),
            terms.map(lambda each: (f"not ({each[0]})", lambda row: not each[1](row))),
        )

    return st.recursive(st.one_of(attribute_conditions(rows), field_conditions(rows)), joined, max_leaves=4)


@st.composite
def searches(draw: st.DrawFn, rows: Rows) -> tuple[str, dict[str, Any]]:
    """A query in words, and the arguments with which the oracle finds the same."""
    conditions = span_conditions(rows)
    words, fits = draw(conditions)
    expected: dict[str, Any] = {"fits": fits}
    if draw(st.booleans()):
        other_words, other = draw(conditions)
        match draw(st.sampled_from(["and", "or", "not", "both"])):
            case "and":
                words = f"{{{words}}} and {{{other_words}}}"
                expected["fits"] = lambda row: fits(row) or other(row)
                expected["of_trace"] = lambda spans: any(map(fits, spans)) and any(map(other, spans))
            case "or":
                words = f"{{{words}}} or {{{other_words}}}"
                expected["fits"] = lambda row: fits(row) or other(row)
            case "not":
                words = f"{{{words}}} and not {{{other_words}}}"
                expected["of_trace"] = lambda spans: not any(map(other, spans))
            case _:
                words = f"({words}) and {{{other_words}}}"
                expected["of_trace"] = lambda spans: any(map(other, spans))
    if draw(st.booleans()):
        least = draw(st.integers(1, 40))
        words = f"({words}) and trace.spans >= {least}"
        expected["of_measures"] = lambda measures: measures["spans"] >= least
    return words, expected


def test_queries_find_in_real_traces_what_plain_python_finds(clickhouse: Any) -> None:
    database = f"search_{uuid.uuid4().hex}"
    rows = Rows(row for file in list(all_traces())[::40] for row in rows_of(file.message))
    traces = traces_of(rows)
    times = sorted(row["Timestamp"] for row in rows)

    async def opened() -> tuple[ClickHouseClient, SpanStore]:
        client = ClickHouseClient([clickhouse.url], database=database)
        await apply(client, SchemaSettings(database=database))
        await client.insert(insert_statement(rows), json_lines(rows))
        return client, SpanStore(client)

    async def all_pages(store: SpanStore, query: MultiDict[str]) -> tuple[list[tuple[str, list[str]]], int]:
        search = search_of(query, "default", 0)
        found: list[tuple[str, list[str]]] = []
        page = await find_traces(store, search)
        total = page.total
        while True:
            assert page.complete
            for hit in page.hits:
                assert hit.matched is not None
                found.append((hit.trace_id, [matched.span_id for matched in hit.matched.spans]))
                assert hit.matched.count >= len(hit.matched.spans)
            if page.cursor is None:
                return found, total
            page = await find_traces(store, search, page.cursor)

    with asyncio.Runner() as runner:
        client, store = runner.run(opened())

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            searches(rows),
            st.sampled_from(["start", "duration", "spans", "errors"]),
            st.booleans(),
            st.integers(0, len(times) // 2),
            st.sampled_from([30, 200]),
        )
        def found_alike(asked: tuple[str, dict[str, Any]], sort: str, descending: bool, first: int, limit: int) -> None:
            words, expected = asked
            start, end = times[first], times[-1] + 1
            query = MultiDict(
                q=words,
                start=str(start).rjust(18, "0"),
                end=str(end),
                sort=sort,
                order="desc" if descending else "asc",
                limit=str(limit),
                spans="100",
            )
            found, total = runner.run(all_pages(store, query))
            hits = found_by(traces, start=start, end=end, sort=sort, descending=descending, **expected)
            assert [trace_id for trace_id, _ in found] == [trace_id for trace_id, _ in hits], words
            assert [spans for _, spans in found] == [spans[:100] for _, spans in hits], words
            assert total == len(hits)

        try:
            found_alike()
        finally:
            runner.run(client.command(f"DROP DATABASE {database}", database="default"))
            runner.run(client.close())


async def test_a_body_asks_the_same_as_a_url(api: Api) -> None:
    await api.store(request_of(span(1, name="a", attributes=key_values({"n": 7}))), request_of(span(2, name="b")))
    parameters = {"q": "n >= 7", "attribute": ["n=7"], "limit": 5, **RANGE}
    async with api.session.post(f"{api.url}/api/v1/traces", json=parameters) as response:
        assert response.status == 200, await response.read()
        found = await response.json()
    assert found == await api.json("/api/v1/traces", **{**parameters, "attribute": "n=7"})
    assert trace_ids(found) == [hex_of(1)]


async def test_a_bad_body_names_the_parameter(api: Api) -> None:
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("q", {"q": "name ="}),
        ("service", {"service": {"name": "web"}}),
        ("attribute", {"attribute": [["a=b"]]}),
        ("limit", {"limit": 1.5}),
        ("service", {"service": ["a", "b"]}),
        ("sevice", {"sevice": "web"}),
        ("q", {"q": None}),
    ]
    for parameter, body in bodies:
        async with api.session.post(f"{api.url}/api/v1/traces", json=body) as response:
            problem = await response.json()
        assert (response.status, problem["parameter"]) == (400, parameter)


async def test_a_bad_parameter_is_named_with_its_value(api: Api) -> None:
    for parameter, value, others in (
        ("q", "duration > 5", {}),
        ("q", "x" * 5000 + " =", {}),
        ("sort", "size", {}),
        ("order", "up", {}),
        ("spans", "101", {}),
        ("maxTraceDuration", "1ms", {"minTraceDuration": "1s"}),
        ("minTraceDuration", "soon", {}),
    ):
        answer = await api.get("/api/v1/traces", **{parameter: value, **others})
        assert (answer.status, answer.json["parameter"]) == (400, parameter)
        assert answer.json["value"] == value[:200] + ("..." if len(value) > 200 else "")


async def test_a_trace_is_asked_for_as_a_whole_over_spans_outside_of_the_time_range(api: Api) -> None:
    hour = 3600 * SECOND
    await api.store(
        request_of(span(1, 1, name="checkout", start=-2 * hour, duration=10), service="web"),
        request_of(span(1, 2, parent=1, name="charge", status={"code": 2}), service="bank"),
        request_of(span(2, 3, name="charge", duration=5 * SECOND), service="bank"),
    )
    for query, expected in (
        ({"minTraceDuration": "1h"}, [1]),
        ({"maxTraceDuration": "1h"}, [2]),
        ({"rootName": "checkout"}, [1]),
        ({"rootService": "bank"}, [2]),
        ({"rootName": "charge", "rootService": "web"}, []),
        ({"q": "trace.errors = 0"}, [2]),
        ({"q": 'trace.root.name =~ "check.*" and name = charge'}, [1]),
        ({"sort": "duration"}, [1, 2]),
        ({"sort": "duration", "order": "asc"}, [2, 1]),
        ({"sort": "errors", "text": "CHARGE"}, [1, 2]),
    ):
        found = await api.json("/api/v1/traces", **RANGE, **query)
        assert trace_ids(found) == [hex_of(trace) for trace in expected], query
        assert (found["total"], found["totalIsExact"], found["incompleteBecause"]) == (len(expected), True, None)


@pytest.mark.parametrize("query", [{}, {"sort": "spans"}])
async def test_no_trace_comes_twice_when_more_of_its_spans_arrive_between_two_pages(api: Api, query: dict[str, str]) -> None:
    await api.store(request_of(*(span(trace, start=trace) for trace in range(1, 13))))
    found: list[str] = []
    asked = {**RANGE, **query, "limit": "3"}
    while True:
        page = await api.json("/api/v1/traces", **asked)
        assert page["total"] == 12
        found += trace_ids(page)
        if page["nextCursor"] is None:
            break
        asked["cursor"] = page["nextCursor"]
        # The earlier spans of traces that were shown come late, as roots do; and so do other traces.
        late = [span(int(trace_id, 16), 77, start=-5) for trace_id in found]
        await api.store(request_of(*late, span(99 + len(found), start=50)))
    assert len(set(found)) == len(found)
    assert set(found) >= {hex_of(trace) for trace in range(1, 13)}


async def test_what_is_more_than_can_be_measured_is_said_to_be_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.query.ranking.MOST_MEASURED", 4)
    await api.store(request_of(*(span(trace, start=trace, duration=100 - trace) for trace in range(1, 10))))
    found = await api.json("/api/v1/traces", **RANGE, sort="duration", limit="3")
    # Of the four newest.
    assert trace_ids(found) == [hex_of(trace) for trace in (6, 7, 8)]
    assert (found["total"], found["totalIsExact"], found["complete"]) == (4, False, False)
    assert "narrow the time range" in found["incompleteBecause"]
    rest = await api.json("/api/v1/traces", **RANGE, sort="duration", limit="3", cursor=found["nextCursor"])
    assert (trace_ids(rest), rest["complete"]) == ([hex_of(9)], False)
    assert (await api.json("/api/v1/traces", **RANGE, sort="start", limit="3"))["total"] == 9


async def test_tags_and_their_values_complete_what_is_typed(api: Api) -> None:
    await api.store(
        request_of(
            span(1, 1, attributes=key_values({"http.route": "/cart", "http.method": "GET", "long": "x" * 200})),
            span(1, 2, events=[Span.Event(attributes=key_values({"message": "late"}))]),
            region="eu",
        ),
        request_of(span(2, attributes=key_values({"http.route": "/pay"})), region="us"),
    )
    await api.store(request_of(span(3, attributes=key_values({"secret": "s"}))), workspace="other")
    await api.store(request_of(span(4, start=-5 * 3600 * SECOND, attributes=key_values({"old": "o"}))))
    tags = (await api.json("/api/v1/tags", **RANGE))["tags"]
    assert {tag["key"]: tag["levels"] for tag in tags} == {
        "http.method": ["span"],
        "http.route": ["span"],
        "long": ["span"],
        "message": ["event"],
        "region": ["resource"],
        "service.name": ["resource"],
    }
    first = await api.json("/api/v1/tags", **RANGE, prefix="http", limit=1)
    second = await api.json("/api/v1/tags", **RANGE, prefix="http", limit=1, cursor=first["nextCursor"])
    assert [tag["key"] for tag in first["tags"] + second["tags"]] == ["http.method", "http.route"]
    assert second["nextCursor"] is None
    assert [tag["key"] for tag in (await api.json("/api/v1/tags", **RANGE, level="event"))["tags"]] == ["message"]
    values = "/api/v1/tags/{}/values"
    assert await api.json(values.format("http.route"), **RANGE) == {"values": ["/cart", "/pay"], "complete": True}
    assert await api.json(values.format("http.route"), **RANGE, prefix="/p") == {"values": ["/pay"], "complete": True}
    assert await api.json(values.format("region"), **RANGE, limit=1) == {"values": ["eu"], "complete": False}
    for key in ("long", "secret", "old", "unknown"):
        assert (await api.json(values.format(key), **RANGE))["values"] == []


async def test_operations_are_names_of_a_service_with_their_kinds(api: Api) -> None:
    await api.store(
        request_of(span(1, 1, name="GET /", kind=Span.SPAN_KIND_SERVER), span(1, 2, name="GET /"), span(1, 3, name="query")),
        request_of(span(1, 4, name="other"), service="a/b"),
    )
    path = "/api/v1/services/{}/operations"
    found = await api.json(path.format("shop"), **RANGE)
    assert found == {
        "operations": [{"name": "GET /", "kinds": ["server", "unspecified"]}, {"name": "query", "kinds": ["unspecified"]}],
        "complete": True,
    }
    assert (await api.json(path.format("shop"), **RANGE, limit=1))["complete"] is False
    assert [each["name"] for each in (await api.json(path.format("shop"), **RANGE, prefix="q"))["operations"]] == ["query"]
    assert [each["name"] for each in (await api.json(path.format("shop"), **RANGE, kind="server"))["operations"]] == ["GET /"]
    answer = await api.get("/api/v1/services/a%2Fb/operations", **RANGE)
    assert [each["name"] for each in answer.json["operations"]] == ["other"]


async def test_operations_of_spans_without_a_service_can_be_asked_for(api: Api) -> None:
    await api.store(
        request_of(span(1, 1, name="GET /", kind=Span.SPAN_KIND_SERVER)), request_of(span(1, 2, name="nightly"), service="")
    )
    assert [each["name"] for each in (await api.json("/api/v1/services", **RANGE))["services"]] == ["", "shop"]
    path = "/api/v1/operations"
    found = await api.json(path, **RANGE, service="")
    assert found == {"operations": [{"name": "nightly", "kinds": ["unspecified"]}], "complete": True}
    assert await api.json(path, **RANGE, service="shop") == await api.json("/api/v1/services/shop/operations", **RANGE)
    assert (await api.get(path, **RANGE)).json["parameter"] == "service"
