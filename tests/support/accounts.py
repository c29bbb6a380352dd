"""What a sender says became of spans."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Account:
    """Spans that were stored; by reason, spans that were dropped or set aside, and attempts that were repeated.

    And by table, derived rows that were stored, and that were dropped, with the reason.

    Attributes:
        over_wire: whether what is stored takes bytes on a wire; the debug exporter has none.
    """

    stored_spans: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    aside: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    row_drops: Counter[tuple[str, str]] = field(default_factory=Counter)
    over_wire: bool = True

    def stored(self, spans: int, size: int, seconds: float) -> None:
        assert spans > 0
        assert (size > 0) == self.over_wire
        assert seconds >= 0
        self.stored_spans += spans

    def dropped(self, spans: int, reason: str) -> None:
        self.drops[reason] += spans

    def set_aside(self, spans: int, reason: str) -> None:
        self.aside[reason] += spans

    def retried(self, reason: str) -> None:
        self.retries[reason] += 1

    def rows_stored(self, table: str, rows: int) -> None:
        self.rows[table] += rows

    def rows_dropped(self, table: str, rows: int, reason: str) -> None:
        self.row_drops[table, reason] += rows
