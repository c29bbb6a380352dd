"""chDB, as the server uses it: connections that run one statement at a time, and a way to cancel what they run.

A chDB connection is what a session is to a ClickHouse server: settings, current database and temporary tables are its own.
Opening one costs half a millisecond, so every request has a fresh one and leaves nothing behind.

Every call blocks until the engine is done, without the GIL; callers run them in threads. A running statement is cancelled from
another connection with KILL QUERY: chDB's own cancel call waits for the statement instead. chDB takes no query id, so a statement
is recognised by a tag that its connection carries in the setting `log_comment`.

A connection may do what the owner may, unless it was made with the rights of a reader: see `rights`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from exporters.embedded.engine_config import OWNER_SYSTEM_TABLES, PUBLIC_SYSTEM_TABLES, EngineLimits, write_engine_config
from exporters.embedded.errors import DatabaseError, error, from_engine
from exporters.embedded.rights import Rights, SpanTables
from exporters.embedded.statement import quote, quote_name

# chDB's exception, and what becomes of it when its text is not UTF-8.
_RAISED = (RuntimeError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a statement did. Rows, bytes; `elapsed_ns` is nanoseconds."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer, encoded in the answer's format, and the statistics so far."""

    data: bytes
    statistics: Statistics


class Engine:
    """The one engine of this process.

    Args:
        path: the data directory; created if it is missing.
        limits: memory and threads.
        tables: what readers may read.
        readers: the rights with which connections may be made.

    Raises:
        DatabaseError: the directory is in use, unreadable or damaged, or this release of chDB does not hold readers to their
            rights; the text says which.
        OSError: the directory cannot be written.
    """

    def __init__(self, path: Path, limits: EngineLimits, tables: SpanTables, readers: Collection[Rights]) -> None:
        self._chdb = _load_chdb()
        config = write_engine_config(path / "engine", limits, tables, readers)
        self._address = str(path / "data")
        # The function `file` reads any file of the machine, and no right can be withheld for a function. Ours goes before it,
        # also inside the expressions of VALUES and of settings, which no reading of a statement would find.
        self._chdb.create_function("file", _refuse_file, ["String"], "String")
        had_default = _prepare_default_database(path / "data" / "metadata")
        # The engine lives as long as one connection is open.
        self._keeper = self._connect({"config-file": str(config)})
        # chDB shows the machine's files as tables of `default`, and asks for rights on files whenever that database is used.
        # Without those rights it has to be the ordinary database that it is on disk.
        self._keeper.run("DETACH DATABASE default")
        self._keeper.run("ATTACH DATABASE default" if had_default else "CREATE DATABASE default ENGINE = Atomic")
        self._detach_system_tables()
        for rights in readers:
            self._prove(rights)
        answer = self._keeper.run("SELECT version(), displayName(), timezone(), revision()", "TSVRaw").data.decode()
        self.version, self.display_name, self.timezone, revision = answer.rstrip("\n").split("\t")
        self.revision = int(revision)

    def connect(self, rights: Rights | None = None) -> Connection:
        """A connection with settings and temporary tables of its own; the owner's, unless it gets the rights of a reader."""
        connection = self._connect({})
        try:
            for statement in rights.restriction if rights is not None else ():
                connection.run(statement)
        except DatabaseError:
            connection.close()
            raise
        return connection

    def kill(self, tag: str) -> None:
        """Cancel what runs under a tag, if it still runs."""
        connection = self.connect()
        try:
            connection.run(f"KILL QUERY WHERE Settings['log_comment'] = {quote(tag)} ASYNC")
        finally:
            connection.close()

    def query_ids(self, tags: Mapping[str, str]) -> dict[str, str]:
        """The engine's own ids of running statements. `tags` maps what clients call them to their tags."""
        connection = self.connect()
        try:
            answer = connection.run("SELECT Settings['log_comment'], query_id FROM system.processes", "TSVRaw").data.decode()
        finally:
            connection.close()
        ids = dict(line.split("\t") for line in answer.splitlines())
        return {name: ids[tag] for name, tag in tags.items() if tag in ids}

    def close(self) -> None:
        """Stop the engine; no connection may be in use."""
        self._keeper.close()

    def _connect(self, options: Mapping[str, str]) -> Connection:
        tag = uuid4().hex
        # A server lets SELECT be left out only where it is told to.
        options = {**options, "log_comment": tag, "implicit_select": "0"}
        try:
            return Connection(self._chdb.connect(f"{self._address}?{'&'.join(map('='.join, options.items()))}"), tag)
        except _RAISED as raised:
            raise from_engine(raised) from None

    def _detach_system_tables(self) -> None:
        """Take away what an engine of another release may have added, and what nobody needs, whatever it tells."""
        statement = "SELECT name FROM system.tables WHERE database = 'system' AND name NOT IN {known:Array(String)}"
        known = f"[{', '.join(map(quote, (*PUBLIC_SYSTEM_TABLES, *OWNER_SYSTEM_TABLES)))}]"
        for name in self._keeper.run(statement, "TSVRaw", {"known": known}).data.decode().splitlines():
            self._keeper.run(f"DETACH TABLE system.{quote_name(name)}")

    def _prove(self, rights: Rights) -> None:
        """See whether a reader is held to its rights: they are made of what another release of chDB might do otherwise."""
        connection = self.connect(rights)
        try:
            for statement in rights.forbidden:
                try:
                    connection.run(statement)
                except DatabaseError:
                    continue
                raise error(497, "ACCESS_DENIED", f"This release of chDB lets readers do what they must not: {statement}")
        finally:
            connection.close()


class Connection:
    """A session of the engine. Its methods block, and must not be called by two threads at a time.

    `tag` is what running statements of this connection are known by.
    """

    def __init__(self, connection: Any, tag: str) -> None:
        self._connection = connection
        self.tag = tag

    def run(
        self, statement: str | bytes, default_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> Piece:
        """Run a statement to its end.

        Args:
            statement: SQL; its FORMAT clause wins over `default_format`.
            parameters: texts for `{name:Type}`, in TSV's escapes.

        Raises:
            DatabaseError: the engine's refusal.
        """
        try:
            result = self._connection.query(statement, default_format, params=dict(parameters or {}))
        except _RAISED as raised:
            raise from_engine(raised) from None
        return _piece(result)

    def stream(
        self, statement: str | bytes, default_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> Stream:
        """Start a SELECT whose answer is handed over block by block. Raises as `run` does."""
        try:
            started = self._connection.send_query(statement, default_format, params=dict(parameters or {}))
        except _RAISED as raised:
            raise from_engine(raised) from None
        return Stream(self._connection, started)

    def close(self) -> None:
        self._connection.close()


class Stream:
    """The answer of a running SELECT."""

    def __init__(self, connection: Any, started: Any) -> None:
        self._connection = connection
        self._started = started

    def next(self) -> Piece:
        """The next piece; its data is empty after the last. Raises DatabaseError."""
        try:
            return _piece(self._connection.streaming_fetch_result(self._started))
        except _RAISED as raised:
            raise from_engine(raised) from None

    def cancel(self) -> None:
        """Give up what has not been fetched; no other thread may be fetching."""
        self._connection.streaming_cancel_query(self._started)


def _piece(result: Any) -> Piece:
    if result.has_error():
        raise from_engine(RuntimeError(result.error_message()))
    data = result.bytes()
    return Piece(
        data,
        Statistics(
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=len(data),
            elapsed_ns=int(result.elapsed() * 1e9),
        ),
    )


def _refuse_file(_: str) -> str:
    raise PermissionError("reading files is not allowed")


def _prepare_default_database(metadata: Path) -> bool:
    """Make the database `default` on disk one that chDB finds again; returns whether there is one.

    At its start chDB gives `default` a new id when the database has no tables, and then finds nothing under the old one. Its
    directory appears with its first table. Until then the database can be made anew; from then on a hidden file keeps it from
    looking empty.
    """
    definition, tables = metadata / "default.sql", metadata / "default"
    if definition.exists() and tables.is_dir():
        (tables / ".not_empty").touch()
        return True
    definition.unlink(missing_ok=True)
    tables.unlink(missing_ok=True)
    return False


def _load_chdb() -> Any:
    # chDB's conveniences for data frames import pandas and pyarrow when they are installed: half a second and 60 MB for
    # nothing. Marked as absent they are done without.
    for unused in ("pandas", "pyarrow"):
        sys.modules.setdefault(unused, None)  # type: ignore[arg-type]  # None is the documented mark of absence
    return importlib.import_module("chdb._chdb")
