"""The storefront: what customers see, over HTTP. It asks the catalogue over GraphQL. Run as `python -m shop.storefront`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import fastapi
import httpx
import spanhouse_sdk
from pydantic import BaseModel, Field
from spanhouse_sdk.asgi import TraceMiddleware

from shop.addresses import HOST, Addresses
from shop.serving import serve

_PRODUCTS: Final = "query Products($names: [String!]) { products(names: $names) { name priceInCents inStock } }"
_ORDER: Final = """
mutation PlaceOrder($product: String!, $quantity: Int!) { order(product: $product, quantity: $quantity) { id totalInCents } }
"""
_TIMEOUT_S: Final = 10.0


class Wanted(BaseModel):
    """What somebody wants to buy."""

    product: str
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1


class Catalog:
    """The catalogue, as a client sees it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def products(self, *names: str) -> list[dict[str, Any]]:
        """Products by name, or all of them."""
        found: list[dict[str, Any]] = (await self._ask(_PRODUCTS, names=names or None))["products"]
        return found

    async def order(self, product: str, quantity: int) -> dict[str, Any] | None:
        """Buy something; None, where there is not enough of it."""
        made: dict[str, Any] | None = (await self._ask(_ORDER, product=product, quantity=quantity))["order"]
        return made

    async def _ask(self, query: str, **variables: object) -> dict[str, Any]:
        try:
            answer = await self._client.post("/graphql/", json={"query": query, "variables": variables})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise fastapi.HTTPException(502, "the catalogue is away") from error
        document = answer.json()
        if document.get("errors"):
            raise fastapi.HTTPException(502, "the catalogue cannot say")
        data: dict[str, Any] = document["data"]
        return data


def application(catalog: str) -> fastapi.FastAPI:
    """The service.

    Args:
        catalog: its address, `http://host:port`.
    """

    @asynccontextmanager
    async def connected(made: fastapi.FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=catalog, timeout=_TIMEOUT_S) as client:
            made.state.catalog = Catalog(client)
            yield

    made = fastapi.FastAPI(title="The shop", lifespan=connected)
    made.add_middleware(TraceMiddleware)
    made.include_router(_router)
    return made


_router = fastapi.APIRouter()


@_router.get("/products")
async def products(request: fastapi.Request) -> list[dict[str, Any]]:
    """All products."""
    catalog: Catalog = request.app.state.catalog
    return await catalog.products()


@_router.get("/products/{name}")
async def product(request: fastapi.Request, name: str) -> dict[str, Any]:
    """One product."""
    catalog: Catalog = request.app.state.catalog
    found = await catalog.products(name)
    if not found:
        raise fastapi.HTTPException(404, "there is no such product")
    return found[0]


@_router.post("/orders", status_code=201)
async def order(request: fastapi.Request, wanted: Wanted) -> dict[str, Any]:
    """Buy something."""
    catalog: Catalog = request.app.state.catalog
    made = await catalog.order(wanted.product, wanted.quantity)
    if made is None:
        raise fastapi.HTTPException(409, "there is not enough of it")
    return made


if __name__ == "__main__":
    spanhouse_sdk.setup("shop-storefront")
    addresses = Addresses.from_environment()
    serve(application(f"http://{HOST}:{addresses.catalog}"), addresses.storefront)
