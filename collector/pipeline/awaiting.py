"""A destination that lets nothing on until something has happened."""

from __future__ import annotations

import asyncio

from exporters.base import Delivery, DerivedRows, Destination
from proto.spans import SpanBatch


class Awaiting:
    """In front of processors that have to know something first; until then spans wait in the queue.

    Args:
        event: what has to happen.
        destination: where batches go then.
    """

    def __init__(self, event: asyncio.Event, destination: Destination) -> None:
        self._event = event
        self._destination = destination

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        """Hand a batch on, as soon as that may be."""
        await self._event.wait()
        return await self._destination.deliver(batch, name)

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        """Hand rows on, which processors have nothing to do with."""
        await self._destination.deliver_rows(rows, name)
