"""What a queue between receivers and exporters is, whether it holds spans in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from collector.ledger import Account
from exporters.base import Delivery
from proto.arena import close_arena
from proto.spans import SpanBatch

CLOSED: Final = "the collector is shutting down"


class Waiting(NamedTuple):
    """What has not been taken yet: spans, bytes, and seconds since the oldest of it came (0 when there is nothing)."""

    spans: int
    nbytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The state of a queue.

    Attributes:
        spans, nbytes: what waits or is on its way; it has been acknowledged and is not stored yet.
        batches: number of batches put and not committed.
        capacity_bytes: the bound.
        peak_bytes: the most that `nbytes` has been.
        oldest_age_s: seconds since the oldest of it came; 0 when there is nothing.
        refused_spans: spans that were not let in because the queue was full, since the start.
    """

    spans: int
    nbytes: int
    batches: int
    capacity_bytes: int
    peak_bytes: int
    oldest_age_s: float
    refused_spans: int


class Loaded(NamedTuple):
    """What was taken, ready to be joined.

    `cuts` says which spans of the joined batch make which piece; None leaves that to the taker.
    """

    batches: list[SpanBatch]
    cuts: Sequence[slice] | None = None


@dataclass(slots=True, eq=False)
class Taken:
    """Batches that were handed out in the order in which they came, to be committed once they are stored.

    Attributes:
        batches: what was taken, until it is joined.
        count: number of batches.
        spans, nbytes: what they count for.
        since: when the first of them came, in seconds of the queue's clock.
    """

    batches: list[SpanBatch]
    count: int
    spans: int
    nbytes: int
    since: float

    def load(self) -> Loaded:
        """The batches, until they are joined; takes long where they must be decoded first, so it belongs in a thread.

        Raises:
            MemoryError: there is none for that; it may be called again.
        """
        return Loaded(self.batches)

    def joined(self) -> None:
        """Let go of the batches: they were made one of their own."""
        self.batches = []

    def set_apart(self) -> None:
        """Have what comes next decoded into an arena of its own, which the next to be taken begins with."""
        if self.batches:
            close_arena(self.batches[-1])


TakenT = TypeVar("TakenT", bound=Taken)


class Entrance(Protocol):
    """Where spans are put. Belongs to one event loop."""

    def check_open(self) -> None:
        """Find out, before a request is even read, whether there is any use in that.

        Raises:
            collector.errors.Retryable: nothing would be let in now.
        """

    async def put(self, batch: SpanBatch) -> None:
        """Take responsibility for the spans of a batch.

        Raises:
            collector.errors.Unconfirmed: they are in, but may not outlast what happens to the machine.
            collector.errors.Retryable: there is no room, or the entrance is closed.
            collector.errors.Refused: there never will be room for so large a batch (kind `too_large`).
        """

    def close(self) -> None:
        """Let nothing more in; what is in can still be taken."""


class Queue(Protocol[TakenT]):
    """Where one taker gets the spans that were put. Belongs to one event loop."""

    @property
    def account(self) -> Account:
        """What became of the spans that were put."""

    @property
    def closed(self) -> bool:
        """Whether nothing more comes than what waits now."""

    @property
    def unfinished(self) -> int:
        """How many batches a former process had cut and did not commit; the next so many that are taken are those."""

    def waiting(self) -> Waiting:
        """What could be taken now."""

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None = None) -> None:
        """Return when at least so many spans or bytes wait, when the queue is closed, or after `timeout_s` seconds."""

    def look_again(self) -> None:
        """End the wait, since what is enough has changed."""

    async def take(self, max_spans: float, max_bytes: float) -> TakenT | None:
        """The oldest batches that keep within both limits, at least one; None when nothing waits."""

    async def cut(self, taken: TakenT, cuts: Sequence[slice]) -> str:
        """Settle, before any of it is sent, which spans of what was taken make which piece.

        Returns:
            A name that no other cut has. Wherever the queue outlives the process, the same spans are cut in the same way under
            the same name for as long as they are not committed.
        """

    def commit(self, taken: TakenT, delivery: Delivery) -> None:
        """Forget what was taken: it is stored, or dropped by a rule that counted it."""

    async def lasts(self) -> bool:
        """See to it that what was committed will not come again, whatever happens to process or machine; whether that is so."""

    def statistics(self) -> QueueStatistics:
        """The state of the queue."""

    def close(self) -> None:
        """Nothing more comes; end the wait."""
