"""The answer's bytes: how they are packed for the client, and what stands in the headers."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable

from exporters.embedded.codecs import Compressor
from exporters.embedded.engine import Statistics

_TYPES = {
    "application/octet-stream": (
        "RowBinary* Native Arrow ArrowStream Parquet ORC Avro MsgPack BSONEachRow Npy Protobuf ProtobufSingle ProtobufList "
        "CapnProto"
    ),
    "text/tab-separated-values; charset=UTF-8": "TSV* TabSeparated* TSKV LineAsString* Raw",
    "text/csv; charset=UTF-8; header=present": "CSVWithNames CSVWithNamesAndTypes",
    "text/csv; charset=UTF-8; header=absent": "CSV",
    "application/x-ndjson; charset=UTF-8": (
        "JSONEachRow JSONLines NDJSON PrettyJSONEachRow PrettyJSONLines PrettyNDJSON JSONStringsEachRow"
    ),
    "application/json; charset=UTF-8": (
        "JSON JSONStrings JSONCompact JSONCompactStrings JSONColumns JSONCompactColumns JSONColumnsWithMetadata JSONObjectEachRow"
    ),
    "application/xml; charset=UTF-8": "XML",
}
Step = Callable[[bytes], bytes]
PLAIN_TEXT = "text/plain; charset=UTF-8"


def content_type(answer_format: str) -> str:
    """The Content-Type that ClickHouse gives to an output format."""
    for media_type, names in _TYPES.items():
        for name in names.split():
            if answer_format == name or (name.endswith("*") and answer_format.startswith(name[:-1])):
                return media_type
    return PLAIN_TEXT


def summary(statistics: Statistics) -> str:
    """X-ClickHouse-Summary: JSON of numbers written as strings."""
    values = {
        "read_rows": statistics.read_rows,
        "read_bytes": statistics.read_bytes,
        "written_rows": statistics.written_rows,
        "written_bytes": statistics.written_bytes,
        "total_rows_to_read": statistics.read_rows,
        "result_rows": statistics.result_rows,
        "result_bytes": statistics.result_bytes,
        "elapsed_ns": statistics.elapsed_ns,
        "memory_usage": 0,
    }
    return json.dumps({name: str(value) for name, value in values.items()}, separators=(",", ":"))


def exception_tag() -> str:
    """Sixteen letters that mark an error inside an answer that has begun."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def late_exception(body: bytes, tag: str) -> bytes:
    """An error after the first byte of a 200, framed as servers from 25.11 do it."""
    frame = "\r\n__exception__\r\n"
    return frame.encode() + f"{tag}\r\n".encode() + body + f"{len(body)} {tag}{frame}".encode()


class Packer:
    """Everything between the engine's bytes and the wire.

    Args:
        framing: gives blocks of rows the shape that the client asks for; it never sees an error's text.
        blocks: packs bytes into ClickHouse's compressed blocks.
        compressor: HTTP compression; it alone has an end.
    """

    def __init__(self, framing: Step | None, blocks: Step | None, compressor: Compressor | None) -> None:
        self._framing = framing
        self._blocks = blocks
        self._compressor = compressor

    def rows(self, data: bytes) -> bytes:
        """Pack a piece of the answer. Raises DatabaseError if it cannot be framed."""
        return self.text(data if self._framing is None else self._framing(data))

    def text(self, data: bytes) -> bytes:
        """Pack bytes that are not rows."""
        if self._blocks is not None and data:
            data = self._blocks(data)
        return data if self._compressor is None else self._compressor.compress(data)

    def end(self) -> bytes:
        """What the compression still holds."""
        return b"" if self._compressor is None else self._compressor.flush()
