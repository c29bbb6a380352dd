"""What an exporter is, how it says that something went wrong, and where it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from exporters.tally import spans_by_owner
from proto.native_columns import NativeColumn
from proto.spans import SpanBatch


class Outlook(Enum):
    """Whether it makes sense to try the same thing again."""

    LATER = "later"
    """The other side is in passing trouble (away, overloaded): try until it has recovered."""
    UNSURE = "unsure"
    """It may pass, or somebody may put it right (a password, a missing table): try for a while."""
    NEVER = "never"
    """The data or the request itself is at fault: it would fail again."""
    ELSEWHERE = "elsewhere"
    """Not to this destination any more: whoever chose it is to choose another."""


DEAD_LETTER: Final = "dead_letter"
"""Stands among the reasons for what was not stored, but set aside."""


class ExportError(Exception):
    """Spans could not be handed over this time.

    Attributes:
        reason: one of few words, for metrics: `too_many_parts`, `unreachable`, ...
        outlook: whether to try again.
        of_content: whether some of the spans are at fault, and others might be taken without them.
        of_workspace: whether the spans of some workspaces are at fault, and those of the others would be taken without them.
        delay_s: how many seconds the other side asks to be left alone; 0 when it does not ask.
    """

    def __init__(
        self,
        message: str,
        reason: str,
        outlook: Outlook,
        *,
        of_content: bool = False,
        of_workspace: bool = False,
        delay_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.outlook = outlook
        self.of_content = of_content
        self.of_workspace = of_workspace
        self.delay_s = delay_s


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """The other side has taken a shipment but for some spans, of which it does not say which.

    Attributes:
        refused: how many; they are lost, for the rest must not be sent again.
        message: why, in its words.
    """

    refused: int
    message: str


@dataclass(slots=True)
class Delivery:
    """What became of spans, by their owners (`exporters/tally.py`).

    Attributes:
        stored: owner → spans that the destination has.
        dropped: reason → owner → spans that were given up.
        renamed: owner → spans that came under another owner's name and went on under this one's, less those for which it was the
            other way round. Together that is none.
        later: spans of which nothing can be said yet, as somebody holds them back; each gives what became of its spans.
        returned: spans that are neither stored nor dropped, but to go elsewhere (`Outlook.ELSEWHERE`), with their names.
        afterwards: what may be forgotten once the spans will not come again, and not before.
    """

    stored: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    renamed: Counter[str] = field(default_factory=Counter)
    later: list[Awaitable[Delivery]] = field(default_factory=list)
    returned: list[tuple[SpanBatch, str]] = field(default_factory=list)
    afterwards: list[Callable[[], None]] = field(default_factory=list, compare=False)

    def store(self, owners: Mapping[str, int]) -> None:
        """Spans were stored."""
        self.stored.update(owners)

    def drop(self, reason: str, owners: Mapping[str, int]) -> None:
        """Spans were given up, for one reason."""
        self.dropped.setdefault(reason, Counter()).update(owners)

    def rename(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """The same spans had these owners before, and have those after."""
        self.renamed.update(after)
        self.renamed.subtract(before)

    def add(self, other: Delivery) -> None:
        """Count what another delivery counts as well."""
        self.store(other.stored)
        for reason, owners in other.dropped.items():
            self.drop(reason, owners)
        self.renamed.update(other.renamed)
        self.later += other.later
        self.returned += other.returned
        self.afterwards += other.afterwards

    async def complete(self) -> None:
        """Wait until nothing is to come later any more, and count it."""
        while self.later:
            self.add(await self.later.pop())

    def forget(self) -> None:
        """It is written down for good what became of the spans: do what had to wait for that."""
        while self.afterwards:
            self.afterwards.pop()()

    def came(self) -> Counter[str]:
        """Owner → spans that came as its own and are stored or dropped."""
        owners = self.stored.copy()
        for dropped in self.dropped.values():
            owners.update(dropped)
        owners.subtract(self.renamed)
        return owners


@dataclass(frozen=True, slots=True)
class DerivedRows:
    """Rows of another table than that of the spans, made of the spans of one batch.

    They are stored exactly once, as spans are, but are no spans: no account has them.

    Attributes:
        table: which of the tables in `exporters/clickhouse/schema/` they are for, by the name of its file.
        columns: of the table, those that have no default at least.
        times: of the rows, by which the table is partitioned into days: seconds since 1970, int64, shape (rows,); one at least.
    """

    table: str
    columns: Sequence[NativeColumn]
    times: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    def select(self, rows: NDArray[np.intp]) -> DerivedRows:
        """Only these rows, in this order."""
        return DerivedRows(self.table, [column.select(rows) for column in self.columns], self.times[rows])


class Destination(Protocol):
    """Where batches end."""

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """Store every span of `batch`, or drop it by a rule that counts it. Never raises for what goes wrong out there.

        Who holds spans back, be it to see what comes after them, does not keep the caller waiting meanwhile: what becomes of them
        is then said `later`.

        Args:
            name: of the batch. The same spans under the same name are stored once, however often they are given.
        """

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Store these rows where there is a table for them, or drop and count them. Never raises for what goes wrong out there.

        Args:
            name: of what they were made of, and of what made them. The same rows of a table under the same name are stored once.
        """


class Shipment(Protocol):
    """Spans in the form in which they leave; every `send` sends the same bytes under the same name."""

    @property
    def name(self) -> str:
        """Names it; no other shipment has this name."""

    @property
    def batch(self) -> SpanBatch:
        """The spans in it."""

    @property
    def spans(self) -> int:
        """Number of spans in it."""

    @property
    def owners(self) -> Mapping[str, int]:
        """Owner → spans of it."""

    @property
    def nbytes(self) -> int:
        """Bytes that go over the wire."""

    async def send(self, timeout_s: float) -> PartialSuccess | None:
        """Hand the spans over; returning means that the other side has stored them, all of them unless it says otherwise.

        Raises:
            ExportError: they may or may not have been stored; sending again stores them once, where the destination can tell.
        """


@dataclass(frozen=True, slots=True)
class WholeBatch:
    """What a shipment says of itself that holds all spans of a batch."""

    batch: SpanBatch
    name: str

    @property
    def spans(self) -> int:
        return len(self.batch)

    @property
    def owners(self) -> Mapping[str, int]:
        return spans_by_owner(self.batch)


class RowShipment(Protocol):
    """Derived rows in the form in which they leave; every `send` sends the same bytes under the same name."""

    @property
    def rows(self) -> int:
        """Number of rows in it."""

    async def send(self, timeout_s: float) -> None:
        """As `Shipment.send`."""


class Exporter(Protocol):
    """Turns batches into shipments for one destination."""

    async def open(self) -> None:
        """Make the destination ready (tables, ...); does nothing once that has succeeded.

        Raises:
            ExportError: it is not ready.
        """

    async def prepare(self, batch: SpanBatch, name: str) -> Sequence[Shipment]:
        """The shipments that together hold every span of `batch` once.

        Args:
            name: of the batch; the names of its shipments follow from it, so that a batch which is prepared again is stored once.

        Raises:
            ExportError: they could not be made; none was sent.
        """


@runtime_checkable
class TableExporter(Exporter, Protocol):
    """An exporter whose destination has tables for derived rows."""

    async def prepare_rows(self, rows: DerivedRows, name: str) -> Sequence[RowShipment]:
        """The shipments that together hold every row once.

        Args:
            name: as for `Destination.deliver_rows`.

        Raises:
            ExportError: they could not be made; none was sent.
        """


class ExporterTelemetry(Protocol):
    """Where one exporter counts."""

    def stored(self, spans: int, size: int, seconds: float) -> None:
        """A shipment of so many spans and bytes on the wire was stored; the attempt that succeeded took so long."""

    def dropped(self, spans: int, reason: str) -> None:
        """Spans were given up, for a reason as in `ExportError.reason`."""

    def set_aside(self, spans: int, reason: str) -> None:
        """Spans were given up, for a reason as in `ExportError.reason`, and kept as dead letters."""

    def retried(self, reason: str) -> None:
        """An attempt failed and will be made again."""

    def rows_stored(self, table: str, rows: int) -> None:
        """Derived rows were stored; `table` is from a small fixed set."""

    def rows_dropped(self, table: str, rows: int, reason: str) -> None:
        """Derived rows were given up, for a reason as in `ExportError.reason`."""
