"""Journals in a directory, and what becomes of their spans."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.clock import SYSTEM, Clock
from collector.journal.journal import Journal
from collector.journal.settings import JournalSettings
from collector.pipeline.batcher import Batcher
from collector.pipeline.batching import BatchLimits
from collector.telemetry import Telemetry
from exporters.base import Delivery
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch
from tests.support.batches import numbers

SMALL = BatchLimits(min_spans=1, max_spans=0, max_bytes=1 << 20, timeout_s=0.0)
NEVER_DUE = BatchLimits(min_spans=1 << 30, max_spans=0, max_bytes=1 << 30, timeout_s=3600.0)


@dataclass
class Deposit:
    """A destination that stores what it is given once under each name, as ClickHouse does.

    Attributes:
        stored: name → numbers of the spans that were stored under it.
        given: every name that came, in order.
        before: is called with the batch first, and may wait.
    """

    stored: dict[str, list[int]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    before: Callable[[SpanBatch], Any] | None = None
    owners: Counter[str] = field(default_factory=Counter)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.given.append(name)
        if self.before is not None:
            waiting = self.before(batch)
            if waiting is not None:
                await waiting
        if name not in self.stored:
            self.stored[name] = numbers(batch)
            self.owners.update(spans_by_owner(batch))
        return Delivery(Counter(spans_by_owner(batch)))

    @property
    def numbers(self) -> list[int]:
        """Numbers of all stored spans, sorted; one that is there twice was stored twice."""
        return sorted(number for numbers in self.stored.values() for number in numbers)


@dataclass
class Line:
    """A journal, and a batcher for each of its exporters."""

    journal: Journal
    batchers: dict[str, Batcher]
    telemetry: Telemetry

    def waiting(self) -> int:
        """Spans that some exporter has not stored."""
        return max(cursor.statistics().spans for cursor in self.journal.cursors.values())


@asynccontextmanager
async def journal_in(
    directory: Path, exporters: Sequence[str] = ("clickhouse",), clock: Clock = SYSTEM, **settings: Any
) -> AsyncIterator[Journal]:
    """A journal without anybody who takes from it."""
    with ThreadPoolExecutor(2) as executor:
        async with Journal(JournalSettings(directory, **settings), exporters, executor, Telemetry("test"), clock) as journal:
            yield journal


@asynccontextmanager
async def line_in(
    directory: Path,
    destinations: dict[str, Deposit],
    limits: BatchLimits = SMALL,
    *,
    in_flight: int = 2,
    drain_s: float = 10.0,
    clock: Clock = SYSTEM,
    **settings: Any,
) -> AsyncIterator[Line]:
    """A journal at work; it is drained in the end."""
    telemetry = Telemetry("test")
    with ThreadPoolExecutor(2) as executor:
        async with (
            Journal(JournalSettings(directory, **settings), list(destinations), executor, telemetry, clock) as journal,
            asyncio.TaskGroup() as tasks,
        ):
            batchers = {
                name: Batcher(journal.cursors[name], limits, destination, in_flight, executor)
                for name, destination in destinations.items()
            }
            for batcher in batchers.values():
                tasks.create_task(batcher.run())
            yield Line(journal, batchers, telemetry)
            journal.close()
            await asyncio.gather(*(batcher.drain(drain_s) for batcher in batchers.values()))


def crash_image(directory: Path, copy: Path) -> Path:
    """What a process that is killed now would leave."""
    shutil.copytree(directory, copy)
    return copy
