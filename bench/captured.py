"""Inserts that the sink wrote to files: how to read them back, and how many rows they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lz4.block
import lz4.frame
from clickhouse_connect.driver.buffer import ResponseBuffer
from clickhouse_connect.driver.query import QueryResult
from clickhouse_connect.driver.transform import NativeTransform

from bench.plain import COLUMNS

STATEMENT = re.compile(r"INSERT\s+INTO\s+\S+\s*\((?P<columns>[^)]*)\).*FORMAT\s+(?P<format>\w+)", re.IGNORECASE | re.DOTALL)
STATEMENT_LINE = re.compile(rb"\s*INSERT\s+INTO\s[^\n]*\n", re.IGNORECASE)
BLOCK_CHECKSUM_BYTES = 16
BLOCK_HEADER_BYTES = 9


@dataclass(frozen=True, slots=True)
class Insert:
    """One insert as it was posted: the URL's arguments, the coding of the body, the body."""

    arguments: dict[str, str]
    content_encoding: str
    body: bytes


def inserts(directory: Path) -> Iterator[Insert]:
    """All captured inserts, in order of arrival."""
    for file in sorted(directory.glob("*.body")):
        arguments = json.loads(file.with_suffix(".json").read_text())
        yield Insert(arguments, arguments.pop("content_encoding"), file.read_bytes())


def count_rows(directory: Path) -> int:
    """Rows in all captured inserts. Raises ValueError for a format that no contender writes."""
    return sum(_rows(insert) for insert in inserts(directory))


def _rows(insert: Insert) -> int:
    data = _decompressed(insert)
    sql = insert.arguments.get("query", "")
    if not sql and (line := STATEMENT_LINE.match(data)):
        sql, data = line.group().decode(), data[line.end() :]
    statement = STATEMENT.search(sql)
    match statement and statement["format"].lower():
        case "native":
            return _native_rows(data)
        case "rowbinary" if statement:
            names = [name.strip().strip('`"') for name in statement["columns"].split(",")]
            return _row_binary_rows(data, [COLUMNS[name] for name in names])
        case _:
            raise ValueError(f"an insert in no known format: {sql[:200]}")


def _decompressed(insert: Insert) -> bytes:
    if insert.arguments.get("decompress") == "1":
        return b"".join(_blocks(insert.body))
    if insert.content_encoding == "lz4":
        return b"".join(_frames(insert.body))
    if insert.content_encoding:
        raise ValueError(f"an insert with content coding {insert.content_encoding}")
    return insert.body


def _frames(body: bytes) -> Iterator[bytes]:
    """LZ4 frames, one after the other: clickhouse-connect makes one of each block."""
    while body:
        decompressor = lz4.frame.LZ4FrameDecompressor()
        yield decompressor.decompress(body)
        body = decompressor.unused_data or b""


def _blocks(body: bytes) -> Iterator[bytes]:
    """ClickHouse's own compressed blocks: checksum, method, sizes, data."""
    position = 0
    while position < len(body):
        start = position + BLOCK_CHECKSUM_BYTES
        compressed = int.from_bytes(body[start + 1 : start + 5], "little")
        size = int.from_bytes(body[start + 5 : start + 9], "little")
        yield lz4.block.decompress(body[start + BLOCK_HEADER_BYTES : start + compressed], uncompressed_size=size)
        position = start + compressed


def _native_rows(data: bytes) -> int:
    """Rows of all blocks, read in full by clickhouse-connect: a block that it cannot read would be no use to a server."""
    buffer = ResponseBuffer(_Source(data))  # type: ignore[no-untyped-call]  # published without annotations
    result = NativeTransform.parse_response(buffer)
    if not isinstance(result, QueryResult):
        raise TypeError(f"clickhouse-connect answered with {type(result).__name__}")
    with result.column_block_stream as blocks:
        return sum(len(columns[0]) for columns in blocks)


class _Source:
    """What clickhouse-connect's buffer reads from, in place of an HTTP response."""

    def __init__(self, data: bytes) -> None:
        self.gen = iter([data])
        self.last_message = None

    def close(self) -> None:
        """Nothing is open."""


def _row_binary_rows(data: bytes, types: list[str]) -> int:
    rows, position = 0, 0
    while position < len(data):
        for column in types:
            position = _skip(data, position, column)
        rows += 1
    return rows


def _skip(data: bytes, position: int, column: str) -> int:
    """Position after one value of this type."""
    if column.startswith(("DateTime64", "UInt64")):
        return position + 8
    length, position = _varint(data, position)
    if column.startswith("Array"):
        for _ in range(length):
            position = _skip(data, position, column[len("Array(") : -1])
    elif column.startswith("Map"):
        for _ in range(2 * length):
            size, position = _varint(data, position)
            position += size
    else:
        position += length
    return position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = data[position]
    position += 1
    if value < 0x80:
        return value, position
    value, shift = value & 0x7F, 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
