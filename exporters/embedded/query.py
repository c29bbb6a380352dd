"""One statement with everything that a request adds to it, run on a connection. All of this happens in a worker thread."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from exporters.embedded import data as insert_data
from exporters.embedded.data import Data
from exporters.embedded.engine import Connection, Piece, Statistics, Stream
from exporters.embedded.errors import DatabaseError
from exporters.embedded.reading import readonly
from exporters.embedded.request import Parameters
from exporters.embedded.rights import Rights
from exporters.embedded.statement import Statement, assignments, quote_name, tokens

_READONLY = 164
# Statements that a server lets through with `readonly=2`.
_HARMLESS = frozenset(b"SELECT WITH FROM ( SHOW DESCRIBE DESC EXPLAIN EXISTS CHECK SET USE".split())
# Statements whose answer is empty and has no format.
_WITHOUT_ROWS = frozenset(
    b"ALTER ATTACH BEGIN COMMIT CREATE DELETE DETACH DROP EXCHANGE GRANT INSERT MOVE OPTIMIZE RENAME REVOKE ROLLBACK SET SYSTEM "
    b"TRUNCATE UNDROP UPDATE USE".split()
)
# Formats in which an answer is its blocks one behind the other. In others it has a head or a foot, or is one document, and the
# engine would make one of each block.
_IN_BLOCKS = frozenset(
    b"BSONEachRow Buffers CSV CustomSeparated JSONCompactEachRow JSONCompactStringsEachRow JSONEachRow JSONL JSONLines "
    b"JSONStringsEachRow LineAsString MsgPack NDJSON Native Null PrettyJSONEachRow PrettyJSONLines PrettyNDJSON Protobuf Raw "
    b"RawBLOB RowBinary TSKV TSV TSVRaw TabSeparated TabSeparatedRaw".split()
)


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that comes with a multipart request. `structure` is a column list."""

    name: str
    structure: str
    format: str
    data: Data


@dataclass(slots=True)
class Query:
    """A statement to run, and the state of its run.

    Attributes:
        rights: what a reader may do; None for the owner.
        kept: whether the connection is a session's, so that everything but the statement's own effect has to be undone.
        by_get: whether it came by GET, which may not change anything.
    """

    statement: Statement
    parameters: Parameters
    connection: Connection
    rights: Rights | None
    kept: bool
    by_get: bool
    data: Data | None = None
    external: list[ExternalTable] = field(default_factory=list)
    _stream: Stream | None = None
    _before: dict[str, str] = field(default_factory=dict)
    _database_before: str = ""

    @property
    def has_rows(self) -> bool:
        """Whether the answer has a format; a statement that only does something answers with nothing."""
        return self.statement.verb not in _WITHOUT_ROWS and self.statement.insert is None

    @property
    def kills_with_its_client(self) -> bool:
        """Whether it is pointless once nobody waits for the answer. An INSERT that has arrived is stored."""
        return self.statement.verb in _HARMLESS

    def begin(self) -> Piece:
        """Start the statement and return the first piece of its answer, empty if that is all. Raises DatabaseError."""
        try:
            self._prepare()
            statement, parameters = self.statement, self.parameters
            if statement.insert is not None and self.data is not None:
                return insert_data.insert(self.connection, statement.insert, self.data, parameters.bound)
            answer_format = parameters.answer_format or "TabSeparated"
            is_in_blocks = (statement.format or answer_format.encode()) in _IN_BLOCKS
            if not (statement.returns_rows_of_a_select and is_in_blocks):
                return self.connection.run(statement.text, answer_format, parameters.bound)
            self._stream = self.connection.stream(statement.text, answer_format, parameters.bound)
            return self.next()
        except DatabaseError as refused:
            raise refused.on_get() if self.by_get else refused from None

    def next(self) -> Piece:
        """The next piece of the answer; its data is empty after the last. Raises DatabaseError."""
        if self._stream is None:
            return Piece(b"", Statistics())
        piece = self._stream.next()
        if not piece.data:
            self._stream = None
        return piece

    def end(self) -> None:
        """Undo what belonged to the request alone and let go of its data. The statement must have ended."""
        if self._stream is not None:
            self._stream.cancel()
        for table in self.external:
            table.data.close()
        if self.data is not None:
            self.data.close()
        if not self.kept:
            return
        for table in self.external:
            self.connection.run(f"DROP TEMPORARY TABLE IF EXISTS {quote_name(table.name)}")
        self._restore()

    def _prepare(self) -> None:
        settings = dict(self.parameters.settings if self.rights is None else self.rights.within_bounds(self.parameters.settings))
        # It carries the connection's tag.
        settings.pop("log_comment", None)
        if self.parameters.protocol_version:
            # Blocks are walked on their way out (see `native`), and JSON in its binary form cannot be.
            settings["output_format_native_write_json_as_string"] = "1"
        if self.by_get and self.rights is None and not self.kept:
            settings.setdefault("readonly", "2")
        if self.kept:
            self._remember(settings)
        if self.parameters.database:
            self._use(self.parameters.database)
        if self.external and self.rights is not None:
            raise readonly("create external tables")
        for table in self.external:
            insert_data.load_table(self.connection, table.name, table.structure, table.format, table.data)
        if self.by_get and self.kept and not self._is_harmless():
            raise readonly("execute query")
        if settings:
            self.connection.run(f"SET {assignments(settings)}")

    def _use(self, database: str) -> None:
        self.connection.run(f"USE {quote_name(database)}")

    def _is_harmless(self) -> bool:
        words = [token.text.upper() for token, _ in zip(tokens(self.statement.text), range(2), strict=False)]
        return self.statement.verb in _HARMLESS or words == [b"CREATE", b"TEMPORARY"]

    def _remember(self, settings: dict[str, str]) -> None:
        answer = self.connection.run(
            "SELECT currentDatabase(), mapFromArrays(groupArray(name), groupArray(value)) FROM system.settings "
            "WHERE name IN splitByChar(',', {names:String})",
            "JSONCompactEachRow",
            {"names": ",".join(settings)},
        )
        self._database_before, self._before = orjson.loads(answer.data)

    def _restore(self) -> None:
        if self._database_before and self.parameters.database and self.statement.verb != b"USE":
            self._use(self._database_before)
        if self._before and self.statement.verb != b"SET":
            self._set_back()

    def _set_back(self) -> None:
        try:
            self.connection.run(f"SET {assignments(self._before)}")
        except DatabaseError as refused:
            # The session has been made read-only by its user: it keeps what it has until it ends.
            if refused.code != _READONLY:
                raise
