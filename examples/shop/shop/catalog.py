"""The catalogue: products and orders, over GraphQL. It asks the stock over gRPC. Run as `python -m shop.catalog`."""

from __future__ import annotations

import uuid
from typing import Final

import grpc
import spanhouse_sdk
import strawberry
from spanhouse_sdk.asgi import TraceMiddleware
from spanhouse_sdk.strawberry import ResolverSpansExtension
from starlette.applications import Starlette
from strawberry.asgi import GraphQL

from shop.addresses import HOST, Addresses
from shop.protocol import stock_pb2, stock_pb2_grpc
from shop.serving import serve

_PRICES: Final = {"cake": 420, "coffee": 260, "tea": 240}
"""In cents."""


@strawberry.type
class Product:
    """Something that can be bought."""

    name: str
    price_in_cents: int
    in_stock: int


@strawberry.type
class Order:
    """What somebody has bought."""

    id: strawberry.ID
    total_in_cents: int


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    async def products(self, info: strawberry.Info, names: list[str] | None = None) -> list[Product]:
        """Products by name, or all of them."""
        stock: stock_pb2_grpc.StockStub = info.context["stock"]
        levels = stock.Levels(stock_pb2.LevelsRequest(products=names or ()))
        return [
            Product(name=level.product, price_in_cents=_PRICES[level.product], in_stock=level.quantity) async for level in levels
        ]


@strawberry.type
class Mutation:
    """What can be done."""

    @strawberry.mutation
    async def order(self, info: strawberry.Info, product: str, quantity: int) -> Order | None:
        """Buy something; nothing, where there is not enough of it."""
        stock: stock_pb2_grpc.StockStub = info.context["stock"]
        answer = await stock.Reserve(stock_pb2.ReserveRequest(product=product, quantity=quantity))
        return Order(id=strawberry.ID(str(uuid.uuid4())), total_in_cents=_PRICES[product] * quantity) if answer.reserved else None


class Catalog(GraphQL[dict[str, stock_pb2_grpc.StockStub], None]):
    """The GraphQL server. It connects to the stock when it is first asked, on the loop that it is asked on."""

    def __init__(self, stock: str) -> None:
        super().__init__(strawberry.Schema(query=Query, mutation=Mutation, extensions=[ResolverSpansExtension]))
        self._address = stock
        self._stub: stock_pb2_grpc.StockStub | None = None

    async def get_context(self, request: object, response: object) -> dict[str, stock_pb2_grpc.StockStub]:
        """What resolvers work with."""
        if self._stub is None:
            self._stub = stock_pb2_grpc.StockStub(grpc.aio.insecure_channel(self._address))
        return {"stock": self._stub}


def application(stock: str) -> Starlette:
    """The service.

    Args:
        stock: its address, `host:port`.
    """
    made = Starlette()
    made.add_middleware(TraceMiddleware)
    made.mount("/graphql", Catalog(stock))
    return made


if __name__ == "__main__":
    spanhouse_sdk.setup("shop-catalog")
    addresses = Addresses.from_environment()
    serve(application(f"{HOST}:{addresses.stock}"), addresses.catalog)
