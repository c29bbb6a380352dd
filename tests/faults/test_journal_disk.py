"""A journal on a disk that is full, read-only, slow or failing: clients come back later, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import Retryable
from collector.journal.clearing import Clearing
from collector.journal.directory import JournalError
from collector.journal.journal import Journal
from collector.journal.records import REQUEST, Record, head
from collector.journal.segments import Segments
from collector.pipeline.batching import BatchLimits
from collector.pipeline.build import Entry
from proto.warm import warm
from tests.support.batches import numbered
from tests.support.journals import Deposit, journal_in, line_in
from tests.support.small_disk import small_disk
from tests.support.waiting import until

ONE_REQUEST = BatchLimits(min_spans=1, max_spans=5, max_bytes=1 << 20, timeout_s=0.0)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Compile beforehand: the tests' deadlines are meant for states, not for compilers."""
    warm()


def fails(*_: Any, **__: Any) -> None:
    """What a disk does that has failed."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB, of which a journal sets one aside."""
    with small_disk(tmp_path, "size=3m") as point:
        yield point


async def fill(journal: Journal, first: int = 0) -> int:
    """Put spans into a journal until it refuses them; returns the number of the first that it refused."""
    with suppress(Retryable):
        while True:
            await journal.put(numbered(first, 5, filler=20_000))
            first += 5
    return first


def fill_up(file: Path) -> None:
    with file.open("wb", buffering=0) as rest, suppress(OSError):
        while True:
            rest.write(b"x" * 4096)


def files_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def make_read_only(point: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(point)], check=True)


async def test_on_a_full_disk_clients_are_told_to_come_back_and_what_was_taken_is_stored(disk: Path) -> None:
    deposit, gate = Deposit(), asyncio.Event()
    deposit.before = lambda _: gate.wait()
    async with line_in(disk / "journal", {"clickhouse": deposit}, ONE_REQUEST, segment_bytes=200_000) as line:
        taken = await fill(line.journal)
        assert taken > 0
        assert "No space left on device" in line.journal.trouble
        with pytest.raises(Retryable):
            line.journal.check_open()
        gate.set()
        await until(lambda: line.waiting() == 0)
        more = await fill(line.journal, taken)
        assert more > taken
        assert line.journal.cursors["clickhouse"].account.accepted == {"default/numbers": more}
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(more))


async def test_a_journal_that_was_left_on_a_full_disk_opens_and_empties_itself(disk: Path) -> None:
    rest = disk / "rest"
    rest.touch()
    async with journal_in(disk / "journal", segment_bytes=200_000) as journal:
        taken = await fill(journal)
    fill_up(rest)
    deposit = Deposit()
    async with line_in(disk / "journal", {"clickhouse": deposit}, ONE_REQUEST) as line:
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(taken))


async def test_a_read_only_disk_is_told_at_the_start(disk: Path) -> None:
    make_read_only(disk)
    with pytest.raises(JournalError, match="Read-only file system"):
        async with journal_in(disk / "journal"):
            pass


def record(segments: Segments, first: int, body: bytes) -> list[bytes]:
    assert segments.current is not None
    return [head(segments.current.seed, REQUEST, first, 1, 1, b"default", body), body]


def bodies(segments: Segments) -> list[bytes]:
    return [bytes(item.body) for segment in segments.all for item in segment.read() if isinstance(item, Record)]


@settings(max_examples=30, deadline=None)
@given(most=st.integers(1, 100), sizes=st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_short_writes_are_continued(tmp_path_factory: pytest.TempPathFactory, most: int, sizes: list[int]) -> None:
    def short(descriptor: int, buffers: Sequence[Any], offset: int) -> int:
        return os.pwrite(descriptor, b"".join(map(bytes, buffers))[:most], offset)

    directory = tmp_path_factory.mktemp("short")
    segments = Segments(directory, 1 << 20)
    segment = segments.begin(0, 1)
    contents = [os.urandom(size) for size in sizes]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "pwritev", short)
        for first, content in enumerate(contents):
            segments.append(segment, record(segments, first, content))
    segments.end()
    assert bodies(Segments(directory, 1 << 20)) == contents


@pytest.mark.parametrize("written", range(0, 150, 11))
@pytest.mark.parametrize("can_be_cut", [True, False])
def test_a_write_that_fails_half_way_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, can_be_cut: bool
) -> None:
    def fails(descriptor: int, buffers: Sequence[Any], offset: int) -> int:
        if offset > segment.size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(descriptor, b"".join(map(bytes, buffers))[:written], offset) or 1

    def no_cut(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    segments = Segments(tmp_path, 1 << 20)
    segment = segments.begin(0, 1)
    segments.append(segment, record(segments, 0, b"first" * 20))
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", fails)
        if not can_be_cut:
            patched.setattr(os, "ftruncate", no_cut)
        with pytest.raises(OSError, match=r"space|Input"):
            segments.append(segment, record(segments, 1, b"second" * 20))
    segments.append(segment, record(segments, 1, b"third"))
    segments.end()
    assert bodies(Segments(tmp_path, 1 << 20)) == [b"first" * 20, b"third"]


async def test_while_a_slow_disk_syncs_all_who_come_wait_for_the_same_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs, go_on, entered = 0, threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def slow(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        entered.set()
        assert go_on.wait(30)
        fdatasync(descriptor)

    async with journal_in(tmp_path, sync="always") as journal:
        monkeypatch.setattr(os, "fdatasync", slow)
        puts = [asyncio.create_task(journal.put(numbered(0)))]
        await until(entered.is_set)
        puts += [asyncio.create_task(journal.put(numbered(number))) for number in range(1, 33)]
        await until(lambda: journal.cursors["clickhouse"].statistics().spans == 33)
        assert not any(put.done() for put in puts)
        go_on.set()
        await asyncio.gather(*puts)
        assert syncs == 2


async def test_what_could_not_be_synced_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdatasync = os.fdatasync

    async with journal_in(tmp_path, sync="always") as journal:
        await journal.put(numbered(0))
        monkeypatch.setattr(os, "fdatasync", fails)
        with pytest.raises(Retryable, match="Input/output error"):
            await journal.put(numbered(1))
        assert "Input/output error" in journal.trouble
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        await journal.put(numbered(1))
        assert journal.trouble == ""
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}) as line:
        await until(lambda: line.waiting() == 0)
    assert set(deposit.numbers) == {0, 1}


async def test_what_could_not_be_synced_is_accounted_for_as_accepted_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the journal, and will be stored; a client that sends it again sends other spans, as far as anybody can tell."""

    async with journal_in(tmp_path, sync="always") as journal:
        entry, cursor = Entry(journal, journal.ledger), journal.cursors["clickhouse"]
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fails)
            with pytest.raises(Retryable, match="Input/output error"):
                await entry.consume(numbered(0, 5))
        assert (cursor.account.waiting(), cursor.statistics().refused_spans, journal.ledger.refused) == (5, 0, {})
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", fails)
            with pytest.raises(Retryable):
                await entry.consume(numbered(5, 7))
        assert (cursor.account.waiting(), cursor.statistics().refused_spans) == (5, 7)
        assert sum(reasons.total() for reasons in journal.ledger.refused.values()) == 7


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
async def test_a_file_that_could_neither_be_begun_nor_deleted_hides_nothing_behind_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    async with journal_in(tmp_path, segment_bytes=1) as journal:
        await journal.put(numbered(0, 5))
        with monkeypatch.context() as patched:
            patched.setattr("secrets.randbits", lambda _: seed)
            patched.setattr(os, "pwritev", fails)
            patched.setattr(Path, "unlink", fails)
            with pytest.raises(Retryable):
                await journal.put(numbered(100, 5))
        for first in range(5, 20, 5):
            await journal.put(numbered(first, 5))
    assert [name[:20] for name in files_in(tmp_path)].count(f"{5:020d}") == 2
    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}, ONE_REQUEST) as line:
        await until(lambda: line.waiting() == 0)
        assert not line.journal.cursors["clickhouse"].account.settled.dropped
    assert deposit.numbers == list(range(20))


async def test_nothing_is_sent_whose_cut_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, failed = os.pwrite, threading.Event()

    def fails(descriptor: int, data: bytes, offset: int) -> int:
        failed.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}) as line:
        monkeypatch.setattr(os, "pwrite", fails)
        await line.journal.put(numbered(0, 5))
        await until(failed.is_set)
        assert deposit.given == []
        monkeypatch.setattr(os, "pwrite", pwrite)
        await until(lambda: line.waiting() == 0)
    assert deposit.numbers == list(range(5))


async def test_what_cannot_be_read_now_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open files pass; that is no reason to count spans as lost."""
    async with journal_in(tmp_path) as journal:
        await journal.put(numbered(0, 5))
    path_open, failed = Path.open, threading.Event()

    def fails(path: Path, *args: Any, **keywords: Any) -> Any:
        if path.suffix != ".journal":
            return path_open(path, *args, **keywords)
        failed.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    deposit = Deposit()
    async with line_in(tmp_path, {"clickhouse": deposit}) as line:
        monkeypatch.setattr(Path, "open", fails)
        await until(failed.is_set)
        monkeypatch.setattr(Path, "open", path_open)
        await until(lambda: line.waiting() == 0)
        assert not line.journal.cursors["clickhouse"].account.settled.dropped
    assert deposit.numbers == list(range(5))


async def test_a_disk_that_works_again_is_found_out_though_nobody_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that says it is not ready gets no requests that could show it."""

    async with journal_in(tmp_path, sync_interval_s=0.01) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", fails)
            with pytest.raises(Retryable, match="Input/output error"):
                await journal.put(numbered(0))
        assert await journal.check() != ""
        await until(lambda: journal.trouble == "")


async def test_syncing_goes_on_whatever_happens_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, synced = threading.Event(), threading.Event()

    def fails(*_: object) -> None:
        tried.set()
        raise RuntimeError("a slip")

    async with journal_in(tmp_path, sync_interval_s=0.01) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(Clearing, "collect", fails)
            await until(tried.is_set)
        monkeypatch.setattr(os, "fdatasync", lambda _: synced.set())
        await journal.put(numbered(0))
        await until(synced.is_set)
