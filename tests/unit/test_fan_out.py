"""A batch that goes to several exporters at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from collector.pipeline.build import FanOut
from exporters.base import Delivery, DerivedRows
from proto.spans import SpanBatch
from tests.support.batches import numbered


@dataclass
class Half:
    """Stores so many spans of a batch, and remembers its name until that may be forgotten."""

    stores: int
    remembered: list[str] = field(default_factory=list)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.remembered.append(name)
        return Delivery(Counter(all=self.stores), afterwards=[self.remembered.clear])

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        raise AssertionError(f"{name}: no rows are made of these spans")


async def test_a_batch_is_as_well_delivered_as_by_the_worst_and_all_are_told_when_it_cannot_come_again() -> None:
    all_of_it, some_of_it = Half(10), Half(7)
    delivery = await FanOut([all_of_it, some_of_it]).deliver(numbered(0, 10), "batch")
    assert delivery.stored.total() == 7
    assert (all_of_it.remembered, some_of_it.remembered) == (["batch-0"], ["batch-1"])
    delivery.forget()
    assert (all_of_it.remembered, some_of_it.remembered) == ([], [])
