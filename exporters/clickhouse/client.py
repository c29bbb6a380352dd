"""ClickHouse over HTTP, the one way to the store: queries, commands and inserts with typed errors.

Answers come as `JSONColumns`: column-wise, exact for 64-bit integers, strings byte for byte (the JSON formats with metadata
would replace what is not UTF-8), and parsed at C speed. A `Map` would lose duplicate keys in JSON, so queries ask for
`mapKeys` and `mapValues`; nanosecond times are asked for as integers.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import re
import ssl
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import structlog
from yarl import URL

_log = structlog.get_logger(__name__)

_EXCEPTION_TEXT: Final = re.compile(r"(?:^|\n|\r)Code: (\d+)\. DB::Exception: (.*)", re.DOTALL)
_EXCEPTION_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]*)\)\s*(?:\(version [^)]*\)+)?\s*\Z")
_FRAME: Final = b"__exception__"
_RETRYABLE_CODES: Final = frozenset({159, 202, 209, 210, 241, 252, 319, 999})
# Longer idle connections are not reused: servers close theirs after ten seconds by default.
_KEEPALIVE_S: Final = 5.0
_KILL_TIMEOUT_S: Final = 5.0
_TIME_LIMIT_GRACE_S: Final = 2.0
_TAB_SEPARATED_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\0": "\\0"}
)
_QUOTED_ESCAPES: Final = {**_TAB_SEPARATED_ESCAPES, ord("'"): "\\'"}


class ClickHouseError(Exception):
    """The server answered with an exception.

    Attributes:
        code: number of the error, as in `system.errors` (60 is UNKNOWN_TABLE); 0 when the answer held none.
        name: its name, empty when the answer held none.
        message: the server's text without code, name and version.
        status: HTTP status of the answer; 200 when the exception came after the first byte of the result.
    """

    def __init__(self, code: int, name: str, message: str, status: int) -> None:
        super().__init__(code, name, message, status)
        self.code = code
        self.name = name
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"ClickHouse error {self.code} ({self.name or 'unnamed'}): {self.message}"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later (too many parts, out of memory, time-out, ...)."""
        return self.code in _RETRYABLE_CODES or self.status in (429, 503, 504)


class ClickHouseUnavailable(Exception):
    """No endpoint gave a whole answer.

    Attributes:
        sent: whether a server may have received the request, so that an insert may have been done.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ClickHouseTimeout(ClickHouseUnavailable):
    """No answer within the time allowed; the query was told to stop."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query answered, column by column.

    Attributes:
        columns: name -> values, all of `row_count` length. Strings that are not UTF-8 carry their odd bytes as
            surrogates (`surrogateescape`).
        row_count: number of rows.
    """

    columns: dict[str, list[Any]]
    row_count: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows in order, each as name -> value."""
        names = tuple(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


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
        arguments = {
            "default_format": "JSONColumns",
            "output_format_json_quote_64bit_integers": 0,
            "output_format_json_validate_utf8": 0,
            "wait_end_of_query": 1,
            "http_write_exception_in_output_format": 0,
            # The task is given up by the time-out below; the server's own limit catches what no KILL reaches.
            "max_execution_time": math.ceil(timeout_s + _TIME_LIMIT_GRACE_S),
            **(settings or {}),
            **{f"param_{name}": _parameter(value) for name, value in (parameters or {}).items()},
        }
        answer = await self._request(
            arguments, sql.encode(), {}, timeout_s, query_id or str(uuid.uuid4()), self.database, repeatable=True
        )
        return _parse(answer)

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
            **{f"param_{name}": _parameter(value) for name, value in (parameters or {}).items()},
        }
        answer = await self._request(
            arguments, sql.encode(), {}, timeout_s, str(uuid.uuid4()), database or self.database, repeatable=False
        )
        _raise_late_exception(answer)
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
        headers = {"Content-Type": "application/octet-stream"}
        if content_encoding:
            headers["Content-Encoding"] = content_encoding
        answer = await self._request(arguments, body, headers, timeout_s, str(uuid.uuid4()), self.database, repeatable=False)
        _raise_late_exception(answer)
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
    ) -> _Answer:
        pairs = {"query_id": query_id, "database": database, **self._settings, **arguments}
        query_string = urlencode(pairs, quote_via=quote, errors="surrogateescape")
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
                        failures.append(f"{endpoint}: {error}")
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
    ) -> _Answer:
        url = URL(f"{endpoint}?{query_string}", encoded=True)
        # BytesIO is sent in pieces with a Content-Length; the event loop is not held while a large body is copied.
        async with self._open_session().post(url, data=io.BytesIO(body), headers=headers) as response:
            parts = bytearray()
            try:
                async for part in response.content.iter_any():
                    parts += part
            except aiohttp.ClientPayloadError:
                # A server that fails in the middle of an answer writes the exception and cuts the connection.
                answer = _Answer(response.status, response.headers, bytes(parts))
                _raise_late_exception(answer)
                raise
            answer = _Answer(response.status, response.headers, bytes(parts))
        if answer.status != 200:
            raise _error(answer, answer.body)
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
        query_string = urlencode({"param_query_id": query_id}, quote_via=quote)
        try:
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                await self._post(endpoint, query_string, b"KILL QUERY WHERE query_id = {query_id:String} ASYNC", {})
        except (TimeoutError, aiohttp.ClientError, OSError, ClickHouseError) as error:
            _log.warning("query could not be killed", query_id=query_id, endpoint=str(endpoint), error=str(error))


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


def _parameter(value: object) -> str:
    """Text of a query parameter: escaped as in tab-separated data at the top, as in SQL literals inside arrays."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_TAB_SEPARATED_ESCAPES)
    return _literal(value)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    # Subclasses may print as they like; the number is what counts.
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return f"'{value.translate(_QUOTED_ESCAPES)}'"
    if isinstance(value, list | tuple):
        return f"[{','.join(_literal(item) for item in value)}]"
    raise TypeError(f"query parameter of type {type(value).__name__}: str, bool, int, float, None, list or tuple is needed")


def _parse(answer: _Answer) -> QueryResult:
    try:
        columns = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        _raise_late_exception(answer)
        # Strings of other writers need not be UTF-8; the server passes their bytes on as they are.
        try:
            columns = json.loads(answer.body.decode(errors="surrogateescape"))
        except ValueError as error:
            raise ClickHouseError(0, "", f"the answer is not JSON: {error}", answer.status) from error
    return QueryResult(columns, max(map(len, columns.values()), default=0))


def _raise_late_exception(answer: _Answer) -> None:
    """Raise the exception that the body of a 200 ends with, in either of the server's two framings."""
    tag = answer.headers.get("X-ClickHouse-Exception-Tag", "").encode()
    if tag:
        start = answer.body.rfind(b"\r\n" + _FRAME + b"\r\n" + tag + b"\r\n")
        if start >= 0:
            text = answer.body[start + len(_FRAME) + len(tag) + 6 :]
            end = text.rfind(b" " + tag + b"\r\n" + _FRAME)
            # What stands before the tag is the length of the text, on a line of its own.
            raise _error(answer, text[:end].rpartition(b"\n")[0] if end >= 0 else text)
    found = _EXCEPTION_TEXT.search(answer.body[-65536:].decode(errors="replace"))
    if found:
        raise _error(answer, found.group(0).encode())


def _error(answer: _Answer, body: bytes) -> ClickHouseError:
    text = body.decode(errors="replace").strip()
    found = _EXCEPTION_TEXT.search(text)
    if not found:
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
        return ClickHouseError(code, "", text[:2000], answer.status)
    message = found.group(2).strip()
    name = _EXCEPTION_NAME.search(message)
    if name:
        message = message[: name.start()].strip()
    return ClickHouseError(int(found.group(1)), name.group(1) if name else "", message[:2000], answer.status)
