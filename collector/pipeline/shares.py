"""What became of a batch, divided among the pieces that its spans came from, so that the account of each piece adds up by itself.

Nobody knows which of a service's spans were dropped and which were stored, so pieces that came first have what was stored first.
What all pieces have together is exactly what became of the batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from exporters.base import Delivery
from exporters.tally import workspace_of

PieceT = TypeVar("PieceT", bound=Hashable)


class _Cell(NamedTuple):
    """Where spans are counted: those of an owner that were dropped for a reason, or stored where there is none."""

    reason: str | None
    owner: str


def apportion(pieces: Mapping[PieceT, Mapping[str, int]], delivery: Delivery) -> dict[PieceT, Delivery]:
    """Each piece's share of a delivery.

    Args:
        pieces: piece → owner → its spans in the batch, by the names that they came under.
        delivery: what became of all these spans.
    """
    left = {_Cell(None, owner): spans for owner, spans in delivery.stored.items()}
    for reason, dropped in delivery.dropped.items():
        left |= {_Cell(reason, owner): spans for owner, spans in dropped.items()}
    missing = {piece: Counter(owners) for piece, owners in pieces.items()}
    shares = {piece: Delivery() for piece in pieces}
    # First what still has its owner's name, then what was given the name of another in the same workspace.
    for alike in (str, workspace_of):
        cells = _grouped(left, alike)
        for piece, owners in missing.items():
            for owner in +owners:
                for cell in cells[alike(owner)]:
                    spans = min(owners[owner], left[cell])
                    if spans:
                        owners[owner] -= spans
                        left[cell] -= spans
                        _count(shares[piece], cell, owner, spans)
    return shares


def _grouped(cells: Iterable[_Cell], alike: Callable[[str], str]) -> Mapping[str, list[_Cell]]:
    grouped: defaultdict[str, list[_Cell]] = defaultdict(list)
    for cell in cells:
        grouped[alike(cell.owner)].append(cell)
    return grouped


def _count(share: Delivery, cell: _Cell, owner: str, spans: int) -> None:
    """Count spans of a cell that came under the name of an owner, which may be another now."""
    if cell.reason is None:
        share.store({cell.owner: spans})
    else:
        share.drop(cell.reason, {cell.owner: spans})
    if cell.owner != owner:
        share.rename({owner: spans}, {cell.owner: spans})
