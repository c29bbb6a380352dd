"""A proxy in front of a real ClickHouse that does to inserts what a network does: it delays, cuts, swallows and replaces.

Real servers do not time out or lose connections when a test wants them to; here the insert itself and its answer are real.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlencode, urlsplit

import lz4.frame

from tests.support.faulty_clickhouse import read_native

Fault = Callable[["Exchange"], Awaitable[None]]

_MOST_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent, byte for byte."""

    head: bytes
    body: bytes

    @property
    def token(self) -> str:
        """The deduplication token of an insert; empty for any other request."""
        return self._argument("insert_deduplication_token")

    @property
    def query_id(self) -> str:
        """Under which the server knows what it does for this request."""
        return self._argument("query_id")

    def _argument(self, name: str) -> str:
        target = self.head.split(b" ", 2)[1].decode()
        return parse_qs(urlsplit(target).query).get(name, [""])[0]

    @property
    def numbers(self) -> list[int]:
        """The names of an insert's spans, which tests make numbers."""
        return [int(name) for name in read_native(lz4.frame.decompress(self.body))["SpanName"]]

    def forwarded(self, settings: Mapping[str, str]) -> bytes:
        """The request with further settings, as the last one on its connection, so that the answer's end is the connection's."""
        method, target, rest = self.head.split(b" ", 2)
        if settings:
            target += b"&" + urlencode(settings).encode()
        rest = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", rest).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        return b" ".join((method, target, rest)) + self.body


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the connections to both sides."""

    proxy: Proxy
    request: Request
    chance: random.Random
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def ask(self) -> bytes:
        """Let the server do what is asked, and return its whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        try:
            writer.write(self.request.forwarded(self.proxy.insert_settings if self.request.token else {}))
            return await reader.read()
        finally:
            writer.close()

    async def ask_in_part(self) -> None:
        """Send some of the request to the server, and no more."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        content = self.request.forwarded({})
        writer.write(content[: len(content) - self.chance.randrange(1, len(self.request.body) + 1)])
        with suppress(OSError):
            await writer.drain()
        # Its end is one like any other, not a reset, so that the server reads all that came.
        writer.close()

    async def tell(self, answer: bytes) -> None:
        """Give the client an answer, or some of it."""
        self._writer.write(answer)
        await self._writer.drain()

    def hang_up(self) -> None:
        """Break the connection to the client."""
        self._writer.transport.abort()

    async def client_left(self) -> None:
        """Wait until the client has had enough."""
        with suppress(OSError):
            await self._reader.read()


@dataclass
class Proxy:
    """What stands in front of a server on 127.0.0.1.

    Attributes:
        port: of the server; it may change, as over a restart.
        fault: says for each insert what happens to it; None for nothing.
        insert_settings: added to inserts on their way, as a profile on the server would.
        faults: how often each fault happened, by the name of its function.
        attempts: how often each insert came, by its token.
    """

    port: int
    fault: Callable[[Request], Fault | None] = lambda _: None
    insert_settings: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _conversations: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def meet(self, fault: Fault | None) -> None:
        """From now on every insert meets this fault, or none."""
        self.fault = lambda _: fault

    def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            request = Request(head, await reader.readexactly(int(length[1]) if length else 0))
            exchange = Exchange(self, request, self._chance, reader, writer)
            fault = None
            if request.token:
                self.attempts[request.token] += 1
                fault = self.fault(request)
            if fault is None:
                await exchange.tell(await exchange.ask())
            else:
                self.faults[fault.__name__] += 1
                await fault(exchange)
        except (OSError, asyncio.IncompleteReadError):
            # Whatever breaks on one side breaks the other.
            writer.transport.abort()
        finally:
            writer.close()


@asynccontextmanager
async def proxy_to(port: int, seed: int = 0) -> AsyncIterator[Proxy]:
    """A proxy on a free port of 127.0.0.1, while the context lasts; `seed` decides where it cuts."""
    proxy = Proxy(port, seed=seed)
    server = await asyncio.start_server(proxy._converse, "127.0.0.1", 0, limit=_MOST_HEAD_BYTES)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in proxy._conversations:
            task.cancel()
        await asyncio.gather(*proxy._conversations, return_exceptions=True)


async def swallow(exchange: Exchange) -> None:
    """The request never arrives, and nobody answers."""
    await exchange.client_left()


async def answer_late(exchange: Exchange) -> None:
    """The insert happens, and its answer is not there before the client has given up."""
    await exchange.ask()
    await exchange.client_left()


async def leave_in_flight(exchange: Exchange) -> None:
    """The client loses its connection while the server is at work, so that it repeats what is still under way."""
    asking = asyncio.create_task(exchange.ask())
    exchange.hang_up()
    await asking


async def cut_request(exchange: Exchange) -> None:
    """The connection breaks in the middle of the request."""
    await exchange.ask_in_part()
    exchange.hang_up()


async def cut_before_answer(exchange: Exchange) -> None:
    """The insert happens, and the connection breaks before the first byte of the answer."""
    await exchange.ask()
    exchange.hang_up()


async def cut_answer(exchange: Exchange) -> None:
    """The insert happens, and the connection breaks in the middle of the answer."""
    answer = await exchange.ask()
    await exchange.tell(answer[: exchange.chance.randrange(1, max(2, len(answer)))])
    exchange.hang_up()


async def refuse(exchange: Exchange) -> None:
    """Status 500 or 503, as a proxy gives it; nothing arrives."""
    await exchange.tell(answer(exchange.chance.choice([500, 502, 503, 504])))


async def refuse_what_happened(exchange: Exchange) -> None:
    """The insert happens, and the proxy says that it did not."""
    await exchange.ask()
    await exchange.tell(answer(exchange.chance.choice([500, 502, 503, 504])))


NETWORK_FAULTS: tuple[Fault, ...] = (
    swallow,
    answer_late,
    leave_in_flight,
    cut_request,
    cut_before_answer,
    cut_answer,
    refuse,
    refuse_what_happened,
)


def answer(number: int, text: str = "no upstream", code: int = 0) -> bytes:
    """An answer without, or with, an exception code of ClickHouse."""
    headers = [f"HTTP/1.1 {number} {HTTPStatus(number).phrase}", f"Content-Length: {len(text)}", "Connection: close"]
    if code:
        headers.append(f"X-ClickHouse-Exception-Code: {code}")
    return "\r\n".join([*headers, "", text]).encode()


def status(number: int) -> Fault:
    """Nothing arrives, and the answer is a status alone, as a proxy gives it."""

    async def fault(exchange: Exchange) -> None:
        await exchange.tell(answer(number))

    return fault


def exception(code: int, name: str) -> Fault:
    """Nothing arrives, and the answer is an exception of ClickHouse."""

    async def fault(exchange: Exchange) -> None:
        await exchange.tell(answer(500, f"Code: {code}. DB::Exception: it went wrong. ({name}) (version 26.9.1.1)", code))

    return fault
