"""The stock: how much there is of each product, in SQLite, over gRPC. Run as `python -m shop.stock`."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc
import spanhouse_sdk
from spanhouse_sdk.grpc_aio_server import AioServerInterceptor

from shop.addresses import HOST, Addresses
from shop.protocol import stock_pb2, stock_pb2_grpc

_DELIVERED: Final = {"tea": 100_000, "coffee": 100_000, "cake": 3}
_GRACE_S: Final = 2.0


class Shelves:
    """The database. It is in memory, so it may be asked on the event loop. Statements go by cursors, of which there are spans."""

    def __init__(self, delivered: Iterable[tuple[str, int]]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.execute("CREATE TABLE stock (product TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0))")
        self._connection.executemany("INSERT INTO stock VALUES (?, ?)", delivered)

    def levels(self, products: list[str]) -> list[tuple[str, int]]:
        """Products and how much there is of each; of all of them, if none is named."""
        marks = ", ".join("?" * len(products))
        condition = f"WHERE product IN ({marks})" if products else ""
        statement = f"SELECT product, quantity FROM stock {condition} ORDER BY product"  # noqa: S608 - nothing of the caller's is in it
        return self._connection.cursor().execute(statement, products).fetchall()

    def take(self, product: str, quantity: int) -> bool:
        """Whether there was enough of a product, which then is taken."""
        taken = self._connection.cursor().execute(
            "UPDATE stock SET quantity = quantity - ? WHERE product = ? AND quantity >= ?", (quantity, product, quantity)
        )
        return taken.rowcount == 1


class StockService(stock_pb2_grpc.StockServicer):
    """See stock.proto."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def Levels(self, request: stock_pb2.LevelsRequest, context: Any) -> AsyncIterator[stock_pb2.Level]:  # noqa: N802 - gRPC's
        """The levels of products."""
        for product, quantity in self._shelves.levels(list(request.products)):
            yield stock_pb2.Level(product=product, quantity=quantity)

    async def Reserve(self, request: stock_pb2.ReserveRequest, context: Any) -> stock_pb2.ReserveResponse:  # noqa: N802 - gRPC's
        """Take some of a product."""
        if request.quantity < 1:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "quantity must be at least 1")
        return stock_pb2.ReserveResponse(reserved=self._shelves.take(request.product, request.quantity))


async def serve(port: int) -> None:
    """Serve until a signal asks for the end."""
    server = grpc.aio.server(interceptors=[AioServerInterceptor()])
    stock_pb2_grpc.add_StockServicer_to_server(StockService(Shelves(_DELIVERED.items())), server)
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.stop(_GRACE_S)


if __name__ == "__main__":
    spanhouse_sdk.setup("shop-stock")
    asyncio.run(serve(Addresses.from_environment().stock))
