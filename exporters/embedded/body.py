"""A request's body: the statement, the data of an INSERT, external tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import BodyPartReader, hdrs, web

from exporters.embedded.block_compression import unpack_blocks
from exporters.embedded.codecs import request_encoding
from exporters.embedded.data import Data, unpacked
from exporters.embedded.engine import Engine
from exporters.embedded.errors import DatabaseError, error
from exporters.embedded.query import ExternalTable
from exporters.embedded.request import Parameters
from exporters.embedded.statement import Statement
from exporters.embedded.workers import Workers


@dataclass(slots=True)
class Asked:
    """What a request wants done. `data` belongs to an INSERT."""

    statement: Statement
    data: Data | None = None
    external: list[ExternalTable] = field(default_factory=list)


class BodyReader:
    """Reads requests.

    Args:
        max_bytes: the largest body, packed or unpacked.
        read: what reads the text of a statement.
    """

    def __init__(self, engine: Engine, workers: Workers, max_bytes: int, read: Callable[[bytes], Statement]) -> None:
        self._engine = engine
        self._workers = workers
        self._max_bytes = max_bytes
        self._read = read

    async def read(self, request: web.Request, parameters: Parameters) -> Asked:
        """Read the body to its end. Form fields are added to `parameters`. Raises DatabaseError."""
        if request.method != hdrs.METH_POST:
            statement = self._read(parameters.values.get("query", "").encode())
            return Asked(statement, None if statement.insert is None else self._data(statement.insert.data))
        if request.content_length is None and "chunked" not in request.headers.get(hdrs.TRANSFER_ENCODING, "").lower():
            message = "The Transfer-Encoding is not chunked and there is no Content-Length header for POST request"
            raise error(381, "HTTP_LENGTH_REQUIRED", message, of_session=False)
        if request.content_type == "multipart/form-data":
            try:
                return await self._read_form(request, parameters)
            except ValueError as malformed:
                raise error(36, "BAD_ARGUMENTS", f"The form cannot be read: {malformed}") from None
        compression = request_encoding(request.headers.get(hdrs.CONTENT_ENCODING, ""))
        data = Data(self._max_bytes, compression)
        try:
            async for chunk in request.content.iter_any():
                data.write(chunk)
            if parameters.flag("decompress"):
                packed, data = data, await self._workers.run(partial(self._without_blocks, data))
                packed.close()
            return await self._asked(parameters.values.get("query", "").encode(), data)
        except BaseException:
            data.close()
            raise

    async def _asked(self, head: bytes, data: Data) -> Asked:
        statement = self._insert_in(head)
        if statement is not None:
            return Asked(statement, data)
        text = await self._workers.run(partial(unpacked, self._engine, data, self._max_bytes))
        data.close()
        joined = head + b"\n" + text if head and text else head or text
        statement = self._read(joined)
        return Asked(statement, None if statement.insert is None else self._data(statement.insert.data))

    async def _read_form(self, request: web.Request, parameters: Parameters) -> Asked:
        files: dict[str, Data] = {}
        try:
            form = await request.multipart()
            async for part in form:
                if not isinstance(part, BodyPartReader) or part.name is None:
                    continue
                if part.filename is None:
                    parameters.add(part.name, await self._field(part))
                    continue
                files[part.name] = data = Data(self._max_bytes)
                while chunk := await part.read_chunk(1 << 16):
                    data.write(chunk)
            external = [_external_table(parameters, name, data) for name, data in files.items()]
            statement = self._read(parameters.values.get("query", "").encode())
        except BaseException:
            for data in files.values():
                data.close()
            raise
        return Asked(statement, None if statement.insert is None else self._data(statement.insert.data), external)

    def _insert_in(self, head: bytes) -> Statement | None:
        """The INSERT of a URL whose data is the body alone, so that the body needs no look."""
        if head.lstrip()[:6].upper() != b"INSERT":
            return None
        statement = self._read(head)
        insert = statement.insert
        return statement if insert is not None and not insert.data.strip() else None

    async def _field(self, part: BodyPartReader) -> str:
        with Data(self._max_bytes) as data:
            while chunk := await part.read_chunk(1 << 16):
                data.write(chunk)
            return data.read().decode()

    def _data(self, rows: bytes) -> Data:
        data = Data(self._max_bytes)
        try:
            data.write(memoryview(rows))
        except DatabaseError:
            data.close()
            raise
        return data

    def _without_blocks(self, data: Data) -> Data:
        return self._data(unpack_blocks(unpacked(self._engine, data, self._max_bytes), self._max_bytes))


def _external_table(parameters: Parameters, name: str, data: Data) -> ExternalTable:
    settings = parameters.settings
    data_format = settings.pop(f"{name}_format", "TabSeparated")
    structure = settings.pop(f"{name}_structure", "")
    types = settings.pop(f"{name}_types", "")
    if not structure:
        if not types:
            message = (
                f"Neither structure nor types are provided for external table {name}. Use fields {name}_structure or {name}_types"
            )
            raise error(36, "BAD_ARGUMENTS", message)
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(_split_types(types), start=1))
    return ExternalTable(name, structure, data_format, data)


def _split_types(types: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(types):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(types[start:position].strip())
            start = position + 1
    return [*parts, types[start:].strip()]
