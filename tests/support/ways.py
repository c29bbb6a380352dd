"""The whole way from an acknowledgement to a real ClickHouse in one process, with every span accounted for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from collector import metrics
from collector.clock import SYSTEM, Clock
from collector.errors import Retryable
from collector.journaling import open_journal
from collector.pipeline.build import Pipeline, build
from collector.telemetry import Telemetry
from config.load import parse
from exporters.dead_letters import DeadLetters
from proto.otlp_decode import decode
from proto.warm import warm
from tests.support.batches import numbered, numbers
from tests.support.clickhouse import ClickHouse
from tests.support.clocks import RunningClock
from tests.support.waiting import until

EXPORTER = "clickhouse"


@dataclass
class Way:
    """A pipeline at work, and what was given to it.

    Attributes:
        taken: numbers of the spans that it acknowledged.
        refused: how many it told to come back later.
        accepted_before: spans that earlier processes acknowledged in the same journal.
    """

    pipeline: Pipeline
    telemetry: Telemetry
    dead_letters: Path
    taken: list[int] = field(default_factory=list)
    refused: int = 0
    accepted_before: int = 0

    async def send(self, first: int, count: int = 10, **shape: Any) -> bool:
        """Give numbered spans as one request; whether they were acknowledged."""
        try:
            await self.pipeline.entry.consume(numbered(first, count, **shape))
        except Retryable:
            self.refused += count
            return False
        finally:
            self.check()
        self.taken.extend(range(first, first + count))
        self.check()
        return True

    @property
    def waiting(self) -> int:
        """Spans that are acknowledged and not stored."""
        return self.pipeline.statistics().spans

    @property
    def settled(self) -> dict[str, int]:
        """What became of the spans: `stored`, or why not → number of spans."""
        settled = self.pipeline.ledger.accounts[EXPORTER].settled
        return {"stored": settled.stored.total()} | {why: spans.total() for why, spans in settled.dropped.items()}

    def check(self) -> None:
        """The ledger adds up."""
        account = self.pipeline.ledger.accounts[EXPORTER]
        assert account.waiting() == self.waiting >= 0
        assert account.accepted.total() == sum(self.settled.values()) + self.waiting

    async def settle(self, waiting: int = 0, deadline_s: float = 60.0) -> None:
        """Wait until no more than so many spans are left, and see that the account is complete."""

        def few_wait() -> bool:
            self.check()
            return self.waiting <= waiting

        await until(few_wait, deadline_s)
        account = self.pipeline.ledger.accounts[EXPORTER]
        assert account.accepted.total() == self.accepted_before + len(self.taken)
        assert sum(reasons.total() for reasons in self.pipeline.ledger.refused.values()) == self.refused

    def retries(self, reason: str) -> float:
        """Attempts that failed for a reason and were repeated."""
        return self.telemetry.value(metrics.RETRIED_BATCHES, EXPORTER, reason)

    async def until_retried(self, reason: str, times: int) -> None:
        """Wait until so many attempts have failed for a reason."""
        await until(lambda: self.retries(reason) >= times)

    async def until_stored(self, more: int = 1) -> None:
        """Wait until so many more spans are stored."""
        wanted = self.settled["stored"] + more
        await until(lambda: self.settled["stored"] >= wanted)

    def set_aside(self) -> dict[int, str]:
        """Number of each dead letter → why."""
        letters = DeadLetters(self.dead_letters, EXPORTER, 1 << 30)
        return {number: entry.reason for entry in letters.entries() for number in numbers(decode(letters.request(entry)).batch)}


@asynccontextmanager
async def way_to(
    url: str,
    directory: Path,
    database: str,
    *,
    exporter: Mapping[str, Any] | None = None,
    journal: Mapping[str, Any] | None = None,
    batch: Mapping[str, Any] | None = None,
    clock: Clock = SYSTEM,
    drain_s: float = 10.0,
) -> AsyncIterator[Way]:
    """A pipeline with a journal in `directory` that writes to `database` at `url`; it is drained in the end."""
    # Before anything is waited for: deadlines are meant for states, not for compilers.
    warm()
    document = {
        "receivers": {"otlp": {"protocols": {"grpc": {}}}},
        "processors": {"batch": {"send_batch_size": 20, "send_batch_max_size": 20, "timeout": "10ms", **(batch or {})}},
        "exporters": {
            EXPORTER: {
                "endpoint": url,
                "database": database,
                "retry_on_failure": {"initial_interval": "5ms", "max_interval": "50ms"},
                "dead_letters": {"directory": str(directory / "dead-letters")},
                **(exporter or {}),
            }
        },
        "extensions": {"journal": {"directory": str(directory / "journal"), "sync_interval": "20ms", **(journal or {})}},
        "service": {
            "extensions": ["journal"],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": [EXPORTER]}},
        },
    }
    config = parse(yaml.safe_dump(document).encode(), {}, "test")
    telemetry = Telemetry("test", clock)
    with ThreadPoolExecutor(2) as pool:
        opened = open_journal(config, pool, telemetry, clock)
        assert opened is not None
        async with opened, build(config, telemetry, pool, clock, opened) as pipeline, asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run())
            before = pipeline.ledger.accounts[EXPORTER].accepted.total()
            yield Way(pipeline, telemetry, directory / "dead-letters", accepted_before=before)
            await pipeline.drain(drain_s)


async def load(way: Way, chance: random.Random, over: asyncio.Event) -> None:
    """Send spans until it is over; several hundred of them wait at any moment."""
    first = 0
    while not over.is_set():
        await way.send(first, count := chance.randrange(1, 40))
        first += count
        await way.settle(waiting=500)
        # Leave the rest of the process its turn, however fast spans are stored.
        await asyncio.sleep(0.001)


async def go_through(way: Way, reason: str, end: Callable[[], object], time: RunningClock | None = None) -> None:
    """Send spans into trouble that is told by `reason`, and see them stored after its end, were it hours later by `time`."""
    for number in range(100, 200, 10):
        assert await way.send(number)
    await way.until_retried(reason, 3)
    assert way.waiting > 0
    assert way.pipeline.troubles()
    if time is not None:
        time.passed_s += 10_000
        # So often that each batch on its way has been tried again.
        await way.until_retried(reason, int(way.retries(reason)) + 10)
    end()
    await way.settle()
    assert not way.pipeline.troubles()
    assert not way.set_aside()
    assert way.settled == {"stored": len(way.taken)}


def assert_stored_once(server: ClickHouse, database: str, expected: Iterable[int]) -> None:
    """Exactly these numbered spans are in the table, each once, and so is its trace in the table beside it."""
    wanted = Counter(expected)

    def found(column: str, table: str) -> Counter[int]:
        names = server.execute(f"SELECT {column} FROM {database}.{table} FORMAT TSV").decode().split()
        return Counter(map(int, names))

    for what, table in (
        ("SpanName", "otel_traces"),
        ("reinterpretAsUInt64(reverse(unhex(TraceId))) - 1", "otel_traces_trace_id_ts"),
    ):
        there = found(what, table)
        assert not wanted - there, f"{len(wanted - there)} of {len(wanted)} spans are missing in {table}"
        assert not there - wanted, f"{len(there - wanted)} spans too many in {table}"
