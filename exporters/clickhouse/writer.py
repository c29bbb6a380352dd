"""Spans, and what was made of them, to ClickHouse: one Native block, compressed, under a name that makes a repeated insert
harmless."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import lz4.frame
import structlog

from exporters.base import DerivedRows, ExportError, Outlook
from exporters.clickhouse import migrations
from exporters.clickhouse.client import ClickHouseClient, ClickHouseError, ClickHouseUnavailable
from exporters.clickhouse.errors import NO_SUCH_COLUMN, UNKNOWN_DATABASE, UNKNOWN_TABLE, export_error
from exporters.clickhouse.partitions import by_period, rows_by_period
from exporters.clickhouse.schema import SchemaSettings, quoted
from exporters.tally import spans_by_owner
from exporters.workspaces import by_workspace
from proto.native_columns import encode_columns
from proto.native_encode import Encoder
from proto.span_columns import COLUMNS, DEFAULT_WORKSPACE, Column
from proto.spans import SpanBatch
from proto.texts import Bytes

_log = structlog.get_logger(__name__)

Compression = Literal["lz4", "none"]

_WORKSPACE: Final = "Workspace"
_SET_APART: Final = (
    f"spans of other workspaces than `{DEFAULT_WORKSPACE}` are set aside, as its readers would see them; once"
    " `spanhouse schema apply` has added the column, `spanhouse dead-letter retry` brings them in"
)
_TABLE_CHANGED: Final = frozenset({NO_SUCH_COLUMN, UNKNOWN_TABLE, UNKNOWN_DATABASE})
_INSERT_SETTINGS: Final[dict[str, object]] = {
    # The answer must mean that the rows are stored, in the spans' table and through its view.
    "wait_end_of_query": 1,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """How spans are written.

    Attributes:
        schema: the tables.
        create_schema: whether they are created and completed; without it, rights to insert are enough.
        compression: of the body on the wire.
        async_insert: let the server gather inserts; the answer is awaited all the same.
    """

    schema: SchemaSettings = field(default_factory=SchemaSettings)
    create_schema: bool = True
    compression: Compression = "lz4"
    async_insert: bool = False


@dataclass(frozen=True, slots=True)
class _Body:
    """The data of one insert, encoded.

    Attributes:
        table: quoted, with its database.
        columns: of the block, in its order.
        rows: of the block.
        data: the block, compressed.
        is_of_spans: whether the table is that of the spans.
    """

    table: str
    columns: tuple[str, ...]
    rows: int
    data: bytes
    is_of_spans: bool


@dataclass(frozen=True, slots=True)
class RowInsert:
    """One insert; sent again, it is the same bytes under the same token."""

    writer: ClickHouseWriter
    body: _Body
    name: str

    @property
    def rows(self) -> int:
        return self.body.rows

    @property
    def nbytes(self) -> int:
        return len(self.body.data)

    async def send(self, timeout_s: float) -> None:
        await self.writer.insert(self.body, self.name, timeout_s)


@dataclass(frozen=True, slots=True)
class Insert(RowInsert):
    """The same of spans."""

    batch: SpanBatch

    @property
    def spans(self) -> int:
        return self.body.rows

    @property
    def owners(self) -> Mapping[str, int]:
        return spans_by_owner(self.batch)


class ClickHouseWriter:
    """Writes spans to the table `otel_traces`, whatever it is called.

    Args:
        client: connections to servers that hold the same data.
        settings: how spans are written.
        executor: threads in which blocks are built and compressed.
    """

    def __init__(self, client: ClickHouseClient, settings: WriterSettings, executor: Executor) -> None:
        self._client = client
        self._settings = settings
        self._executor = executor
        self._table = settings.schema.qualified_table
        self._opening = asyncio.Lock()
        self._columns: tuple[Column, ...] | None = None
        self._insert_settings = _INSERT_SETTINGS | {
            # Said either way: the server's default differs between releases.
            "async_insert": int(settings.async_insert),
            "wait_for_async_insert": 1,
            "async_insert_deduplicate": int(settings.async_insert),
        }

    async def open(self) -> None:
        """Create or complete the tables, if that is wanted, and learn which columns there are."""
        async with self._opening:
            if self._columns is None:
                self._columns = await self._learn_columns()

    async def _learn_columns(self) -> tuple[Column, ...]:
        try:
            if self._settings.create_schema:
                await migrations.apply(self._client, self._settings.schema)
            else:
                await self._say_what_is_missing()
            existing = await self._existing_columns()
        except (ClickHouseError, ClickHouseUnavailable) as error:
            raise export_error(error) from error
        missing = [column.name for column in COLUMNS if column not in existing]
        if missing:
            consequence = "what they would hold is not stored" + (f"; {_SET_APART}" if _WORKSPACE in missing else "")
            _log.warning("columns_missing", table=self._table, columns=missing, consequence=consequence)
        return existing

    async def _existing_columns(self) -> tuple[Column, ...]:
        """Those of ours that the table has; all, where the user may not know. Raises what the client does."""
        existing = await migrations.columns(self._client, self._table)
        return tuple(column for column in COLUMNS if existing is None or column.name in existing)

    async def _say_what_is_missing(self) -> None:
        planned = await migrations.plan(self._client, self._settings.schema)
        if planned.changes:
            _log.warning(
                "schema_incomplete",
                missing=[change.why for change in planned.changes],
                note="`spanhouse schema plan` shows the statements, and `spanhouse schema apply` runs them",
            )

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Insert]:
        """The inserts of a batch: one for each period of days that its spans lie in. Raises ExportError.

        Args:
            name: what the tokens of the inserts start with.
        """
        columns = await self._columns_for(batch)
        try:
            bodies = await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, batch, columns)
        except MemoryError:
            # That is no fault of the spans.
            raise
        except Exception as error:
            _log.exception("spans_not_encoded", spans=len(batch))
            raise ExportError(f"{type(error).__name__}: {error}", "encoding_failed", Outlook.NEVER, of_content=True) from error
        return [Insert(self, body, f"{name}-{period}", part) for period, (body, part) in bodies.items()]

    async def _columns_for(self, batch: SpanBatch) -> Sequence[Column]:
        """The columns in which a batch is stored.

        Raises:
            ExportError: the table cannot tell workspaces apart, and some of the spans are not of the default one.
        """
        await self.open()
        columns = self._columns or COLUMNS
        if _tells_workspaces(columns) or (workspaces := [name for name, _ in by_workspace(batch)]) == [DEFAULT_WORKSPACE]:
            return columns
        try:
            # Somebody may have added the column since.
            self._columns = columns = await self._existing_columns()
        except (ClickHouseError, ClickHouseUnavailable) as error:
            raise export_error(error) from error
        if _tells_workspaces(columns):
            return columns
        message = f"{self._table} has no column {_WORKSPACE}: {_SET_APART}"
        raise ExportError(message, "no_workspace_column", Outlook.NEVER, of_workspace=DEFAULT_WORKSPACE in workspaces)

    def _encode(self, batch: SpanBatch, columns: Sequence[Column]) -> dict[int, tuple[_Body, SpanBatch]]:
        bodies = {}
        for period, part in by_period(batch).items():
            block = _of_thread.encoder.encode(part, columns)
            data = _packed(block.data, self._settings.compression)
            bodies[period] = _Body(self._table, block.columns, len(part), data, is_of_spans=True), part
        return bodies

    async def prepare_rows(self, rows: DerivedRows, name: str) -> Sequence[RowInsert]:
        """The inserts of derived rows: one for each period of days that they lie in. Raises ExportError.

        Args:
            name: what the tokens of the inserts start with.
        """
        await self.open()
        try:
            bodies = await asyncio.get_running_loop().run_in_executor(self._executor, self._encode_rows, rows)
        except MemoryError:
            raise
        except Exception as error:
            _log.exception("rows_not_encoded", table=rows.table, rows=len(rows))
            raise ExportError(f"{type(error).__name__}: {error}", "encoding_failed", Outlook.NEVER) from error
        return [RowInsert(self, body, f"{name}-{rows.table}-{period}") for period, body in bodies.items()]

    def _encode_rows(self, rows: DerivedRows) -> dict[int, _Body]:
        table = self._settings.schema.table_of(rows.table)
        names = tuple(column.name for column in rows.columns)
        bodies = {}
        for period, part in rows_by_period(rows).items():
            data = _packed(encode_columns(part.columns, len(part)), self._settings.compression)
            bodies[period] = _Body(table, names, len(part), data, is_of_spans=False)
        return bodies

    async def insert(self, body: _Body, token: str, timeout_s: float) -> None:
        """Store one block. Raises ExportError; then it may be stored or not, and the same call again stores it once."""
        await self.open()
        names = ", ".join(map(quoted, body.columns))
        try:
            await self._client.insert(
                f"INSERT INTO {body.table} ({names}) FORMAT Native",
                body.data,
                settings={
                    **self._insert_settings,
                    "insert_deduplication_token": token,
                    # A block that the server cut would be remembered by its pieces.
                    "max_insert_block_size": max(body.rows, 1 << 20),
                },
                content_encoding="" if self._settings.compression == "none" else self._settings.compression,
                timeout_s=timeout_s,
            )
        except (ClickHouseError, ClickHouseUnavailable) as error:
            failure = export_error(error)
            if isinstance(error, ClickHouseError) and error.code in _TABLE_CHANGED:
                self._columns = None
                if not (body.is_of_spans or self._settings.create_schema or error.code == UNKNOWN_DATABASE):
                    # The spans beside these rows must not wait for a table that nobody may be about to make.
                    failure.outlook = Outlook.NEVER
            raise failure from error


class _OfThread(threading.local):
    """What a thread uses again for each block."""

    def __init__(self) -> None:
        self.encoder = Encoder()


_of_thread = _OfThread()


def _tells_workspaces(columns: Sequence[Column]) -> bool:
    return any(column.name == _WORKSPACE for column in columns)


def _packed(block: Bytes | bytes, compression: Compression) -> bytes:
    # NumPy's arrays are buffers, though their types say so only from Python 3.12 on.
    body: Any = block
    return bytes(body) if compression == "none" else bytes(lz4.frame.compress(body, block_size=lz4.frame.BLOCKSIZE_MAX1MB))
