"""The journal: what was put into it comes out once, whatever ends the process in between."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
from collections import Counter
from pathlib import Path

import pytest

from collector import metrics
from collector.clock import Clock
from collector.errors import Refused, Retryable
from collector.journal import cursor as cursor_module
from collector.journal import taken as taken_module
from collector.journal.directory import JournalError
from collector.journal.journal import Journal
from collector.journal.reading import Reader
from collector.pipeline import batcher as batcher_module
from collector.pipeline.batching import BatchLimits
from proto.otlp_decode import decode
from proto.spans import SpanBatch
from proto.warm import warm
from tests.support.batches import numbered
from tests.support.journals import NEVER_DUE, SMALL, Deposit, crash_image, journal_in, line_in
from tests.support.scarce import let_memory_be_short
from tests.support.waiting import until


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


def files(directory: Path, pattern: str) -> list[Path]:
    return sorted(directory.glob(pattern))


async def all_of(directory: Path, limits: BatchLimits = SMALL, **settings: object) -> Deposit:
    """What a process stores that finds this journal."""
    deposit = Deposit()
    async with line_in(directory, {"clickhouse": deposit}, limits, **settings) as line:
        await until(lambda: line.waiting() == 0)
    return deposit


async def test_what_was_put_is_stored_once_and_leaves_the_disk(tmp_path: Path) -> None:
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}, segment_bytes=2000) as line:
        for first in range(0, 100, 5):
            await line.journal.put(numbered(first, 5))
        await until(lambda: line.waiting() == 0)
        await until(lambda: len(files(tmp_path, "*.journal")) <= 1)
        account = line.journal.cursors["clickhouse"].account
        assert (account.accepted, account.settled.stored) == ({"default/numbers": 100}, {"default/numbers": 100})
    assert deposit.numbers == list(range(100))


async def test_what_was_put_and_not_stored_is_stored_by_the_next_process(tmp_path: Path) -> None:
    async with journal_in(tmp_path / "first") as journal:
        for first in range(0, 50, 5):
            await journal.put(numbered(first, 5))
        image = crash_image(tmp_path / "first", tmp_path / "second")
    assert (await all_of(image)).numbers == list(range(50))
    assert (await all_of(image)).numbers == []


async def test_a_batch_that_was_being_sent_is_sent_again_under_its_name_though_the_configuration_has_changed(
    tmp_path: Path,
) -> None:
    first, gate = Deposit(), asyncio.Event()
    first.before = lambda batch: None if len(first.given) == 1 else gate.wait()
    cut_in_tens = BatchLimits(min_spans=25, max_spans=10, max_bytes=1 << 20, timeout_s=3600.0)
    async with line_in(tmp_path / "first", {"clickhouse": first}, cut_in_tens) as line:
        await line.journal.put(numbered(0, 25))
        await until(lambda: len(first.given) == 2)
        await line.journal.put(numbered(25, 5))
        image = crash_image(tmp_path / "first", tmp_path / "second")
        gate.set()
    assert first.numbers == list(range(30))

    second = await all_of(image, BatchLimits(min_spans=7, max_spans=7, max_bytes=1 << 20, timeout_s=0.0))
    assert {name: second.stored[name] for name in first.given[:3]} == {name: first.stored[name] for name in first.given[:3]}
    assert second.numbers == list(range(30))


async def test_cuts_are_written_in_order_though_batches_are_assembled_side_by_side(tmp_path: Path) -> None:
    """A batch that is cut while one before it is not must not make the one before look done."""
    async with journal_in(tmp_path) as journal:
        await journal.put(numbered(0, 5))
        await journal.put(numbered(5, 5))
        cursor = journal.cursors["clickhouse"]
        early, late = await cursor.take(1, 1 << 20), await cursor.take(1, 1 << 20)
        assert early is not None
        assert late is not None
        cutting = asyncio.create_task(cursor.cut(late, [slice(0, 5)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not cutting.done()
        assert cursor.log.next_span == 0
        await cursor.cut(early, [slice(0, 5)])
        await cutting
        assert cursor.log.next_span == 10


async def test_more_than_the_memory_may_hold_waits_on_disk_alone(tmp_path: Path) -> None:
    deposit, gate = Deposit(), asyncio.Event()
    deposit.before = lambda _: gate.wait()
    memory_bytes = 3 * numbered(0, 5).nbytes
    async with line_in(tmp_path, {"clickhouse": deposit}, in_flight=1, memory_bytes=memory_bytes, segment_bytes=3000) as line:
        for first in range(0, 300, 5):
            await line.journal.put(numbered(first, 5))
            assert line.telemetry.value(metrics.JOURNAL_MEMORY_BYTES) <= memory_bytes
        gate.set()
        await until(lambda: line.waiting() == 0)
        assert line.telemetry.value(metrics.JOURNAL_REPLAYED_SPANS, "clickhouse") > 200
    assert deposit.numbers == list(range(300))


async def test_what_waits_on_disk_alone_gathers_into_batches_as_well(tmp_path: Path) -> None:
    deposit = Deposit()
    limits = BatchLimits(min_spans=10, max_spans=0, max_bytes=1 << 20, timeout_s=3600.0)
    async with line_in(tmp_path, {"clickhouse": deposit}, limits, memory_bytes=0) as line:
        for first in range(0, 40, 4):
            await line.journal.put(numbered(first, 4))
            if first in (8, 20):
                await until(lambda: line.waiting() == 0)
        assert [len(numbers) for numbers in deposit.stored.values()] == [12, 12]
        await until(lambda: len(deposit.given) == 3)
    assert deposit.numbers == list(range(40))


@pytest.mark.parametrize(
    ("owner", "name"),
    [(taken_module, "decode"), (taken_module, "spans_by_owner"), (batcher_module, "concatenate"), (Reader, "read")],
)
async def test_what_is_read_back_while_memory_is_short_is_stored_once_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    first, gate = Deposit(), asyncio.Event()
    first.before = lambda _: gate.wait()
    limits = BatchLimits(min_spans=20, max_spans=7, max_bytes=1 << 20, timeout_s=3600.0)
    async with line_in(tmp_path / "first", {"clickhouse": first}, limits, in_flight=1) as line:
        for number in range(0, 40, 5):
            await line.journal.put(numbered(number, 5))
        await until(lambda: len(first.given) == 1)
        image = crash_image(tmp_path / "first", tmp_path / "second")
        gate.set()

    failed = let_memory_be_short(monkeypatch, owner, name, {1, 2, 4})
    monkeypatch.setattr(cursor_module, "RETRY_S", 0.0)
    second = Deposit()
    async with line_in(image, {"clickhouse": second}, limits, in_flight=1) as line:
        account = line.journal.cursors["clickhouse"].account
    assert failed == [1, 2, 4]
    assert second.numbers == list(range(40))
    assert (account.settled.stored, account.settled.dropped, +account.settled.renamed) == ({"default/numbers": 40}, {}, {})


async def test_spans_of_many_workspaces_keep_their_workspace(tmp_path: Path) -> None:
    plain = dataclasses.replace(numbered(0, 3), workspaces=("red",))
    joined = two_resources(10)
    placed = dataclasses.replace(joined, resources=joined.resources.copy(), workspaces=("default", "blue"))
    placed.resources["workspace"] = [0, 1]
    async with journal_in(tmp_path) as journal:
        await journal.put(plain)
        await journal.put(placed)
    deposit = await all_of(tmp_path)
    assert deposit.owners == {"red/numbers": 3, "default/numbers": 1, "blue/numbers": 1}
    assert deposit.numbers == [0, 1, 2, 10, 11]
    async with journal_in(tmp_path) as journal:
        account = journal.cursors["clickhouse"].account
        assert +account.accepted == account.settled.stored == deposit.owners
        assert account.waiting() == 0


def two_resources(first: int) -> SpanBatch:
    """A request with two spans, each of a resource of its own."""
    return decode(b"".join(numbered(number).data.tobytes() for number in (first, first + 1))).batch


async def test_texts_that_were_repaired_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    """The repaired copies stand behind the request in memory, and are no part of it."""
    whole = numbered(0, 3, filler=8)
    broken = decode(whole.data.tobytes().replace(b"xxxxxxxx", b"x\xffxxx\xfe\xfdx")).batch
    assert len(broken.data) > len(broken.request)
    async with journal_in(tmp_path) as journal:
        await journal.put(broken)
    found: list[SpanBatch] = []
    deposit = Deposit(before=found.append)
    async with line_in(tmp_path, {"clickhouse": deposit}) as line:
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == [0, 1, 2]
    assert found[0].data.tobytes() == broken.data.tobytes()
    assert found[0].attributes.tobytes() == broken.attributes.tobytes()


async def test_each_exporter_has_its_own_way_through_the_journal(tmp_path: Path) -> None:
    quick, slow, gate = Deposit(), Deposit(), asyncio.Event()
    slow.before = lambda _: gate.wait()
    async with line_in(tmp_path, {"quick": quick, "slow": slow}, segment_bytes=2000) as line:
        for first in range(0, 50, 5):
            await line.journal.put(numbered(first, 5))
        await until(lambda: len(quick.numbers) == 50)
        assert slow.numbers == []
        gate.set()
        await until(lambda: line.waiting() == 0)
    assert quick.numbers == slow.numbers == list(range(50))
    assert not set(quick.given) & set(slow.given)


async def test_an_exporter_that_is_new_begins_at_the_end_and_one_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    async with journal_in(tmp_path, ["old", "kept"]) as journal:
        await journal.put(numbered(0, 5))
    kept, new = Deposit(), Deposit()
    async with line_in(tmp_path, {"kept": kept, "new": new}) as line:
        await line.journal.put(numbered(5, 5))
        await until(lambda: line.waiting() == 0)
    assert kept.numbers == list(range(10))
    assert new.numbers == list(range(5, 10))
    assert files(tmp_path, "old.cuts") == []


async def test_the_only_exporter_may_be_renamed_without_losing_what_waits_for_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path, ["clickhouse"]) as journal:
        await journal.put(numbered(0, 5))
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse/main": deposit}) as line:
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(5))


async def test_a_second_process_is_told_that_the_journal_is_in_use(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        with pytest.raises(
            JournalError, match=f"^extensions.journal.directory: .* is in use by the process with id {os.getpid()}; stop it"
        ):
            async with journal_in(tmp_path):
                pass


async def test_nobody_else_may_read_the_journal(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    async with journal_in(directory) as journal:
        await journal.put(numbered(0))
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


async def test_at_its_bound_the_journal_lets_nothing_in_until_something_is_stored(tmp_path: Path) -> None:
    deposit, gate = Deposit(), asyncio.Event()
    deposit.before = lambda _: gate.wait()
    async with line_in(tmp_path, {"clickhouse": deposit}, max_bytes=20_000) as line:
        taken = await fill(line.journal)
        assert "full" in line.journal.trouble
        with pytest.raises(Retryable, match="journal is full"):
            line.journal.check_open()
        assert line.journal.cursors["clickhouse"].statistics().nbytes <= 20_000
        gate.set()
        await until(lambda: line.waiting() == 0)
        line.journal.check_open()
        assert line.journal.trouble == ""
        await line.journal.put(numbered(taken, 5))
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(taken + 5))


async def test_a_request_that_does_not_fit_keeps_no_smaller_ones_out(tmp_path: Path) -> None:
    async with journal_in(tmp_path, max_bytes=20_000) as journal:
        await journal.put(numbered(0, filler=12_000))
        with pytest.raises(Retryable, match="journal is full"):
            await journal.put(numbered(1, filler=12_000))
        assert "full" in journal.trouble
        journal.check_open()
        await journal.put(numbered(1, filler=2_000))
        assert journal.trouble == ""


async def fill(journal: Journal) -> int:
    """Put spans into a journal until it is full; returns how many it took."""
    for taken in range(0, 100_000, 5):
        try:
            await journal.put(numbered(taken, 5))
        except Retryable as error:
            assert "journal is full" in str(error)  # noqa: PT017 - how many were taken is the question
            return taken
    raise AssertionError("the journal was never full")


async def test_a_request_larger_than_the_journal_is_refused_for_good(tmp_path: Path) -> None:
    async with journal_in(tmp_path, max_bytes=20_000) as journal:
        with pytest.raises(Refused) as refused:
            await journal.put(numbered(0, 1000))
        assert refused.value.kind == "too_large"


async def test_a_journal_that_may_drop_the_oldest_counts_what_it_drops(tmp_path: Path) -> None:
    deposit, gate = Deposit(), asyncio.Event()
    deposit.before = lambda _: gate.wait()
    limits = BatchLimits(min_spans=1, max_spans=5, max_bytes=1 << 20, timeout_s=0.0)
    async with line_in(tmp_path, {"clickhouse": deposit}, limits, max_bytes=20_000, on_full="drop_oldest") as line:
        for first in range(0, 1000, 5):
            await line.journal.put(numbered(first, 5))
        gate.set()
        await until(lambda: line.waiting() == 0)
        account = line.journal.cursors["clickhouse"].account
        dropped = account.settled.dropped["journal_full"].total()
        assert dropped > 0
        assert account.accepted.total() == 1000
        assert account.waiting() == 0
    assert len(deposit.numbers) == 1000 - dropped
    assert deposit.numbers[-5:] == list(range(995, 1000))
    assert max(Counter(deposit.numbers).values()) == 1


class TurnedClock:
    """A clock whose two times are turned apart."""

    def __init__(self) -> None:
        self.monotonic_s = 100.0
        self.now_s = 1_700_000_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.monotonic_s, lambda: int(self.now_s * 1e9))


async def test_what_waits_for_too_long_is_dropped_by_rule_and_counted(tmp_path: Path) -> None:
    time = TurnedClock()
    settings = {"max_age_s": 60.0, "sync_interval_s": 0.01}
    async with journal_in(tmp_path, clock=time.clock(), **settings) as journal:
        await journal.put(numbered(0, 5))
        time.monotonic_s += 30
        await until(lambda: journal.cursors["clickhouse"].statistics().oldest_age_s == 30)
        await journal.put(numbered(5, 5))
        time.monotonic_s += 40
        await journal.put(numbered(10, 5))
        await until(lambda: bool(journal.cursors["clickhouse"].account.settled.dropped))
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}, clock=time.clock()) as line:
        await until(lambda: line.waiting() == 0)
        settled = line.journal.cursors["clickhouse"].account.settled
    assert settled.dropped == {"journal_max_age": {"default/numbers": 5}}
    assert deposit.numbers == list(range(5, 15))


@pytest.mark.parametrize("jump_s", [-86_400.0 * 400, 86_400.0 * 400])
async def test_a_clock_that_jumps_neither_loses_nor_doubles_spans_nor_makes_them_old(tmp_path: Path, jump_s: float) -> None:
    time = TurnedClock()
    async with journal_in(tmp_path, clock=time.clock(), max_age_s=3600.0, sync_interval_s=0.01) as journal:
        await journal.put(numbered(0, 5))
        time.now_s += jump_s
        time.monotonic_s += 1
        await journal.put(numbered(5, 5))
        assert journal.cursors["clickhouse"].statistics().oldest_age_s == pytest.approx(1.0)
        assert not journal.cursors["clickhouse"].account.settled.dropped
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}, clock=time.clock()) as line:
        assert line.journal.cursors["clickhouse"].statistics().oldest_age_s >= 0
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(10))


async def test_draining_leaves_what_could_not_be_stored_to_the_next_process(tmp_path: Path) -> None:
    stuck = Deposit(before=lambda _: asyncio.Event().wait())
    async with line_in(tmp_path, {"clickhouse": stuck}, drain_s=0.05) as line:
        await line.journal.put(numbered(0, 5))
        await line.journal.put(numbered(5, 5))
        await until(lambda: bool(stuck.given))
    with pytest.raises(Retryable, match="shutting down"):
        await line.journal.put(numbered(10))
    assert (await all_of(tmp_path)).numbers == list(range(10))


@pytest.mark.parametrize("sync", ["interval", "always", "never"])
async def test_every_way_of_syncing_takes_and_gives_the_same(tmp_path: Path, sync: str) -> None:
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}, sync=sync, sync_interval_s=0.01, segment_bytes=2000) as line:
        async with asyncio.TaskGroup() as clients:
            for first in range(0, 200, 5):
                clients.create_task(line.journal.put(numbered(first, 5)))
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(200))


async def test_with_always_nothing_is_acknowledged_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fdatasync = os.fdatasync

    def spied(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", spied)
    async with journal_in(tmp_path, sync="always") as journal:
        for number in range(3):
            await journal.put(numbered(number))
            assert synced[-1] == journal.cursors["clickhouse"].statistics().nbytes


async def test_the_account_adds_up_over_restarts(tmp_path: Path) -> None:
    accepted = 0
    for run in range(5):
        deposit = Deposit()
        limits = SMALL if run % 2 else NEVER_DUE
        async with line_in(tmp_path, {"clickhouse": deposit}, limits, drain_s=0.0 if run < 4 else 10.0) as line:
            await line.journal.put(numbered(accepted, 5))
            accepted += 5
            account = line.journal.cursors["clickhouse"].account
            assert account.accepted.total() == accepted
            assert account.waiting() == line.waiting()
    assert line.journal.cursors["clickhouse"].account.settled.stored == {"default/numbers": accepted}


async def test_a_directory_that_is_a_file_is_told_by_its_key_and_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        JournalError, match=r"^extensions\.journal\.directory: /.*/file cannot be used: File exists; move the file"
    ):
        async with journal_in(tmp_path / "file"):
            pass
