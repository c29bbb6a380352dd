"""What is written down of spans that are held back until something is decided about them.

A piece is what a batcher hands on. Pieces that are held get numbers, in the order in which they came. What is decided at one
time is an emission: all spans of certain traces in the pieces so far, unless an earlier emission had them. An emission is to
decisions what a cut is to batches: it is written down before any of its spans are sent. So, whatever ends the process, the same
spans are sent again under the same names.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporters.base import Delivery


@dataclass(frozen=True, slots=True)
class Emission:
    """What was decided at one time.

    Attributes:
        name: of the emission; none is used twice. Its batches are called `NAME-0`, `NAME-1`, ...
        first: number of the first of `pieces`.
        pieces: names of the pieces that came since the emission before; their numbers are consecutive.
        stops: numbers of pieces; what is kept of pieces up to and with the first of them is the first batch, and so on.
        kept, dropped: number of traces that were decided for the first time.
        late: number of traces that had been decided before, of which spans came later.
        decisions: what was decided about them, as whoever decides understands it.
        time_ns: when, in nanoseconds since 1970.
    """

    name: str
    first: int
    pieces: Sequence[str]
    stops: Sequence[int]
    kept: int
    dropped: int
    late: int
    decisions: bytes
    time_ns: int

    @property
    def through(self) -> int:
        """Number of the last piece that had come."""
        return self.first + len(self.pieces) - 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """An emission of a former process.

    Attributes:
        emission: what was decided.
        shares: name of a piece → what became of the spans of the emission in it; of pieces that are not named, all that was kept
            is stored. None where that is not known, so that they must be sent again.
    """

    emission: Emission
    shares: Mapping[str, Delivery] | None


class HeldLog(Protocol):
    """Where emissions are written down. Belongs to one event loop."""

    @property
    def next_piece(self) -> int:
        """Number of the next piece; greater than that of any piece in a recorded emission."""

    @property
    def unfinished(self) -> bool:
        """Whether pieces are still to come that a former process held back."""

    def is_held(self, piece: str) -> bool:
        """Whether a piece was cut to be held back. Others may have been sent as they are, and must be sent as they are."""

    def recorded(self) -> Iterable[Recorded]:
        """What former processes wrote down and what is still of use, the oldest first; to be asked for once."""

    async def record(self, emission: Emission) -> None:
        """Write an emission down; nothing of it may be sent before that is done, however long it takes."""

    def done(self, name: str, shares: Mapping[str, Delivery]) -> None:
        """All that an emission kept is stored or dropped; `shares` as in `Recorded`."""


class NothingLasts:
    """Where the queue is lost with the process, and decisions with it."""

    next_piece = 1
    unfinished = False

    def is_held(self, piece: str) -> bool:
        return True

    def recorded(self) -> Iterable[Recorded]:
        return ()

    async def record(self, emission: Emission) -> None:
        return None

    def done(self, name: str, shares: Mapping[str, Delivery]) -> None:
        return None


def new_name() -> str:
    """A name for an emission.

    Not counted: were a line of a log lost with the power, a number would come back for other spans, and the store would take
    them for those that it has.
    """
    return secrets.token_hex(12)
