"""A search that is followed: server-sent events with the traces that come."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
from jsonschema import Draft202012Validator

from collector.api.openapi import COMPONENTS
from tests.contract.test_query_api_traces import Api, api, hex_of, request_of, span

__all__ = ["api"]
EVENTS = "/api/v1/traces/events"


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The data of the next event, past those comments that keep a connection alive."""
    async with asyncio.timeout(30):
        while (block := await stream.content.readuntil(b"\n\n")) == b":\n\n":
            pass
    event, data = block.splitlines()[:2]
    assert event == b"event: traces"
    document: dict[str, Any] = orjson.loads(data.removeprefix(b"data: "))
    schema = {"$ref": "#/components/schemas/TracesNews", "components": {"schemas": COMPONENTS}}
    Draft202012Validator(schema).validate(document)
    return document


def told(document: dict[str, Any]) -> dict[str, int]:
    return {trace["traceId"]: trace["spanCount"] for trace in document["traces"]}


async def test_traces_that_are_there_come_first_then_what_is_new_or_has_grown(api: Api) -> None:
    await api.store(request_of(span(1, start=5), span(2, start=5), service="shop"))
    async with api.session.get(api.url + EVENTS, params={"service": "shop"}) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert told(await next_event(stream)) == {hex_of(1): 1, hex_of(2): 1}
        await api.store(request_of(span(3, start=5), service="other"), request_of(span(2, 2, start=5), span(4, start=5)))
        assert told(await next_event(stream)) == {hex_of(2): 2, hex_of(4): 1}


async def test_the_latest_are_told_and_how_many_others_there_are(api: Api) -> None:
    await api.store(request_of(*(span(number, start=number) for number in range(1, 6))))
    async with api.session.get(api.url + EVENTS, params={"limit": 2}) as stream:
        event = await next_event(stream)
        assert list(told(event)) == [hex_of(5), hex_of(4)]
        assert (event["total"], event["leftOut"]) == (5, 3)
        await api.store(request_of(span(6, start=1)))
        event = await next_event(stream)
        assert (told(event), event["total"], event["leftOut"]) == ({}, 6, 4)


async def test_what_is_wrong_with_the_question_is_told_before_anything_is_followed(api: Api) -> None:
    for query, parameter in (
        ({"q": "duration >>"}, "q"),
        ({"start": "0"}, "start"),
        ({"sort": "spans"}, "sort"),
        ({"limit": "501"}, "limit"),
    ):
        answer = await api.get(EVENTS, **query)
        assert (answer.status, answer.json["parameter"]) == (400, parameter)
