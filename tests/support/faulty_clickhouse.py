"""A ClickHouse that misbehaves on demand: it keeps account of every insert, by token, as the real one does.

Real servers do not fail when a test wants them to; this one answers what a script says. What it stores it decodes with
clickhouse-connect's reader of the Native format.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import lz4.frame
import orjson
from aiohttp import web
from clickhouse_connect.driver.query import QueryContext
from clickhouse_connect.driver.transform import NativeTransform
from clickhouse_connect.driverc.buffer import ResponseBuffer

from proto.span_columns import COLUMNS

Fault = Callable[["FaultyClickHouse", web.Request, "Received"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One attempt at an insert."""

    token: str
    body: bytes
    settings: dict[str, str]
    statement: str

    @property
    def numbers(self) -> list[int]:
        """The names of its spans, which tests make numbers."""
        return [int(name) for name in read_native(lz4.frame.decompress(self.body))["SpanName"]]


class _Source:
    def __init__(self, data: bytes) -> None:
        self.gen: Iterator[bytes] = iter([data])

    def close(self) -> None:
        """Nothing to close."""


def read_native(data: bytes) -> dict[str, list[Any]]:
    """The columns of a Native block, by clickhouse-connect."""
    result = NativeTransform().parse_response(ResponseBuffer(_Source(data)), QueryContext())
    return dict(zip(result.column_names, map(list, result.result_columns), strict=True))


@dataclass
class FaultyClickHouse:
    """What the server was told and what it has stored.

    Attributes:
        faults: what happens to the next inserts, one each; beyond them, and for None, an insert is stored.
        schema_faults: the same for statements that create tables.
        attempts: every insert that arrived whole.
        stored: token → numbers of the spans that were stored under it, once.
        columns: the table's columns; None when the user may not know them.
        statements: everything else that was asked.
    """

    faults: deque[Fault | None] = field(default_factory=deque)
    schema_faults: deque[Fault | None] = field(default_factory=deque)
    attempts: list[Received] = field(default_factory=list)
    stored: dict[str, list[int]] = field(default_factory=dict)
    columns: list[str] | None = field(default_factory=lambda: [column.name for column in COLUMNS])
    statements: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        """Numbers of all stored spans, sorted; a number that is there twice was stored twice."""
        return sorted(number for numbers in self.stored.values() for number in numbers)

    def store(self, received: Received) -> web.Response:
        """Store an insert, unless its token is known."""
        self.stored.setdefault(received.token, received.numbers)
        return web.Response(headers={"X-ClickHouse-Summary": "{}"})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        if "insert_deduplication_token" not in request.query:
            return await self._answer_statement(request, body.decode())
        received = Received(request.query["insert_deduplication_token"], body, dict(request.query), request.query["query"])
        self.attempts.append(received)
        fault = self.faults.popleft() if self.faults else None
        return self.store(received) if fault is None else await fault(self, request, received)

    async def _answer_statement(self, request: web.Request, statement: str) -> web.StreamResponse:
        self.statements.append(statement)
        if statement.startswith("DESCRIBE"):
            if self.columns is None:
                return exception(497, "ACCESS_DENIED", 403)
            described = {"name": self.columns, "default_type": [""] * len(self.columns)}
            return web.Response(body=orjson.dumps(described))
        if statement.lstrip().startswith("SELECT"):
            return web.Response(body=b"{}")
        fault = self.schema_faults.popleft() if self.schema_faults else None
        return web.Response() if fault is None else await fault(self, request, Received("", b"", {}, statement))


def exception(code: int, name: str, status: int) -> web.Response:
    """The answer that the server gives to an error that it notices in time."""
    text = f"Code: {code}. DB::Exception: it went wrong. ({name}) (version 26.9.1.1)"
    return web.Response(status=status, text=text, headers={"X-ClickHouse-Exception-Code": str(code)})


def fails_with(code: int, name: str, status: int = 500) -> Fault:
    """An insert that is not stored, and an exception in the answer."""

    async def fault(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
        return exception(code, name, status)

    return fault


def answers(status: int, text: str = "no upstream") -> Fault:
    """An answer as a proxy gives it: a status without an exception."""

    async def fault(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return fault


async def exception_after_success(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
    """Status 200, and an exception in the body: the insert was not stored."""
    text = exception(241, "MEMORY_LIMIT_EXCEEDED", 200).text
    return web.Response(text=text)


async def reset_before_storing(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
    """The connection breaks before anything is stored."""
    return _reset(request)


async def reset_after_storing(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
    """The connection breaks when the insert is stored, before it is confirmed."""
    server.store(received)
    return _reset(request)


async def never_confirmed(server: FaultyClickHouse, request: web.Request, received: Received) -> web.StreamResponse:
    """The insert is stored, and the answer does not come before the client has left."""
    server.store(received)
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets was set")


def _reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def listening(server: FaultyClickHouse, port: int = 0) -> AsyncIterator[str]:
    """Serve on loopback; yields the endpoint's URL. Leaving goes away without a word, as a crash does."""
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def created_tables(server: FaultyClickHouse) -> list[str]:
    """Names in the CREATE statements that arrived."""
    found = (re.match(r"CREATE .*? IF NOT EXISTS (\S+)", statement) for statement in server.statements)
    return [match[1] for match in found if match]
