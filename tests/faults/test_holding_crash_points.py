"""A crash at every change that the journal makes to its directory while traces are held back and decided."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.journal import decisions
from collector.pipeline.batching import BatchLimits
from proto.warm import warm
from tests.support.crashes import Crash, Crashes
from tests.support.held_lines import WAIT_S, Killed, is_kept, kept, line, trace_of
from tests.support.journals import Deposit
from tests.support.waiting import until

pytestmark = pytest.mark.soak

SPANS = 60
PER_REQUEST = 5
CUT_SMALL = BatchLimits(min_spans=5, max_spans=8, max_bytes=1 << 20, timeout_s=0.0)


async def crashes_of(directory: Path, patched: pytest.MonkeyPatch, sync: str, *, power_cut: bool) -> list[Crash]:
    """Run the workload, and crash at every change."""
    warm()
    crashes = Crashes(directory / "journal", directory / "copies", power_cut=power_cut)
    way = Killed(crashes.deposit)
    patched.setattr(decisions, "_SEGMENT_BYTES", 1500)
    sampling = {"num_traces": 4, "block_on_overflow": True}
    async with line(
        way, crashes.directory, limits=CUT_SMALL, sampling=sampling, sync=sync, sync_interval_s=0.01, segment_bytes=900
    ) as held:
        # What is there before anything is put was written by a start that ended in order.
        crashes.synced = {path.stat().st_ino: path.stat().st_size for path in crashes.directory.iterdir()}
        crashes.watch(patched)
        way.before = crashes.before_storing
        for first in range(0, SPANS, PER_REQUEST):
            await held.put(first, PER_REQUEST)
            crashes.acknowledged.update(range(first, first + PER_REQUEST))
            held.clock.passed_s += WAIT_S / 4
            await asyncio.sleep(0.03)
        await held.settle()
        crashes.crash("all stored")
    assert crashes.deposit.numbers == kept(list(range(SPANS)))
    moments = {crash.moment for crash in crashes.seen}
    assert moments >= {"before a record", "half a record", "before a line", "half a line", "before unlink", "insert in flight"}
    return crashes.seen


@pytest.mark.parametrize(("sync", "power_cut"), [("never", False), ("always", True)], ids=["killed", "power cut"])
async def test_no_crash_loses_or_doubles_a_span_of_a_kept_trace_or_lets_one_of_another_through(
    tmp_path: Path, sync: str, power_cut: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        crashes = await crashes_of(tmp_path, patched, sync, power_cut=power_cut)
    for crash in crashes:
        store = Deposit(stored=dict(crash.stored))
        async with line(Killed(store), crash.directory) as held:
            await until(lambda: not held.queue.unfinished)
            await held.settle()
            account = held.account
        assert len(set(store.numbers)) == len(store.numbers), f"doubled after {crash.moment}"
        assert set(kept(sorted(crash.acknowledged))) <= set(store.numbers), f"lost after {crash.moment}"
        assert all(is_kept(trace_of(number)) for number in store.numbers), f"let through after {crash.moment}"
        assert account.settled.stored.total() == len(store.numbers), crash.moment
        assert account.settled.came().total() >= len(crash.acknowledged), crash.moment
