"""Native blocks in the shape of newer protocol revisions.

chDB writes Native at revision 0: column count, row count, then name, type and data of each column. A client that sends
`client_protocol_version` expects every block to begin with eight bytes of block information and, from revision 54454 on, a byte
after each type that says whether the column is serialized in a special way; here it never is. The data are the same. To find the
place of those bytes the block has to be walked, column by column.
"""

from __future__ import annotations

import struct

from exporters.embedded.errors import error
from exporters.embedded.native_types import column_of, read_varint

# Fields 1 (overflow rows: no) and 2 (bucket: none), and the end of the fields.
_BLOCK_INFORMATION = bytes([1, 0, 2]) + struct.pack("<i", -1) + bytes([0])
_PLAIN_SERIALIZATION = b"\x00"
_WITH_SERIALIZATION_BYTE = 54454


class BlockFraming:
    """Gives blocks the shape of a protocol revision.

    Args:
        revision: what the client reads, not 0.
        one_block_each: every piece is known to be one block, so that before revision 54454 nothing has to be walked.
    """

    def __init__(self, revision: int, *, one_block_each: bool) -> None:
        self._with_byte = revision >= _WITH_SERIALIZATION_BYTE
        self._walks = self._with_byte or not one_block_each

    def feed(self, data: bytes) -> bytes:
        """Reshape whole blocks.

        Raises:
            DatabaseError: 48 if a column's type cannot be walked (AggregateFunction, for one), 33 if a block is cut.
        """
        if not data:
            return data
        if not self._walks:
            return _BLOCK_INFORMATION + data
        parts: list[bytes] = []
        position = 0
        try:
            while position < len(data):
                parts.append(_BLOCK_INFORMATION)
                position = self._block(data, position, parts)
        except (IndexError, struct.error):
            raise error(33, "CANNOT_READ_ALL_DATA", "A block of the answer is cut") from None
        return b"".join(parts)

    def _block(self, data: bytes, position: int, parts: list[bytes]) -> int:
        start = position
        columns, position = read_varint(data, position)
        rows, position = read_varint(data, position)
        for _ in range(columns):
            size, position = read_varint(data, position)
            position += size
            size, position = read_varint(data, position)
            position += size
            column = column_of(data[position - size : position].decode())
            if self._with_byte:
                parts += [data[start:position], _PLAIN_SERIALIZATION]
                start = position
            if rows:
                position = column.rows(data, column.prefix(data, position), rows)
        if position > len(data):
            raise IndexError
        parts.append(data[start:position])
        return position
