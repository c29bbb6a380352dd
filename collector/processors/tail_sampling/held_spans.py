"""The spans that are held, by the pieces in which they came.

Of each span the slot of its trace is known. To find the spans of some traces, all slots are looked at, which takes a few
nanoseconds each and no memory; so it is worth doing for many traces at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proto.compact import compact
from proto.spans import SPAN, SpanBatch
from proto.trace_table import Slots

_GONE: Final = -1
_SPARSE: Final = 0.5
"""Where fewer of a piece's spans are still held than this share, they get bytes of their own."""
_TIGHT: Final = 0.9
"""The same where memory is short."""
_MOST_MOVED: Final = 131_072
"""So many spans get bytes of their own at a time, so that nobody waits for long."""


class Taken(NamedTuple):
    """Spans of a piece that are no longer held: their rows in the batch that was given last, and what `mark` says of each."""

    piece: int
    batch: SpanBatch
    rows: NDArray[np.intp]
    marks: NDArray[np.int32]


class Held(NamedTuple):
    """Spans of a piece that are still held, and when the piece came."""

    piece: int
    batch: SpanBatch
    came_ns: int


@dataclass(slots=True)
class _Piece:
    """A piece: when it came, of each of its spans the slot, or _GONE, and the number of those that are not gone."""

    number: int
    batch: SpanBatch
    came_ns: int
    slots: Slots
    held: int

    def rows(self) -> NDArray[np.intp]:
        """Where in the batch those spans are that are held."""
        return np.flatnonzero(self.slots != _GONE)


class HeldSpans:
    """Spans, and the slots of their traces.

    Attributes:
        spans: how many are held.
        nbytes: bytes of memory that they take, with what has to be kept because of them.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, _Piece] = {}
        self.spans = 0
        self.nbytes = 0

    def add(self, number: int, batch: SpanBatch, came_ns: int, slots: Slots) -> None:
        """Hold the spans of a piece."""
        spans = len(batch)
        if batch.data.nbytes > 2 * int(batch.spans["wire_length"].sum(dtype=np.int64)) + spans * SPAN.itemsize:
            # Without memory for that, more is held than is needed.
            with suppress(MemoryError):
                batch = compact(batch)
        self._pieces[number] = _Piece(number, batch, came_ns, slots, spans)
        self.spans += spans
        self.nbytes += batch.nbytes + slots.nbytes

    def take(self, marks: NDArray[np.int32], through: int) -> tuple[list[Taken], list[int]]:
        """Give up the spans of marked slots. Returns them, and the numbers of pieces of which none is left.

        Args:
            marks: of slots, shape (slots + 1,); 0 is no mark, and the last one is 0.
            through: no piece with a greater number is looked at.
        """
        taken, finished = [], []
        for piece in self._pieces.values():
            if piece.number > through:
                continue
            of_rows = marks[piece.slots]
            rows = np.flatnonzero(of_rows)
            if not len(rows):
                continue
            taken.append(Taken(piece.number, piece.batch, rows, of_rows[rows]))
            piece.slots[rows] = _GONE
            piece.held -= len(rows)
            self.spans -= len(rows)
            if not piece.held:
                finished.append(piece.number)
        for number in finished:
            piece = self._pieces.pop(number)
            self.nbytes -= piece.batch.nbytes + piece.slots.nbytes
        self._make_compact(_SPARSE)
        return taken, finished

    def held(self) -> list[Held]:
        """All that is held, by pieces in the order in which they came."""
        return [Held(piece.number, piece.batch.select(piece.rows()), piece.came_ns) for piece in self._pieces.values()]

    def squeeze(self) -> None:
        """Take as little memory as can be done without much work."""
        self._make_compact(_TIGHT)

    def _make_compact(self, share: float) -> None:
        moved = 0
        for piece in self._pieces.values():
            if piece.held > share * len(piece.slots) or moved >= _MOST_MOVED:
                continue
            before = piece.batch.nbytes + piece.slots.nbytes
            rows = piece.rows()
            try:
                piece.batch, piece.slots = compact(piece.batch.select(rows)), piece.slots[rows]
            except MemoryError:
                # It would have saved some, and will another time.
                return
            self.nbytes += piece.batch.nbytes + piece.slots.nbytes - before
            moved += len(rows)
