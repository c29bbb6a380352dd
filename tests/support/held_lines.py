"""Lines, from a queue to a store, on which traces are held back until they are decided."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.journal.journal import Journal
from collector.journal.settings import JournalSettings
from collector.ledger import Account
from collector.pipeline.batcher import Batcher
from collector.pipeline.batching import BatchLimits
from collector.pipeline.connections import Surroundings
from collector.pipeline.course import Course
from collector.pipeline.way import Way
from collector.processors.base import Processor
from collector.processors.tail_sampling.recent import Explanation
from collector.queues.memory import MemoryQueue, QueueLimits
from collector.telemetry import Telemetry
from config.tail_sampling import TailSamplingProcessor
from exporters.base import Delivery, DerivedRows
from proto.spans import SpanBatch
from tests.support.batches import numbered, numbers
from tests.support.clocks import RunningClock
from tests.support.journals import SMALL, Deposit
from tests.support.waiting import until

EXPORTER = "clickhouse"
WAIT_S = 10.0
OWNER = "default/numbers"


def trace_of(number: int) -> int:
    """Traces of ten spans, which come mixed with those of the next two."""
    return (1 + number // 30 * 3 + number % 3) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128


def is_kept(trace: int) -> bool:
    """The policy `probabilistic` at 50 per cent: by a hash (FNV-1a) of the salt and the trace id."""
    digest = 0xCBF29CE484222325
    for byte in b"default-hash-seed" + trace.to_bytes(16, "big"):
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest <= 2**63


HALF = {"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}
ALL = {"name": "all", "type": "always_sample"}


class Killed(Deposit):
    """A way to a store that can be cut: then nothing that comes gets there, nor does any answer.

    Args:
        store: what is stored, by whichever way it came.
        slowness_s: how long each way there and back may take.
    """

    def __init__(self, store: Deposit, slowness_s: float = 0.0, seed: int = 0) -> None:
        super().__init__(store.stored)
        self.cut = asyncio.Event()
        self.offered: dict[str, list[int]] = {}
        """Name of each batch that came → numbers of its spans."""
        self._slowness_s = slowness_s
        self._chance = random.Random(seed)

    async def deliver(self, batch: SpanBatch, name: str) -> Delivery:
        self.offered[name] = numbers(batch)
        await self._go()
        delivery = await super().deliver(batch, name)
        await self._go()
        return delivery

    async def _go(self) -> None:
        if self._slowness_s:
            await asyncio.sleep(self._chance.uniform(0.0, self._slowness_s))
        if self.cut.is_set():
            await asyncio.Event().wait()

    async def deliver_rows(self, rows: DerivedRows, name: str) -> None:
        raise AssertionError(f"{name}: no rows are made of these spans")


@dataclass
class Line:
    """A journal or a queue in memory, with what holds spans back behind it.

    Attributes:
        clock: by which traces are decided.
    """

    queue: Any
    way: Way
    clock: RunningClock
    telemetry: Telemetry
    journal: Journal | None = None
    numbers: list[int] = field(default_factory=list)

    async def put(self, first: int, count: int, **shape: Any) -> None:
        self.numbers.extend(range(first, first + count))
        await (self.journal or self.queue).put(numbered(first, count, trace_of=trace_of, **shape))

    @property
    def batcher(self) -> Batcher:
        """What takes from the queue."""
        return self.way.batcher

    @property
    def account(self) -> Account:
        account: Account = self.queue.account
        return account

    @property
    def held_spans(self) -> int:
        """Spans that wait for a decision."""
        return self.way.holding.held_spans

    async def explain(self, key: bytes) -> Explanation:
        """What is known of a trace."""
        return await self.way.holding.explain(key)

    async def until_held(self, spans: int) -> None:
        await until(lambda: self.held_spans == spans)

    async def settle(self) -> None:
        """Let time pass until nothing waits, and see that the account is complete."""

        def nothing_waits() -> bool:
            self.clock.passed_s += WAIT_S / 4
            self.check()
            return not self.batcher.statistics().spans

        await until(nothing_waits)

    def check(self) -> None:
        """The account adds up."""
        assert self.account.waiting() == self.batcher.statistics().spans >= 0


def course(
    sampling: Mapping[str, Any] | None = None,
    *,
    samples: bool = True,
    limits: BatchLimits = SMALL,
    front: Mapping[str, Processor] | None = None,
    behind: Mapping[str, Processor] | None = None,
) -> Course:
    """What happens to spans on a line.

    Args:
        sampling: settings of the sampler.
        samples: whether there is a sampler.
        front, behind: processors on both sides of it, by their ids.
    """
    settings = {"policies": [HALF], "decision_wait": f"{WAIT_S}s", **(sampling or {})}
    middle = {"tail_sampling": TailSamplingProcessor.model_validate(settings)} if samples else {}
    return Course({**(front or {}), **middle, **(behind or {})}, limits)


@asynccontextmanager
async def line(
    destination: Deposit,
    directory: Path | None = None,
    *,
    exporter: str = EXPORTER,
    samples: bool = True,
    limits: BatchLimits = SMALL,
    drain_s: float = 10.0,
    sampling: Mapping[str, Any] | None = None,
    **journal_settings: Any,
) -> AsyncIterator[Line]:
    """A line at work; it is drained in the end.

    Args:
        directory: of the journal; in memory without.
        exporter: its id.
        samples: whether there is a sampler; otherwise only what one has left is gone through.
        sampling: settings of the sampler.
    """
    telemetry, clock = Telemetry("test"), RunningClock()
    async with AsyncExitStack() as rooms:
        executor = rooms.enter_context(ThreadPoolExecutor(2))
        journal, queue = None, MemoryQueue(QueueLimits(1 << 30))
        if directory is not None:
            kept = JournalSettings(directory, **journal_settings)
            journal = await rooms.enter_async_context(Journal(kept, [exporter], executor, telemetry, clock.clock))
            queue = journal.cursors[exporter]
        surroundings = Surroundings(executor, telemetry, clock.clock)
        first = course(sampling, samples=samples, limits=limits)
        way = Way(exporter, queue, destination, 2, measures=True, course=first, surroundings=surroundings)
        tasks = await rooms.enter_async_context(asyncio.TaskGroup())
        deciding = tasks.create_task(way.holding.run())
        batching = tasks.create_task(way.batcher.run())
        yield Line(queue, way, clock, telemetry, journal)
        await way.batcher.drain(drain_s)
        await batching
        deciding.cancel()


def kept(numbers: list[int]) -> list[int]:
    """Those of these spans whose traces are kept."""
    return sorted(number for number in numbers if is_kept(trace_of(number)))


def assert_settled(account: Account, numbers: list[int]) -> None:
    """What became of these spans is what should have."""
    stored = len(kept(numbers))
    assert account.settled.stored == {OWNER: stored}
    assert account.settled.dropped == {"tail_sampling": {OWNER: len(numbers) - stored}}
