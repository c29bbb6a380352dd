"""Spans wait until something has happened that processors need; rows of other tables do not."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np

from collector.pipeline.awaiting import Awaiting
from exporters.base import Delivery, DerivedRows
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers


class Kept:
    """A destination that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, list[int]]] = []
        self.rows: list[str] = []

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.given.append((name, numbers(batch)))
        return Delivery(Counter({"default": len(batch)}))

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        self.rows.append(name)


async def test_batches_wait_for_the_event_and_go_on_under_their_names() -> None:
    event, kept = asyncio.Event(), Kept()
    awaiting = Awaiting(event, kept)
    tasks = [asyncio.create_task(awaiting.deliver(numbered(first, 2), f"piece-{first}")) for first in (0, 2)]
    await awaiting.deliver_rows(DerivedRows("otel_red_minute", (), np.zeros(1, np.int64)), "rows")
    assert (kept.given, kept.rows) == ([], ["rows"])
    event.set()
    assert [(await task).stored.total() for task in tasks] == [2, 2]
    assert kept.given == [("piece-0", [0, 1]), ("piece-2", [2, 3])]
    assert (await awaiting.deliver(numbered(4), "piece-4")).stored.total() == 1
