"""A crash before and half way through every single change that the journal makes to its directory.

A workload runs once. Whenever the journal is about to write, create, rename or delete, and half way through every write, the
directory is copied as a crash would leave it, together with what had been acknowledged and what the store had by then. From each
copy a new process goes on.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from tests.support.journals import Deposit, crash_image, journal_in, line_in
from tests.support.waiting import until

SPANS = 60
PER_REQUEST = 3
MORE = 1000
CUT_SMALL = BatchLimits(min_spans=6, max_spans=4, max_bytes=1 << 20, timeout_s=0.0)
OTHER_LIMITS = BatchLimits(min_spans=1, max_spans=2, max_bytes=1 << 20, timeout_s=0.0)


truncate = os.truncate
"""As it is when nobody watches."""


@dataclass
class Crash:
    """What a crash at one moment leaves, here and in the store."""

    moment: str
    directory: Path
    acknowledged: set[int]
    stored: dict[str, list[int]]


@dataclass
class Crashes:
    """Copies the directory whenever it is about to change."""

    directory: Path
    copies: Path
    deposit: Deposit = field(default_factory=Deposit)
    acknowledged: set[int] = field(default_factory=set)
    seen: list[Crash] = field(default_factory=list)
    copying: bool = False
    power_cut: bool = False
    """Whether all is lost that was not synced, as when the machine fails and not only the process."""
    synced: dict[int, int] = field(default_factory=dict)
    """Inode → bytes of the file that outlast a power cut."""

    def crash(self, moment: str) -> None:
        # Other threads only sync, and a copy that they made could meet the changes of this one.
        if not self.copying and threading.current_thread() is threading.main_thread():
            self.copying = True
            image = crash_image(self.directory, self.copies / str(len(self.seen)))
            if self.power_cut:
                for path in self.directory.iterdir():
                    truncate(image / path.name, min(self.synced.get(path.stat().st_ino, 0), path.stat().st_size))
            stored = {name: list(numbers) for name, numbers in self.deposit.stored.items()}
            self.seen.append(Crash(moment, image, set(self.acknowledged), stored))
            self.copying = False

    def watch(self, patched: pytest.MonkeyPatch) -> None:
        """Crash from now on."""
        pwrite, pwritev = os.pwrite, os.pwritev

        def write_line(descriptor: int, data: bytes, offset: int) -> int:
            self.crash("before a line")
            pwrite(descriptor, data[: len(data) // 2], offset)
            self.crash("half a line")
            return pwrite(descriptor, data, offset)

        def write_record(descriptor: int, buffers: Sequence[Any], offset: int) -> int:
            self.crash("before a record")
            whole = b"".join(map(bytes, buffers))
            pwrite(descriptor, whole[: len(whole) // 2], offset)
            self.crash("half a record")
            return pwritev(descriptor, buffers, offset)

        fdatasync = os.fdatasync

        def sync(descriptor: int) -> None:
            before = os.fstat(descriptor)
            fdatasync(descriptor)
            self.synced[before.st_ino] = before.st_size

        patched.setattr(os, "fdatasync", sync)
        patched.setattr(os, "fsync", sync)
        patched.setattr(os, "pwrite", write_line)
        patched.setattr(os, "pwritev", write_record)
        for owner, name in ((os, "open"), (os, "truncate"), (Path, "unlink"), (Path, "rename")):
            patched.setattr(owner, name, self._before(getattr(owner, name), name))
        self.deposit.before = self._before_storing

    def _before(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def crashing(*args: Any, **keywords: Any) -> Any:
            self.crash(f"before {name}")
            return work(*args, **keywords)

        return crashing

    async def _before_storing(self, batch: SpanBatch) -> None:
        self.crash("insert in flight")
        if len(self.deposit.given) % 6 == 1:
            # Overtaken by the batches behind it, so far that files behind its own are done with.
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
    crashes = Crashes(directory / "journal", directory / "copies", power_cut=power_cut)
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
