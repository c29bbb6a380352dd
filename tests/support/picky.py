"""A destination that refuses some spans for what they hold, and what becomes of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporters.base import ExportError, Outlook, Shipment
from exporters.dead_letters import DeadLetters
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from tests.support.batches import numbers


class Killed(BaseException):
    """The process ends here."""


@dataclass
class PickyStore:
    """A destination that refuses whatever holds one of the `bad` numbers, and stores what it takes once for a name.

    With `dies_at`, the process is killed at so many sends, after the store has done its part.
    """

    bad: frozenset[int]
    dies_at: int = -1
    sends: int = 0
    stored: dict[str, list[int]] = field(default_factory=dict)

    @property
    def numbers(self) -> list[int]:
        return sorted(number for of_name in self.stored.values() for number in of_name)

    async def open(self) -> None:
        """It always is."""

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Shipment]:
        return [Parcel(self, batch, f"{name}-0")]


@dataclass
class Parcel:
    store: PickyStore
    batch: SpanBatch
    name: str
    nbytes: int = 100

    @property
    def spans(self) -> int:
        return len(self.batch)

    @property
    def owners(self) -> dict[str, int]:
        return {"default/numbers": len(self.batch)}

    async def send(self, timeout_s: float) -> None:
        found = numbers(self.batch)
        refused = self.store.bad.intersection(found)
        if not refused:
            self.store.stored.setdefault(self.name, found)
        self.store.sends += 1
        if self.store.sends == self.store.dies_at:
            raise Killed
        if refused:
            raise ExportError(f"no {min(refused)}", "type_mismatch", Outlook.NEVER, of_content=True)


def set_aside_in(directory: Path) -> list[int]:
    letters = DeadLetters(directory, "picky", 1 << 30)
    return sorted(number for entry in letters.entries() for number in numbers(decode(letters.request(entry)).batch))


def divided_in(directory: Path) -> list[Path]:
    """What is remembered of divisions in a journal's directory, or in that of divisions themselves."""
    return [path for path in directory.rglob("*") if path.is_file() and path.parent.suffix == ".divided"]
