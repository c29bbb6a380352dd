"""Pieces that are held back, until it is known what became of all their spans."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from exporters.base import Delivery, Destination


@dataclass(slots=True, eq=False)
class Piece:
    """A piece that is held.

    Attributes:
        name: of the piece.
        spans: number of its spans of which nothing is known yet.
        behind: where those go that are kept.
        settled: is told what became of all of them.
        delivery: what became of the others.
    """

    name: str
    spans: int
    behind: Destination
    settled: asyncio.Future[Delivery]
    delivery: Delivery = field(default_factory=Delivery)


class HeldPieces:
    """Pieces by their numbers, until all of their spans are settled."""

    def __init__(self) -> None:
        self._pieces: dict[int, Piece] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> Piece:
        return self._pieces[number]

    def add(self, number: int, piece: Piece) -> None:
        self._pieces[number] = piece

    def settle(self, number: int, delivery: Delivery) -> None:
        """Count what became of some spans of a piece."""
        piece = self._pieces[number]
        piece.delivery.add(delivery)
        piece.spans -= delivery.came().total()
        if not piece.spans:
            del self._pieces[number]
            if not piece.settled.done():
                piece.settled.set_result(piece.delivery)

    def leave(self) -> None:
        """Tell whoever waits that nothing more will be settled."""
        for piece in self._pieces.values():
            piece.settled.cancel()
