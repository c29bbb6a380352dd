"""ClickHouse over HTTP, the one way to the store: queries, commands and inserts with typed errors."""

from __future__ import annotations

import asyncio
import math
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from yarl import URL

from exporters.clickhouse.wire import (
    NATIVE_SETTINGS,
    QUERY_SETTINGS,
    Answer,
    ClickHouseError,
    ClickHouseTimeout,
    ClickHouseUnavailable,
    QueryResult,
    error_of,
    parameter_text,
    parse_columns,
    raise_late_exception,
)
from exporters.connecting import UNNAMED, TlsKeys, connection_trouble

__all__ = ["ClickHouseClient", "ClickHouseError", "ClickHouseTimeout", "ClickHouseUnavailable", "QueryResult"]

_log = structlog.get_logger(__name__)

# Longer idle connections are not reused: servers close theirs after ten seconds by default.
_KEEPALIVE_S: Final = 5.0
_KILL_TIMEOUT_S: Final = 5.0
_TIME_LIMIT_GRACE_S: Final = 2.0
_MOST_SHOWN_BYTES: Final = 200
_PIECE_BYTES: Final = 256 << 10
_SHORT: Final = 4096
"""Parameters of so many characters are remembered as they stand in URLs, _REMEMBERED of them."""
_REMEMBERED: Final = 256
_OWN_HEADERS: Final = "x-clickhouse-"
"""What names of headers begin with that ClickHouse alone gives."""


class ClickHouseClient:
    """A pool of connections to one or more ClickHouse endpoints that hold the same data.

    Requests start at each endpoint in turn and move on to the next when one cannot be reached. A request that may have
    reached a server is repeated only when it is a query.

    Args:
        endpoints: base URLs, `http://host:8123` or `https://...`; credentials do not belong in them.
        user, password: sent as headers, never in URLs.
        database: what unqualified table names mean.
        settings: ClickHouse settings of every request.
        tls: context for `https` endpoints; the system's trust store when None.
        tls_keys: where that is configured, for messages.
        max_connections: upper bound over all endpoints.

    Raises:
        ValueError: no endpoint, or one that is not an HTTP URL without credentials.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        user: str = "default",
        password: str = "",
        database: str = "default",
        settings: Mapping[str, object] | None = None,
        tls: ssl.SSLContext | None = None,
        tls_keys: TlsKeys = UNNAMED,
        max_connections: int = 100,
    ) -> None:
        self._endpoints = tuple(_endpoint(text) for text in endpoints)
        if not self._endpoints:
            raise ValueError("endpoints is empty: at least one URL such as http://127.0.0.1:8123 is needed")
        self._headers = {"X-ClickHouse-User": user, "Accept-Encoding": "identity"}
        if password:
            self._headers["X-ClickHouse-Key"] = password
        self.database = database
        self._settings = dict(settings or {})
        self._tls = tls
        self._tls_keys = tls_keys
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._next = 0
        self._kills: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for cancellations under way (each is bounded in time), then close all connections."""
        if self._kills:
            await asyncio.wait(self._kills)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        timeout_s: float = 30.0,
        query_id: str | None = None,
    ) -> QueryResult:
        """Run a SELECT (without FORMAT) and return its columns.

        Args:
            sql: one statement; `{name:Type}` stands for a parameter.
            parameters: name -> str, bool, int, float, None, or a list or tuple of these.
            settings: ClickHouse settings of this query.
            timeout_s: limit for the whole call, failover included; the server gets it as `max_execution_time`.
            query_id: under which the server knows it; a random one when None.

        Raises:
            ClickHouseError: the server answered with an exception, early or late.
            ClickHouseTimeout: no answer in time. The query is killed, as it is when the calling task is cancelled.
            ClickHouseUnavailable: no endpoint gave a whole answer.
        """
        return parse_columns(await self._query(QUERY_SETTINGS, sql, parameters, settings, timeout_s, query_id))

    async def query_native(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """Run a SELECT (without FORMAT) of very many rows and return what `parse_blocks` reads, on another thread.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as `query`.
        """
        return await self._query(NATIVE_SETTINGS, sql, parameters, settings, timeout_s, None)

    async def _query(
        self,
        form: Mapping[str, object],
        sql: str,
        parameters: Mapping[str, object] | None,
        settings: Mapping[str, object] | None,
        timeout_s: float,
        query_id: str | None,
    ) -> Answer:
        arguments = {
            **form,
            # The task is given up by the time-out below; the server's own limit catches what no KILL reaches.
            "max_execution_time": math.ceil(timeout_s + _TIME_LIMIT_GRACE_S),
            **(settings or {}),
            **{f"param_{name}": parameter_text(value) for name, value in (parameters or {}).items()},
        }
        return await self._request(
            arguments, sql.encode(), {}, timeout_s, query_id or str(uuid.uuid4()), self.database, repeatable=True
        )

    async def command(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        timeout_s: float = 30.0,
        database: str | None = None,
    ) -> str:
        """Run a statement that is not a SELECT (DDL, KILL, SYSTEM, ...) and return its output as tab-separated text.

        Args:
            database: instead of the client's own, for statements that must run before that exists.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as `query`.
        """
        arguments = {
            "wait_end_of_query": 1,
            **(settings or {}),
            **{f"param_{name}": parameter_text(value) for name, value in (parameters or {}).items()},
        }
        answer = await self._request(
            arguments, sql.encode(), {}, timeout_s, str(uuid.uuid4()), database or self.database, repeatable=False
        )
        raise_late_exception(answer)
        return answer.body.decode(errors="surrogateescape").strip("\n")

    async def insert(
        self,
        sql: str,
        body: bytes | bytearray | memoryview,
        *,
        settings: Mapping[str, object] | None = None,
        content_encoding: str = "",
        timeout_s: float = 30.0,
    ) -> dict[str, int]:
        """Send `body` as the data of an INSERT and return the server's summary (`written_rows`, ...).

        Args:
            sql: `INSERT INTO table (columns) FORMAT name`.
            body: data in that format.
            settings: e.g. `insert_deduplication_token`.
            content_encoding: how `body` is compressed (`lz4`, `zstd`, `gzip`), empty when it is not.

        Raises:
            ClickHouseError, ClickHouseTimeout, ClickHouseUnavailable: as `query`. After an unavailable endpoint with
                `sent` the rows may be stored: repeat with the same deduplication token.
        """
        arguments = {"query": sql, "wait_end_of_query": 1, **(settings or {})}
        headers = {"Content-Encoding": content_encoding} if content_encoding else {}
        answer = await self._request(arguments, body, headers, timeout_s, str(uuid.uuid4()), self.database, repeatable=False)
        raise_late_exception(answer)
        if not any(name.casefold().startswith(_OWN_HEADERS) for name in answer.headers):
            # Such as the page of a proxy: nothing is stored by that.
            said = " ".join(answer.body[:_MOST_SHOWN_BYTES].decode(errors="replace").split())
            raise ClickHouseUnavailable(f"whatever answered the insert is no ClickHouse: {said or 'nothing'}", sent=True)
        summary = orjson.loads(answer.headers.get("X-ClickHouse-Summary", "{}"))
        return {name: int(value) for name, value in summary.items()}

    async def _request(
        self,
        arguments: Mapping[str, object],
        body: bytes | bytearray | memoryview,
        headers: Mapping[str, str],
        timeout_s: float,
        query_id: str,
        database: str,
        *,
        repeatable: bool,
    ) -> Answer:
        pairs = {"query_id": query_id, "database": database, **self._settings, **arguments}
        query_string = "&".join(_pair(name, str(value)) for name, value in pairs.items())
        first = self._next
        self._next = (first + 1) % len(self._endpoints)
        order = self._endpoints[first:] + self._endpoints[:first]
        if repeatable:
            # Once more at the end: with one endpoint, a kept connection may have been closed under us.
            order += order[:1]
        failures = []
        sent = False
        endpoint = order[0]
        try:
            async with asyncio.timeout(timeout_s):
                for endpoint in order:
                    try:
                        return await self._post(endpoint, query_string, body, headers)
                    except aiohttp.ClientConnectorError as error:
                        failures.append(f"{endpoint}: {connection_trouble(error, self._tls_keys)}")
                    except (aiohttp.ClientError, OSError) as error:
                        sent = True
                        failures.append(f"{endpoint}: {error or type(error).__name__}")
                        if not repeatable:
                            break
        except TimeoutError:
            self._kill(endpoint, query_id)
            raise ClickHouseTimeout(f"no answer from {endpoint} within {timeout_s} s", sent=True) from None
        except asyncio.CancelledError:
            self._kill(endpoint, query_id)
            raise
        raise ClickHouseUnavailable("; ".join(dict.fromkeys(failures)), sent=sent)

    async def _post(
        self, endpoint: URL, query_string: str, body: bytes | bytearray | memoryview, headers: Mapping[str, str]
    ) -> Answer:
        url = URL(f"{endpoint}?{query_string}", encoded=True)
        # In pieces, so that the event loop is not held while a large body is sent; with its length, as some proxies want it.
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body)), **headers}
        # A POST that is sent on becomes a GET without a body, and takes the password along to whoever is named.
        post = self._open_session().post(url, data=_pieces(body), headers=headers, allow_redirects=False)
        async with post as response:
            parts = bytearray()
            try:
                async for part in response.content.iter_any():
                    parts += part
            except aiohttp.ClientPayloadError:
                # A server that fails in the middle of an answer writes the exception and cuts the connection.
                answer = Answer(response.status, response.headers, bytes(parts))
                raise_late_exception(answer)
                raise
            answer = Answer(response.status, response.headers, bytes(parts))
        if answer.status != 200:
            raise error_of(answer, answer.body)
        return answer

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=_KEEPALIVE_S, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _kill(self, endpoint: URL, query_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._send_kill(endpoint, query_id))
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    async def _send_kill(self, endpoint: URL, query_id: str) -> None:
        query_string = _pair("param_query_id", query_id)
        try:
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                await self._post(endpoint, query_string, b"KILL QUERY WHERE query_id = {query_id:String} ASYNC", {})
        except (TimeoutError, aiohttp.ClientError, OSError, ClickHouseError) as error:
            _log.warning("query_not_killed", query_id=query_id, endpoint=str(endpoint), error=str(error))


async def _pieces(body: bytes | bytearray | memoryview) -> AsyncIterator[memoryview]:
    """A body's parts, none of them a copy."""
    view = memoryview(body)
    for start in range(0, len(view), _PIECE_BYTES):
        yield view[start : start + _PIECE_BYTES]


def _pair(name: str, value: str) -> str:
    """A parameter as it stands in a URL. What stands in one after the other, such as an INSERT's columns, is encoded once."""
    return _short_pair(name, value) if len(value) <= _SHORT else _encoded_pair(name, value)


def _encoded_pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='', errors='surrogateescape')}"


_short_pair: Final = lru_cache(_REMEMBERED)(_encoded_pair)


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise ValueError(f"endpoint {text!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"endpoint {text!r}: http://host:port or https://host:port is needed")
    if url.user or url.password:
        raise ValueError(f"endpoint on host {url.host}: give user and password by their own settings, not in the URL")
    return url.with_query(None).with_fragment(None) / ""
