"""The body of a request on its way to the engine: an anonymous file in memory that the engine reads as `/proc/self/fd/N`.

The rivals are measured in docs/adr/0003-embedded-clickhouse.md: appended to the text of the statement, the engine refuses a
Native block; chDB's insert stream costs about the same as the file, but takes no packed data. The engine unpacks a file itself,
so a packed body whose statement is in the URL is neither unpacked nor rewritten in Python.
The body is complete before the engine sees its first byte, so a client that leaves halfway stores nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType

from exporters.embedded.codecs import unpack
from exporters.embedded.engine import Connection, Engine, Piece
from exporters.embedded.errors import error
from exporters.embedded.statement import Insert

# What a small query of the engine takes in memory besides its data.
_ENGINE_OWN_BYTES = 64 << 20


class Data:
    """Bytes for the engine. Close it when the statement has ended.

    Args:
        max_bytes: the most that it takes.
        compression: how the bytes are packed, in the engine's words; `none` if they are not.
    """

    def __init__(self, max_bytes: int, compression: str = "none") -> None:
        self._file = os.memfd_create("insert")
        self._max_bytes = max_bytes
        self.compression = compression
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append. Raises DatabaseError 229 beyond the maximum."""
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise error(229, "QUERY_IS_TOO_LARGE", f"The body is larger than the maximum of {self._max_bytes} bytes")
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file, view) :]

    def read(self) -> bytes:
        """Everything, as it came."""
        return os.pread(self._file, self.size, 0)

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self._file}"

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Data:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def insert(connection: Connection, statement: Insert, data: Data, parameters: Mapping[str, str]) -> Piece:
    """Run an INSERT that takes its rows from `data`. Raises DatabaseError."""
    if statement.query is not None:
        return _insert_through_input(connection, statement, data, parameters)
    return connection.run(_from_file(statement.head, statement.settings, statement.format, data), parameters=parameters)


def _insert_through_input(connection: Connection, statement: Insert, data: Data, parameters: Mapping[str, str]) -> Piece:
    before, after = statement.query or (b"", b"")
    structure = statement.input_structure[1:-1].replace(b"\\'", b"'").replace(b"''", b"'")
    connection.run(b"CREATE TEMPORARY TABLE _input (" + structure + b") ENGINE = Memory")
    try:
        if data.size:
            connection.run(_from_file(b"INSERT INTO _input", b"", statement.format, data))
        return connection.run(before + b" _input " + after, parameters=parameters)
    finally:
        connection.run("DROP TEMPORARY TABLE _input")


def load_table(connection: Connection, name: str, structure: str, data_format: str, data: Data) -> None:
    """An external table of a request: a temporary table of its connection."""
    quoted = name.replace("`", "\\`")
    connection.run(f"CREATE TEMPORARY TABLE `{quoted}` ({structure}) ENGINE = Memory")
    if data.size:
        connection.run(_from_file(f"INSERT INTO `{quoted}`".encode(), b"", data_format.encode(), data))


def unpacked(engine: Engine, data: Data, max_bytes: int) -> bytes:
    """The plain bytes of `data`, at most `max_bytes`. Raises DatabaseError."""
    if data.compression not in ("br", "snappy"):
        return unpack(data.compression, data.read(), max_bytes)
    # Python has no codec for these; the engine has.
    connection = engine.connect()
    try:
        # The only bound that the engine has on what unpacked data may become.
        connection.run(f"SET max_memory_usage = {4 * max_bytes + _ENGINE_OWN_BYTES}")
        connection.run("CREATE TEMPORARY TABLE _packed (bytes String) ENGINE = Memory")
        connection.run(_from_file(b"INSERT INTO _packed", b"", b"RawBLOB", data))
        plain = connection.run("SELECT bytes FROM _packed", "RawBLOB").data
    finally:
        connection.close()
    if len(plain) > max_bytes:
        raise error(229, "QUERY_IS_TOO_LARGE", f"The body is larger than the maximum of {max_bytes} bytes")
    return plain


def _from_file(head: bytes, settings: bytes, data_format: bytes, data: Data) -> bytes:
    source = f" FROM INFILE '{data.path}' COMPRESSION '{data.compression}' ".encode()
    return head + source + settings + b" FORMAT " + data_format
