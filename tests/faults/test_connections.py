"""A thousand connections at once, over both protocols, that each send little; some of them slowly, and some never to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

import pytest

from tests.support.batches import numbered
from tests.support.clickhouse import ClickHouse
from tests.support.daemon import Daemon, daemon_in, eventually
from tests.support.http2 import Http2Client, framed
from tests.support.receivers import post, read_reply
from tests.support.ways import assert_stored_once

OF_EACH_PROTOCOL = 500
SLOW = 100
"""So many of each protocol stop in the middle of their first request, until all that are quick are done."""
BROKEN = 50
"""So many of those leave then."""
REQUESTS = 2
SPANS = 3
AT_ONCE = 50
"""So many of the quick ones wait for an answer at any moment, so that none waits for long."""


class Connection(Protocol):
    """A connection over which requests are sent in two halves."""

    @classmethod
    async def open(cls, daemon: Daemon) -> Self: ...
    def send_half(self, body: bytes) -> None: ...
    def send_rest(self) -> None: ...
    async def acknowledged(self) -> bool: ...
    def close(self) -> None: ...


class HttpConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._rest = reader, writer, b""

    @classmethod
    async def open(cls, daemon: Daemon) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", daemon.ports.http))

    def send_half(self, body: bytes) -> None:
        request = post(body)
        middle = len(request) - len(body) // 2
        self._writer.write(request[:middle])
        self._rest = request[middle:]

    def send_rest(self) -> None:
        self._writer.write(self._rest)

    async def acknowledged(self) -> bool:
        return (await read_reply(self._reader)).status == 200

    def close(self) -> None:
        self._writer.close()


class GrpcConnection:
    def __init__(self, client: Http2Client) -> None:
        self._client, self._stream, self._rest = client, 0, b""

    @classmethod
    async def open(cls, daemon: Daemon) -> Self:
        return cls(await Http2Client.connect(daemon.ports.grpc))

    def send_half(self, body: bytes) -> None:
        message = framed(body)
        middle = len(message) // 2
        self._stream = self._client.begin(message[:middle], whole=False)
        self._rest = message[middle:]

    def send_rest(self) -> None:
        self._client.end(self._stream, self._rest)

    async def acknowledged(self) -> bool:
        return (await self._client.reply(self._stream)).grpc_status == 0

    def close(self) -> None:
        self._client.close()


class Crowd:
    """All who are connected, and the numbers of their spans that were acknowledged."""

    def __init__(self, daemon: Daemon) -> None:
        self.acknowledged: list[int] = []
        self.quick_are_done = asyncio.Event()
        self._daemon = daemon
        self._all_are_there = asyncio.Barrier(2 * OF_EACH_PROTOCOL)
        self._quick_left = 2 * (OF_EACH_PROTOCOL - SLOW)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def visit(self, kind: type[Connection], number: int) -> None:
        """Connect, wait until all are connected, send, and leave."""
        connection = await kind.open(self._daemon)
        try:
            await self._all_are_there.wait()
            place = number % OF_EACH_PROTOCOL
            if place < SLOW:
                await self._send(connection, number * REQUESTS, leaves=place < BROKEN)
            else:
                for request in range(REQUESTS):
                    async with self._turns:
                        await self._send(connection, number * REQUESTS + request)
                self._quick_left -= 1
                if not self._quick_left:
                    self.quick_are_done.set()
        finally:
            connection.close()

    async def _send(self, connection: Connection, request: int, *, leaves: bool | None = None) -> None:
        """Send one request; where `leaves` says so, slowly, and perhaps not to its end."""
        spans = range(request * SPANS, (request + 1) * SPANS)
        connection.send_half(numbered(spans.start, SPANS).data.tobytes())
        if leaves is not None:
            await self.quick_are_done.wait()
        if not leaves:
            connection.send_rest()
            assert await connection.acknowledged()
            self.acknowledged.extend(spans)


@pytest.fixture
def daemon(tmp_path: Path, embedded_clickhouse: ClickHouse) -> Iterator[Daemon]:
    with daemon_in(tmp_path) as running:
        running.configure(clickhouse={"endpoint": embedded_clickhouse.url, "database": "connections"}, journal={})
        running.start()
        yield running
        embedded_clickhouse.execute("DROP DATABASE IF EXISTS connections SYNC")


async def test_a_thousand_connections_are_served_though_some_are_slow(daemon: Daemon, embedded_clickhouse: ClickHouse) -> None:
    crowd = Crowd(daemon)
    async with asyncio.TaskGroup() as tasks:
        for number in range(OF_EACH_PROTOCOL):
            tasks.create_task(crowd.visit(HttpConnection, number))
            tasks.create_task(crowd.visit(GrpcConnection, OF_EACH_PROTOCOL + number))
    requests = 2 * ((OF_EACH_PROTOCOL - SLOW) * REQUESTS + SLOW - BROKEN)
    assert len(crowd.acknowledged) == requests * SPANS
    await asyncio.to_thread(eventually, lambda: daemon.metric("spanhouse_queue_spans") == 0, "an empty journal")
    assert_stored_once(embedded_clickhouse, "connections", crowd.acknowledged)
    states = {state: daemon.metric("spanhouse_ledger_spans", state=state) for state in ("accepted", "stored", "waiting")}
    assert states == {"accepted": requests * SPANS, "stored": requests * SPANS, "waiting": 0}
    # Nothing is held for those who left.
    await asyncio.to_thread(eventually, lambda: daemon.metric("spanhouse_receiver_in_flight_bytes") == 0, "no request in flight")
    assert daemon.stop() == 0, daemon.log
