"""Memory in which requests are put one behind the other, so that a batch of them is there without having been joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proto.spans import DTYPES, SPANS, SpanBatch, Table

_FIRST_ROOM: Final = (16, 32, 256, 256, 64, 4096, 1 << 17)
"""Rows of each table, in the order of DTYPES, and bytes of data: enough for a small request, or for a few that are tiny."""
_MOST_BYTES: Final = 24 << 20
"""How large arenas become because of many requests; one request alone may need more."""
_SIZES: Final = (*(dtype.itemsize for dtype in DTYPES.values()), 1)


class Arena:
    """Tables, and bytes that they point into, which are filled from front to back.

    What is filled stays as it is, so that batches may refer to it while more is added behind it.

    Attributes:
        tables: with room behind the rows that are filled.
        used: how many rows of each table are filled, in the order of DTYPES, and then how many bytes of data.
        is_open: whether more is to be added.
    """

    __slots__ = ("_content", "_data", "is_open", "tables", "used")

    def __init__(self, room: Sequence[int] = _FIRST_ROOM) -> None:
        self.tables: dict[str, Table] = {
            name: np.empty(rows, dtype) for (name, dtype), rows in zip(DTYPES.items(), room, strict=False)
        }
        self._data = np.empty(room[-1], np.uint8)
        self._content = self._data[:]
        self._content.flags.writeable = False
        self.used: tuple[int, ...] = (0,) * len(room)
        self.is_open = True

    def put(self, request: bytes) -> NDArray[np.uint8] | None:
        """Put a request's bytes behind what is used of the data, from where only `add` keeps another one from taking its place.

        Returns all bytes up to its end, read-only; None when there is no room.
        """
        start = self.used[-1]
        end = start + len(request)
        if end > len(self._data):
            return None
        self._data[start:end] = np.frombuffer(request, np.uint8)
        return self._content[:end]

    def add(self, used: Sequence[int]) -> dict[str, Table]:
        """Keep what was put and written behind what was used, which now is so much.

        Returns each table up to the end of the rows that are new; of the spans these alone.
        """
        tables = {name: table[:rows] for (name, table), rows in zip(self.tables.items(), used, strict=False)}
        tables["spans"] = tables["spans"][self.used[SPANS] :]
        self.used = tuple(used)
        return tables

    def successor(self, full: int | None = None, size: int = 0) -> Arena:
        """An empty arena with somewhat more room than this one needed, or with half as much again where a request had no room.

        Its room is that of this one wherever that would do, as freed memory is used again best by what is as large. One that was
        far too large is followed by one that is smaller by a quarter: after a batch that is taken early come others.

        Args:
            full: the table, by number, or the data, behind all tables, that had no room for a request; None when all fit.
            size: bytes of that request.
        """
        room = [*map(len, self.tables.values()), len(self._data)]
        if full is not None and not any(self.used):
            room[full] *= 2
            return Arena([*room[:-1], max(room[-1], size)])
        if full is None:
            kept = [3 * rows // 4 if 3 * used < 2 * rows else rows for used, rows in zip(self.used, room, strict=True)]
        else:
            # What is more than half full would be the next to be full.
            kept = [3 * rows // 2 if 2 * used > rows else rows for used, rows in zip(self.used, room, strict=True)]
        wanted = [max(first, 5 * used // 4, rows) for first, used, rows in zip(_FIRST_ROOM, self.used, kept, strict=True)]
        return Arena(wanted if _nbytes(wanted) <= _MOST_BYTES else list(map(min, wanted, room)))


def close_arena(batch: SpanBatch) -> None:
    """Have no more added to the arena that a batch lies in: then those that come next lie together in another one."""
    if batch.origin is not None and batch.origin.arena is not None:
        batch.origin.arena.is_open = False


def nbytes_before(amounts: Sequence[int]) -> int:
    """Bytes of memory that so much takes, without the spans."""
    return _nbytes(amounts) - amounts[SPANS] * _SIZES[SPANS]


def _nbytes(amounts: Sequence[int]) -> int:
    return sum(amount * size for amount, size in zip(amounts, _SIZES, strict=True))
