"""One request and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

from aiohttp import hdrs, web

from exporters.embedded import answer
from exporters.embedded.admission import Admission, Caller
from exporters.embedded.answer import Packer, Step
from exporters.embedded.block_compression import pack_blocks
from exporters.embedded.body import Asked, BodyReader
from exporters.embedded.codecs import answer_compressor
from exporters.embedded.engine import Connection, Engine, Piece, Statistics
from exporters.embedded.errors import DatabaseError, error
from exporters.embedded.native import BlockFraming
from exporters.embedded.query import Query
from exporters.embedded.reading import read_as_reader
from exporters.embedded.refusals import REASON_OF_CODE, Refusals
from exporters.embedded.request import Parameters, read_parameters, settle
from exporters.embedded.sessions import Sessions
from exporters.embedded.statement import read_statement, unread_statement, with_other_literals
from exporters.embedded.workers import Workers

T = TypeVar("T")

# As much of an answer is held back, unless the client asks for more, so that an early error still gets its status.
_BUFFER_BYTES = 1 << 20
# An answer that is held back to its end is kept in memory up to this size, and on disk beyond it.
_SPOOL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Packed:
    """A piece of the answer as it goes over the wire. Compression may hold its bytes back: no data is not yet the end."""

    data: bytes
    statistics: Statistics
    is_last: bool


def _packed(work: Callable[[], Piece], packer: Packer) -> _Packed:
    piece = work()
    return _Packed(packer.rows(piece.data) if piece.data else b"", piece.statistics, not piece.data)


class Exchange:
    """One request, from its parameters to the last byte of its answer."""

    def __init__(
        self,
        request: web.Request,
        engine: Engine,
        admission: Admission,
        sessions: Sessions,
        refusals: Refusals,
        *,
        from_this_machine: bool,
    ) -> None:
        self._request = request
        self._engine = engine
        self._admission = admission
        self._sessions = sessions
        self._refusals = refusals
        self._from_this_machine = from_this_machine
        self._parameters = Parameters()
        self._packer = Packer(None, None, None)
        self._exception_tag = answer.exception_tag()
        self._headers = {
            "X-ClickHouse-Server-Display-Name": engine.display_name,
            "X-ClickHouse-Exception-Tag": self._exception_tag,
        }
        self._work: asyncio.Future[Any] | None = None
        self._workers: Workers
        self._has_begun = False

    async def answer(self) -> web.StreamResponse:
        """Do what the request asks."""
        try:
            self._parameters = read_parameters(self._request.query.items(), self._request.headers)
            caller = self._admission.admit(self._parameters, self._request.headers, from_this_machine=self._from_this_machine)
            with caller.workers.hold(caller.name, caller.max_requests):
                return await self._answer_for(caller)
        except DatabaseError as refused:
            if refused.code in REASON_OF_CODE:
                self._refusals.count(REASON_OF_CODE[refused.code], self._request.remote)
            return self._refusal(refused)

    async def _answer_for(self, caller: Caller) -> web.StreamResponse:
        workers = self._workers = caller.workers
        connection, release = await self._connection_of(caller)
        query: Query | None = None
        try:
            asked = await self._asked(caller, connection)
            settle(self._parameters, self._request.headers)
            query = await self._query(asked, connection, caller)
            release = await self._take_memory(caller, release)
            with workers.admit(self._parameters.query_id, connection.tag):
                async with asyncio.timeout(caller.answer_timeout_s):
                    return await self._run(query)
        except TimeoutError:
            # Whoever does not read an answer would keep what belongs to its query.
            if self._has_begun and self._request.transport is not None:
                self._request.transport.abort()
            raise error(159, "TIMEOUT_EXCEEDED", f"The answer took longer than {caller.answer_timeout_s:g} seconds") from None
        finally:
            # Before the last byte of the answer: the client may go on in the same session at once.
            await workers.outlive(self._end(query, release))

    async def _take_memory(self, caller: Caller, release: Callable[[], None]) -> Callable[[], None]:
        """Wait for a reader's memory; how to let go of the connection, and of that."""
        memory = caller.memory
        if memory is None or caller.rights is None:
            return release
        wanted = caller.rights.memory_of(caller.rights.within_bounds(self._parameters.settings))
        taken = await memory.take(caller.name, wanted)

        def release_both() -> None:
            release()
            memory.give_back(caller.name, taken)

        return release_both

    async def _connection_of(self, caller: Caller) -> tuple[Connection, Callable[[], None]]:
        """The connection to use, and how to let go of it."""
        connect = partial(self._engine.connect, caller.rights)
        session_id = self._parameters.values.get("session_id", "")
        if not session_id:
            connection = await self._workers.run(connect)
            return connection, connection.close
        timeout_s = self._parameters.session_timeout_s
        session = self._sessions.take(caller.name, session_id, connect, must_exist=self._parameters.flag("session_check"))
        close = self._parameters.flag("close_session")
        return session.connection, partial(self._sessions.give_back, caller.name, session_id, timeout_s=timeout_s, close=close)

    async def _asked(self, caller: Caller, connection: Connection) -> Asked:
        read = read_statement if caller.rights is None else unread_statement
        body = BodyReader(self._engine, self._workers, caller.max_body_bytes, read)
        try:
            async with asyncio.timeout(caller.body_timeout_s):
                asked = await body.read(self._request, self._parameters)
            if caller.rights is not None:
                text, settings = asked.statement.text, self._parameters.settings
                asked.statement = await self._in_thread(partial(read_as_reader, connection, caller.rights, text, settings))
            return asked
        except TimeoutError:
            raise error(159, "TIMEOUT_EXCEEDED", f"The request took longer than {caller.body_timeout_s:g} seconds") from None

    async def _query(self, asked: Asked, connection: Connection, caller: Caller) -> Query:
        statement = asked.statement
        if statement.verb == b"KILL" and self._workers.running:
            ids = await self._workers.control(partial(self._engine.query_ids, dict(self._workers.running)))
            statement = replace(statement, text=with_other_literals(statement.text, ids))
        return Query(
            statement,
            self._parameters,
            connection,
            caller.rights,
            kept="session_id" in self._parameters.values,
            by_get=self._request.method != hdrs.METH_POST,
            data=asked.data,
            external=asked.external,
        )

    async def _end(self, query: Query | None, release: Callable[[], None]) -> None:
        if self._work is not None and not self._work.done():
            if query is not None and query.kills_with_its_client:
                await self._workers.control(partial(self._engine.kill, query.connection.tag))
            await asyncio.wait([self._work])
            if not self._work.cancelled():
                self._work.exception()  # looked at: nobody waits for the answer any more
        if query is not None:
            await self._workers.run(query.end)
        release()

    async def _step(self, work: Callable[[], Piece]) -> _Packed:
        """Run a part of the query, and pack what it answers."""
        return await self._in_thread(partial(_packed, work, self._packer))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Use the connection in a thread. That goes on when the client leaves; `_end` then cancels it, and waits for it."""
        running = self._work = self._workers.run(work)
        return await asyncio.shield(running)

    async def _run(self, query: Query) -> web.StreamResponse:
        parameters = self._parameters
        self._headers["X-ClickHouse-Query-Id"] = parameters.query_id
        self._headers["X-ClickHouse-Timezone"] = self._engine.timezone
        answer_format = query.statement.format.decode() or parameters.answer_format
        framing: Step | None = None
        if answer_format == "Native" and parameters.protocol_version:
            one_block_each = query.statement.returns_rows_of_a_select
            framing = BlockFraming(parameters.protocol_version, one_block_each=one_block_each).feed
        self._packer = self._chosen_packer(framing)
        part = await self._step(query.begin)
        self._headers[hdrs.CONTENT_TYPE] = answer.PLAIN_TEXT
        if query.has_rows or not part.is_last:
            self._headers["X-ClickHouse-Format"] = answer_format or "TSV"
            self._headers[hdrs.CONTENT_TYPE] = answer.content_type(answer_format or "TSV")
        limit = max(_BUFFER_BYTES, parameters.number("buffer_size"))
        hold_all = parameters.flag("wait_end_of_query")
        with SpooledTemporaryFile(_SPOOL_BYTES) as held:
            statistics = part.statistics
            while not part.is_last and (hold_all or held.tell() < limit):
                statistics = part.statistics
                held.write(part.data)
                part = await self._step(query.next)
            self._headers["X-ClickHouse-Summary"] = answer.summary(statistics)
            size = held.tell()
            held.seek(0)
            if part.is_last and size <= _SPOOL_BYTES:
                return web.Response(body=held.read() + self._packer.end(), headers=self._headers)
            response = web.StreamResponse(headers=self._headers)
            self._has_begun = True
            await response.prepare(self._request)
            while chunk := held.read(_BUFFER_BYTES):
                await response.write(chunk)
        await self._send_rest(query, part, response)
        return response

    async def _send_rest(self, query: Query, part: _Packed, response: web.StreamResponse) -> None:
        try:
            while not part.is_last:
                await response.write(part.data)
                part = await self._step(query.next)
        except DatabaseError as late:
            framed = answer.late_exception(late.body(self._engine.version), self._exception_tag)
            await response.write(self._packer.text(framed) + self._packer.end())
            # As a server does, leave out the last chunk: even a client that reads no frames sees that the answer is cut.
            if self._request.transport is not None:
                self._request.transport.close()
        else:
            await response.write(self._packer.end())

    def _chosen_packer(self, framing: Step | None) -> Packer:
        """How this client wants its answer packed; also sets the header that says so."""
        parameters = self._parameters
        blocks = pack_blocks if parameters.flag("compress") else None
        accepted = self._request.headers.get(hdrs.ACCEPT_ENCODING, "")
        chosen = None if parameters.settings.get("enable_http_compression") == "0" else answer_compressor(accepted)
        if chosen is None:
            return Packer(framing, blocks, None)
        self._headers[hdrs.CONTENT_ENCODING], compressor = chosen
        return Packer(framing, blocks, compressor)

    def _refusal(self, refused: DatabaseError) -> web.Response:
        packer = self._chosen_packer(None)
        self._headers["X-ClickHouse-Exception-Code"] = str(refused.code)
        self._headers.setdefault(hdrs.CONTENT_TYPE, answer.PLAIN_TEXT)
        self._headers["X-ClickHouse-Summary"] = answer.summary(Statistics())
        if refused.status == web.HTTPUnauthorized.status_code:
            self._headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="ClickHouse server HTTP API"'
        body = packer.text(refused.body(self._engine.version)) + packer.end()
        return web.Response(status=refused.status, body=body, headers=self._headers)
