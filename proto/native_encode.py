"""SpanBatch to a block of ClickHouse's Native format.

A block is the number of columns and rows, then for each column its name, its type and its data (`proto.native_writer`). Which
columns there are, and what they hold, says `proto.span_columns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from proto.native_rows import Rows
from proto.native_writer import NativeWriter, version_of
from proto.room import Room
from proto.span_columns import COLUMNS, Column
from proto.spans import SpanBatch
from proto.texts import Bytes
from proto.wire import encode_varint


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """A block ready to be sent.

    Attributes:
        columns: names of the columns in their order, which the INSERT must list; those that are all default are left out.
        data: the block, uint8; to be used before the encoder that made it makes another.
        rows: number of spans.
    """

    columns: tuple[str, ...]
    data: Bytes
    rows: int


class Encoder:
    """Writes batches as blocks, one after the other in the same memory; for one thread."""

    def __init__(self) -> None:
        self._out = NativeWriter()
        self._scratch = Room()

    def encode(self, batch: SpanBatch, columns: Sequence[Column] | None = None) -> NativeBlock:
        """All spans of a batch as one block, with those of `columns` (default: COLUMNS) that are not all default."""
        self._scratch.clear()
        out = self._out
        out.clear()
        rows = Rows(batch, self._scratch)
        chosen = [column for column in columns or COLUMNS if column.needed(rows)]
        out.append(encode_varint(len(chosen)) + encode_varint(len(batch)))
        for column in chosen:
            out.append(_header(column))
            column.write(rows, out)
        return NativeBlock(tuple(column.name for column in chosen), out.bytes[: out.size], len(batch))


def encode(batch: SpanBatch, columns: Sequence[Column] | None = None) -> NativeBlock:
    """The same in memory of its own."""
    return Encoder().encode(batch, columns)


@cache
def _header(column: Column) -> bytes:
    name = column.name.encode()
    kind = column.type.encode()
    return encode_varint(len(name)) + name + encode_varint(len(kind)) + kind + version_of(column.type)
