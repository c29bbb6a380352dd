"""Comments and highlights on traces, over the query API and in a real ClickHouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # publishes no types

from collector.api import trace_annotations
from collector.api.openapi import COMPONENTS
from collector.api.routing import QuerySettings
from exporters.clickhouse.client import ClickHouseClient
from tests.contract.test_query_api_traces import hex_of, request_of, span
from tests.support.requests import EPOCH
from tests.support.rows import insert_statement, json_lines, rows_of
from tests.support.workspace_port import TOKENS, WorkspacePort, workspace_port

PATH = "annotations"
TRACE, OTHER, UNKNOWN = hex_of(1), hex_of(2), hex_of(3)
SPAN = f"{2:016x}"
# So long that it has not passed since the time of the test, or the store would forget at once.
TTL_S = 20 * 365 * 86_400
FAR = "2099-01-01T00:00:00Z"


@pytest.fixture
async def port(module_client: ClickHouseClient) -> AsyncIterator[WorkspacePort]:
    rows = rows_of(request_of(span(1, 1), span(1, 2, parent=1), span(2, 1)), "mine")
    await module_client.insert(insert_statement(rows), json_lines(rows))
    settings = QuerySettings(spans_ttl_s=TTL_S)
    async with workspace_port(module_client, trace_annotations.ROUTES, COMPONENTS, settings=settings) as port:
        yield port


async def make(port: WorkspacePort, **said: Any) -> Any:
    answer = await port.ask("POST", PATH, {"traceId": TRACE, **said})
    assert answer.status == 201, answer.body
    return answer.json


async def listed(port: WorkspacePort, **query: Any) -> list[str]:
    answer = await port.ask("GET", PATH, **query)
    assert answer.status == 200, answer.body
    return [each["text"] for each in answer.json["annotations"]]


async def get(port: WorkspacePort, path: str, schema: str, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {TOKENS[port.name]}", "X-Workspace-Id": "theirs" if port.name == "zoe" else "mine"}
    async with port.session.get(f"{port.url}/api/v1/{path}", headers=headers, params=query) as response:
        assert response.status == 200, await response.text()
        document = await response.json()
    Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": {"schemas": COMPONENTS}}).validate(document)
    return document


async def test_annotations_are_found_in_lists_with_the_trace_and_by_a_search(port: WorkspacePort) -> None:
    ben, ray = port.as_("ben"), port.as_("ray")
    first = await make(ben, text="Why so slow?")
    await make(ray, spanId=SPAN, colour="red")
    await make(ray, spanId=SPAN, text="cache is cold, 100% slow", colour="#a0B1c2", keep="forever")
    await make(ben, traceId=OTHER.upper(), text="fine")
    nowhere = [await make(ben, traceId=UNKNOWN, text="lost"), await make(ben, spanId=f"{9:016x}", text="gone")]
    assert (first["createdBy"], first["spanId"], first["targetFound"]) == ("ben", "", True)
    assert [each["targetFound"] for each in nowhere] == [False, False]

    everything = ["gone", "lost", "fine", "cache is cold, 100% slow", "", "Why so slow?"]
    assert await listed(port) == everything
    assert await listed(port, trace=TRACE) == ["gone", "cache is cold, 100% slow", "", "Why so slow?"]
    assert await listed(port, span=SPAN.upper()) == ["cache is cold, 100% slow", ""]
    assert await listed(port, author="ray", text="SLOW") == ["cache is cold, 100% slow"]
    assert await listed(port, text="0%") == ["cache is cold, 100% slow"]
    made = sorted(int(each["createdAtUnixNano"]) for each in (await port.ask("GET", PATH)).json["annotations"])
    assert await listed(port, start=str(made[1]), end=str(made[3])) == ["cache is cold, 100% slow", ""]
    found, cursor = [], None
    while True:
        page = (await port.ask("GET", PATH, limit=4, **({"cursor": cursor} if cursor else {}))).json
        found += [each["text"] for each in page["annotations"]]
        if (cursor := page["nextCursor"]) is None:
            break
    assert found == everything

    with_trace = (await get(port, f"traces/{TRACE}/annotations", "TraceAnnotations"))["annotations"]
    assert [each["text"] for each in with_trace] == ["Why so slow?", "", "cache is cold, 100% slow", "gone"]
    assert (await get(port, f"traces/{TRACE}", "Trace"))["annotations"] == with_trace
    assert (await get(port, f"traces/{TRACE}", "Trace", offset=1, limit=1))["annotations"] == with_trace
    assert (await get(port, f"traces/{hex_of(7)}/annotations", "TraceAnnotations"))["annotations"] == []
    assert (await get(port.as_("zoe"), f"traces/{TRACE}/annotations", "TraceAnnotations"))["annotations"] == []

    async def searched(asked: str) -> set[str]:
        page = await get(port, "traces", "Traces", q=asked, start=str(EPOCH - 10**9), end=str(EPOCH + 10**10))
        return {each["traceId"] for each in page["traces"]}

    assert await searched('trace.annotation =~ "(?i).*slow.*"') == {TRACE}
    assert await searched("trace.annotation = fine") == {OTHER}
    assert await searched("trace.annotation != nil") == {TRACE, OTHER}
    assert await searched("not trace.annotation = fine") == {TRACE}
    assert await searched('trace.annotation in ("fine", "gone") and duration >= 0ns') == {TRACE, OTHER}
    path = f"{PATH}/{first['id']}"
    assert (await ben.ask("PATCH", path, {"text": "Clear now"}, version=1)).json["version"] == 2
    assert await searched('trace.annotation = "Why so slow?"') == set()
    assert await searched('trace.annotation = "Clear now"') == {TRACE}
    assert (await ben.ask("DELETE", path, version=2)).status == 204
    assert await searched('trace.annotation = "Clear now"') == set()
    assert "Clear now" not in await listed(port)


async def test_only_their_authors_and_administrators_change_them_and_what_cannot_be_is_refused(port: WorkspacePort) -> None:
    made = await make(port.as_("ben"), text="mine")
    path = f"{PATH}/{made['id']}"
    for method, body in (("PATCH", {"text": "theirs"}), ("PUT", {"traceId": TRACE, "text": "theirs"}), ("DELETE", None)):
        assert (await port.as_("ray").ask(method, path, body, version=1)).status == 403
    assert (await port.as_("zoe").ask("GET", path, where="theirs")).status == 404
    moved = await port.as_("ben").ask("PATCH", path, {"traceId": OTHER}, version=1)
    assert (moved.status, moved.json["errors"][0]["field"]) == (400, "traceId")
    assert (await port.as_("ben").ask("PUT", path, {"traceId": TRACE, "colour": "blue"}, version=1)).json["text"] == ""
    assert (await port.as_("ann").ask("PATCH", path, {"text": "by Ann"}, version=2)).json["updatedBy"] == "ann"
    versions = (await port.ask("GET", f"{path}/versions")).json["versions"]
    assert [each["updatedBy"] for each in versions] == ["ann", "ben", "ben"]

    # Kept as long as the trace or longer, and never shorter than was said.
    now_s = EPOCH // 10**9

    def until(annotation: Any) -> float | None:
        text = annotation["keptUntil"]
        return None if text is None else datetime.fromisoformat(text).timestamp()

    made = await make(port, text="a", keptUntil=FAR, targetFound=False)
    assert (until(made), made["targetFound"]) == (now_s + TTL_S, True), "what follows is not for requests to say"
    path = f"{PATH}/{made['id']}"
    soon = datetime.fromtimestamp(now_s + TTL_S - 1, UTC).isoformat()
    assert until((await port.ask("PATCH", path, {"keep": soon}, version=1)).json) == now_s + TTL_S, "not before the trace"
    longer = await port.ask("PATCH", path, {"keep": FAR}, version=2)
    assert until(longer.json) == datetime.fromisoformat(FAR).timestamp()
    for keep in ("trace", "2098-01-01T00:00:00Z"):
        assert (await port.ask("PATCH", path, {"keep": keep}, version=3)).status == 400
    assert until((await port.ask("PATCH", path, {"keep": "forever"}, version=3)).json) is None
    assert (await port.ask("PATCH", path, {"keep": FAR}, version=4)).status == 400

    for said, field in (
        ({"traceId": "1", "text": "a"}, "traceId"),
        ({"traceId": "0" * 32, "text": "a"}, "traceId"),
        ({"spanId": "x" * 16, "text": "a"}, "spanId"),
        ({"text": "a" * 4001}, "text"),
        ({"colour": "ultraviolet"}, "colour"),
        ({"text": "a", "keep": "a while"}, "keep"),
        ({"text": "a", "keep": "2030-01-01T00:00:00"}, "keep"),
        ({"text": "a", "keep": "2200-01-01T00:00:00Z"}, "keep"),
        ({"text": "a", "color": "red"}, "color"),
        ({}, ""),
    ):
        answer = await port.ask("POST", PATH, {"traceId": TRACE, **said})
        assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (400, [field])
    for name, value in (("trace", "x"), ("span", "x"), ("start", "x"), ("cursor", "x"), ("limit", "0")):
        assert (await port.ask("GET", PATH, **{name: value})).json["parameter"] == name
    assert (await port.ask("GET", PATH, start="20", end="10")).json["parameter"] == "end"
