"""Resolvers of Strawberry, Ariadne and Graphene, and the name of the operation on the request's span."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ariadne
import graphene
import httpx
import pytest
import strawberry
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind, StatusCode
from spanhouse_sdk.asgi import TraceMiddleware
from spanhouse_sdk.graphql import ResolverSpans
from spanhouse_sdk.strawberry import ResolverSpansExtension
from starlette.applications import Starlette
from strawberry.asgi import GraphQL
from strawberry.fastapi import GraphQLRouter

QUERY = "query ShowCart { cart { id items { name } } broken slow }"


@strawberry.type
class Item:
    name: str


@strawberry.type
class Cart:
    id: str

    @strawberry.field
    def items(self) -> list[Item]:
        return [Item(name="a"), Item(name="b")]


@strawberry.type
class Query:
    @strawberry.field
    def cart(self) -> Cart:
        return Cart(id="1")

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("broken")

    @strawberry.field
    async def slow(self) -> str:
        await asyncio.sleep(0)
        return _in_span()


async def strawberry_answer(query: str) -> Any:
    schema = strawberry.Schema(Query, extensions=[ResolverSpansExtension])
    return (await schema.execute(query)).data


async def ariadne_answer(query: str) -> Any:
    queries, carts = ariadne.QueryType(), ariadne.ObjectType("Cart")
    queries.set_field("cart", lambda *_: {"id": "1"})
    carts.set_field("items", lambda *_: [{"name": "a"}, {"name": "b"}])
    queries.set_field("broken", _broken)
    queries.set_field("slow", _slow)
    types = "type Item { name: String } type Cart { id: ID items: [Item] } type Query { cart: Cart broken: String slow: String }"
    schema = ariadne.make_executable_schema(types, queries, carts)
    return (await ariadne.graphql(schema, {"query": query}, middleware=[ResolverSpans()], logger=_SILENT))[1]["data"]


async def graphene_answer(query: str) -> Any:
    class Item(graphene.ObjectType):
        name = graphene.String()

    class Cart(graphene.ObjectType):
        id = graphene.ID()
        items = graphene.List(Item)

        def resolve_items(self, info: Any) -> list[Any]:
            return [Item(name="a"), Item(name="b")]

    class Query(graphene.ObjectType):
        cart = graphene.Field(Cart)
        broken = graphene.String()
        slow = graphene.String()

        def resolve_cart(self, info: Any) -> Any:
            return Cart(id="1")

        resolve_broken, resolve_slow = _broken, _slow

    return (await graphene.Schema(Query).execute_async(query, middleware=[ResolverSpans()])).data


def _in_span() -> str:
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


def _broken(*_: Any) -> None:
    raise RuntimeError("broken")


async def _slow(*_: Any) -> str:
    await asyncio.sleep(0)
    return _in_span()


_SILENT = "silent"
ANSWERS = [strawberry_answer, ariadne_answer, graphene_answer]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("answer", ANSWERS)
async def test_resolvers_have_spans_and_the_request_the_name_of_the_operation(
    answer: Callable[[str], Any], spans: Callable[[], list[Any]]
) -> None:
    with trace.get_tracer("cart").start_as_current_span("POST /graphql") as request:
        data = await answer(QUERY)
    assert data["cart"] == {"id": "1", "items": [{"name": "a"}, {"name": "b"}]}
    made = {span.name: span for span in spans()}
    assert set(made) == {"Query.cart", "Cart.items", "Query.broken", "Query.slow", "query ShowCart"}
    assert len(spans()) == 5
    top = made["query ShowCart"]
    assert dict(top.attributes) == {"graphql.operation.type": "query", "graphql.operation.name": "ShowCart"}
    assert all(span is top or span.parent.span_id == request.get_span_context().span_id for span in spans())
    assert made["Cart.items"].attributes["graphql.field.path"] == "cart.items"
    assert made["Query.broken"].status.status_code is StatusCode.ERROR
    assert made["Query.slow"].status.status_code is StatusCode.UNSET
    assert data["slow"] == f"{made['Query.slow'].context.span_id:016x}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_operation_without_a_name_and_without_a_span_around_it_is_no_problem(
    answer: Callable[[str], Any], spans: Callable[[], list[Any]]
) -> None:
    assert (await answer("{ cart { id } }"))["cart"] == {"id": "1"}
    (span,) = spans()
    assert (span.name, span.parent) == ("Query.cart", None)


@pytest.mark.parametrize("framework", ["fastapi", "fastapi+opentelemetry", "starlette"])
async def test_the_span_of_the_request_has_the_name_and_no_other(framework: str, spans: Callable[[], list[Any]]) -> None:
    schema = strawberry.Schema(Query, extensions=[ResolverSpansExtension])
    app: Any = Starlette() if framework == "starlette" else FastAPI()
    app.add_middleware(TraceMiddleware)
    if framework == "starlette":
        app.mount("/graphql", GraphQL(schema))
    else:
        app.include_router(GraphQLRouter(schema), prefix="/graphql")
    if framework == "fastapi+opentelemetry":
        FastAPIInstrumentor.instrument_app(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cart", follow_redirects=True) as client:
        answer = await client.post("/graphql/" if framework == "starlette" else "/graphql", json={"query": QUERY})
    assert answer.json()["data"]["cart"]["id"] == "1"
    (server,) = [span for span in spans() if span.kind is SpanKind.SERVER]
    assert [span for span in spans() if span.name == "query ShowCart"] == [server]
