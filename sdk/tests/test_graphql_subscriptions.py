"""Subscriptions of Strawberry, Ariadne and Graphene: a span for each, and for each of its payloads, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import ariadne
import graphene
import pytest
import strawberry
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from spanhouse_sdk.graphql_subscriptions import trace_subscriptions
from spanhouse_sdk.strawberry import ResolverSpansExtension

from tests.support.waiting import until

QUERY = "subscription OnPrice { prices(below: %d) }"
ENDLESS = 1_000_000


async def prices(below: int) -> AsyncIterator[int]:
    for price in range(below):
        with trace.get_tracer("cart").start_as_current_span("look"):
            await asyncio.sleep(0)
        yield price
    if below == 0:
        raise RuntimeError("no prices")


Source = Callable[[int], AsyncIterator[int]]
Payloads = Callable[[int], Any]


def strawberry_schema(prices: Source) -> strawberry.Schema:
    @strawberry.type
    class Query:
        @strawberry.field
        def name(self) -> str:
            return "cart"

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def prices(self, below: int) -> AsyncIterator[int]:
            async for price in prices(below):
                yield price

    schema = strawberry.Schema(Query, subscription=Subscription, extensions=[ResolverSpansExtension])
    trace_subscriptions(schema)
    return schema


def ariadne_schema(prices: Source) -> Any:
    subscriptions = ariadne.SubscriptionType()
    subscriptions.set_source("prices", lambda *_, below: prices(below))
    subscriptions.set_field("prices", lambda price, *_, **__: price)
    types = "type Query { name: String } type Subscription { prices(below: Int!): Int }"
    schema = ariadne.make_executable_schema(types, subscriptions)
    trace_subscriptions(schema)
    trace_subscriptions(schema)
    return schema


def graphene_schema(prices: Source) -> graphene.Schema:
    class Query(graphene.ObjectType):
        name = graphene.String()

    class Subscription(graphene.ObjectType):
        prices = graphene.Int(below=graphene.Int(required=True))

        async def subscribe_prices(self, info: Any, below: int) -> AsyncIterator[int]:
            async for price in prices(below):
                yield price

    schema = graphene.Schema(Query, subscription=Subscription)
    trace_subscriptions(schema)
    return schema


async def strawberry_payloads(below: int) -> Any:
    return await strawberry_schema(prices).subscribe(QUERY % below)


async def ariadne_payloads(below: int) -> Any:
    return (await ariadne.subscribe(ariadne_schema(prices), {"query": QUERY % below}))[1]


async def graphene_payloads(below: int) -> Any:
    return await graphene_schema(prices).subscribe(QUERY % below)


PAYLOADS = [strawberry_payloads, ariadne_payloads, graphene_payloads]


def check(spans: list[Any], *, payloads: int, request: Any = None) -> Any:
    """All spans have ended, with the parents that they should have; the subscription's is returned."""
    (subscription,) = [span for span in spans if span.name == "subscription OnPrice"]
    assert dict(subscription.attributes) == {"graphql.operation.type": "subscription", "graphql.operation.name": "OnPrice"}
    assert (subscription.parent and subscription.parent.span_id) == (request and request.get_span_context().span_id)
    delivered = [span for span in spans if span.name == "Subscription.prices"]
    assert len(delivered) == payloads
    assert {span.name for span in spans} <= {"subscription OnPrice", "Subscription.prices", "look", "websocket"}
    inside = [*delivered, *(span for span in spans if span.name == "look")]
    assert all(span.parent.span_id == subscription.context.span_id for span in inside)
    assert all(span.end_time <= subscription.end_time for span in inside)
    return subscription


@pytest.mark.parametrize("payloads", PAYLOADS)
async def test_a_subscription_has_a_span_and_each_of_its_payloads_one_below_it(
    payloads: Payloads, spans: Callable[[], list[Any]]
) -> None:
    with trace.get_tracer("cart").start_as_current_span("websocket") as request:
        stream = await payloads(3)
        found = [payload.data["prices"] async for payload in stream]
    assert found == [0, 1, 2]
    subscription = check(spans(), payloads=3, request=request)
    assert subscription.status.status_code is StatusCode.UNSET
    first, second, _ = (span for span in spans() if span.name == "Subscription.prices")
    assert first.end_time <= second.start_time
    assert first.attributes["graphql.field.path"] == "prices"


@pytest.mark.parametrize("payloads", PAYLOADS)
@pytest.mark.parametrize("received", [0, 2])
async def test_a_subscription_that_is_closed_half_way_ends_its_spans(
    payloads: Payloads, received: int, spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    stream = await payloads(ENDLESS)
    for number in range(received):
        assert (await anext(stream)).data["prices"] == number
    await stream.aclose()
    # Strawberry begins when the first payload is asked for; others end what has not begun when nobody has it any more.
    del stream
    if received or payloads is not strawberry_payloads:
        await until(lambda: bool(spans()))
        check(spans(), payloads=received)
    assert "detach" not in caplog.text


@pytest.mark.parametrize("payloads", PAYLOADS)
async def test_a_subscription_whose_reader_is_cancelled_ends_its_spans(
    payloads: Payloads, spans: Callable[[], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    read = asyncio.Event()

    async def reading() -> None:
        async for payload in await payloads(ENDLESS):
            if payload.data["prices"] == 1:
                read.set()

    task = asyncio.create_task(reading())
    await read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(10):
        await asyncio.sleep(0)
    made = spans()
    check(made, payloads=len([span for span in made if span.name == "Subscription.prices"]))
    assert "detach" not in caplog.text


@pytest.mark.parametrize("payloads", PAYLOADS)
async def test_a_source_that_fails_says_so_on_its_span(payloads: Payloads, spans: Callable[[], list[Any]]) -> None:
    try:
        errors = [error async for payload in await payloads(0) for error in payload.errors]
    except RuntimeError:  # from Graphene and Ariadne
        errors = []
    assert all("no prices" in error.message for error in errors)
    subscription = check(spans(), payloads=0)
    assert subscription.status.description == "RuntimeError: no prices"


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="not str"):
        trace_subscriptions("schema")
