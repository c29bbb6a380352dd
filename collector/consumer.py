"""The contract that joins receivers, queue, processors and exporters."""

from __future__ import annotations

from typing import Protocol

from proto.spans import SpanBatch


class Consumer(Protocol):
    """Anything that spans can be given to."""

    def check_open(self) -> None:
        """Find out, before a request is even read, whether there is any use in that.

        Raises:
            collector.errors.Retryable: nothing would be taken now.
        """

    def refused(self, owner: str, reason: str, spans: int) -> None:
        """Take note of spans that were refused before they were given to anybody: as invalid, or as too many of their workspace.

        Args:
            owner: whose they were, as in `exporters/tally.py`.
            reason: what is wrong with them, or the kind of the `Refused` that told their sender.
        """

    async def consume(self, batch: SpanBatch) -> None:
        """Take responsibility for every span of `batch`.

        Returning means that the spans are stored, safely queued, or dropped by a rule that counted them; only then may a
        receiver acknowledge. The batch is immutable, so giver and taker may both keep it.

        Raises:
            collector.errors.Permanent: the same batch would fail again; nothing of it was taken.
            collector.errors.Unconfirmed: all of it was taken, and may be lost; it is to be given again.
            collector.errors.Retryable: else nothing of it was taken, and it may be given again later.
            collector.errors.Refused: nothing of it was taken, for it can never fit.
        """
