"""A crash before and half way through every single change that the journal makes to its directory.

A workload runs once, and its directory is copied at every such moment (`tests/support/crashes.py`). From each copy a new process
goes on.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.journal import cuts
from collector.journal.records import REQUEST, Record
from collector.journal.segments import Segments
from collector.ledger import Account
from collector.pipeline.batching import BatchLimits
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from proto.warm import warm
from tests.support.batches import numbered
from tests.support.batches import numbers as numbers_of
from tests.support.crashes import Crash, Crashes
from tests.support.journals import Deposit, journal_in, line_in
from tests.support.waiting import until

pytestmark = pytest.mark.soak

SPANS = 60
PER_REQUEST = 3
MORE = 1000
CUT_SMALL = BatchLimits(min_spans=6, max_spans=4, max_bytes=1 << 20, timeout_s=0.0)
OTHER_LIMITS = BatchLimits(min_spans=1, max_spans=2, max_bytes=1 << 20, timeout_s=0.0)


class Overtaken(Crashes):
    """Some batches are overtaken by those behind them, so far that files behind their own are done with."""

    async def before_storing(self, batch: SpanBatch) -> None:
        await super().before_storing(batch)
        if len(self.deposit.given) % 6 == 1:
            enough = min(len(self.deposit.stored) + 4, SPANS // PER_REQUEST - 1)
            await until(lambda: len(self.deposit.stored) >= enough)
            await asyncio.sleep(0.02)


async def go_on(crash: Crash) -> tuple[list[int], Account]:
    """What the store has once two processes have gone on from a crash: one that takes more and stores nothing, and another, with
    other limits, that stores all; and the account."""
    async with journal_in(crash.directory, segment_bytes=5000) as journal:
        for first in range(MORE, MORE + 6, PER_REQUEST):
            await journal.put(numbered(first, PER_REQUEST))
    deposit = Deposit(stored=dict(crash.stored))
    async with line_in(crash.directory, {"clickhouse": deposit}, OTHER_LIMITS, segment_bytes=5000) as line:
        await until(lambda: line.waiting() == 0)
        account = line.journal.cursors["clickhouse"].account
    assert account.waiting() == 0, crash.moment
    assert deposit.numbers[-6:] == list(range(MORE, MORE + 6)), crash.moment
    return deposit.numbers, account


async def crashes_of(directory: Path, patched: pytest.MonkeyPatch, sync: str, *, power_cut: bool) -> list[Crash]:
    """Run the workload, and crash at every change."""
    warm()
    crashes = Overtaken(directory / "journal", directory / "copies", power_cut=power_cut)
    patched.setattr(cuts, "_REWRITTEN_BYTES", 500)
    async with line_in(
        crashes.directory, {"clickhouse": crashes.deposit}, CUT_SMALL, sync=sync, sync_interval_s=0.01, segment_bytes=900
    ) as line:
        # What is there before anything is put was written by a start that ended in order.
        crashes.synced = {path.stat().st_ino: path.stat().st_size for path in crashes.directory.iterdir()}
        crashes.watch(patched)
        for first in range(0, SPANS, PER_REQUEST):
            await line.journal.put(numbered(first, PER_REQUEST))
            crashes.acknowledged.update(range(first, first + PER_REQUEST))
            await asyncio.sleep(0)
        await until(lambda: line.waiting() == 0)
        crashes.crash("all stored")
    assert crashes.deposit.numbers == list(range(SPANS))
    moments = {crash.moment for crash in crashes.seen}
    assert moments >= {"before a record", "half a record", "before a line", "half a line", "before unlink", "before rename"}
    return crashes.seen


@pytest.mark.parametrize(
    ("sync", "power_cut"),
    [("interval", False), ("always", False), ("never", False), ("always", True)],
    ids=["interval", "always", "never", "always, power cut"],
)
async def test_no_crash_loses_or_doubles_a_span(tmp_path: Path, sync: str, power_cut: bool) -> None:
    with pytest.MonkeyPatch.context() as patched:
        crashes = await crashes_of(tmp_path, patched, sync, power_cut=power_cut)
    for crash in crashes:
        numbers, account = await go_on(crash)
        assert len(set(numbers)) == len(numbers), f"doubled after {crash.moment}"
        assert crash.acknowledged <= set(numbers), f"lost after {crash.moment}"
        assert not account.settled.dropped, crash.moment


@pytest.mark.parametrize("sync", ["interval", "never"])
async def test_what_is_left_by_a_power_cut_is_stored_whatever_else_was_lost(tmp_path: Path, sync: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        crashes = await crashes_of(tmp_path, patched, sync, power_cut=True)
    for crash in crashes:
        left = {
            number
            for segment in Segments(crash.directory, 1 << 20).all
            for item in segment.read()
            if isinstance(item, Record) and item.kind == REQUEST
            for number in numbers_of(decode(bytes(item.body)).batch)
        }
        assert left <= set((await go_on(crash))[0]), f"lost after {crash.moment}"
