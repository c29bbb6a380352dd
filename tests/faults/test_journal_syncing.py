"""What the journal says is synced is, at whatever moment files become full and whatever fails."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.journal.cuts import CutLog
from collector.journal.disk import Disk
from collector.journal.group_commit import GroupCommit
from collector.journal.segments import Segments
from exporters.base import Delivery


class FillingUp(Segments):
    """Files of which the one in use becomes full while somebody asks for it, as when another thread looks."""

    moment = ""

    @property
    def file(self) -> int:
        moment, self.moment = self.moment, ""
        if moment == "before":
            self.begin(1, 1)
        found = super().file
        if moment == "after":
            self.begin(1, 1)
        return found


def inode(path: Path) -> int:
    return path.stat().st_ino


def failing_once(call: Callable[[int], None]) -> Callable[[int], None]:
    """A system call that fails the first time."""
    errors = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def fails(descriptor: int) -> None:
        if errors:
            raise errors.pop()
        call(descriptor)

    return fails


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_file_that_becomes_full_while_a_sync_begins_is_synced_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    synced: set[int] = set()
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    disk = Disk(tmp_path, True, lambda _: None)
    segments = FillingUp(tmp_path, 1 << 20, disk.roll)
    disk.watch(segments, {})
    written = segments.begin(0, 1)
    segments.moment = moment
    await disk.requests.wait()
    assert inode(written.path) in synced
    segments.end()
    disk.close()


async def test_names_that_could_not_be_synced_are_synced_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, True, lambda _: None)
    segments = Segments(tmp_path, 1 << 20, disk.roll)
    disk.watch(segments, {})
    disk.written(segments.begin(0, 1))
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", failing_once(lambda descriptor: synced.add(os.fstat(descriptor).st_ino)))
    with pytest.raises(OSError, match="Input/output error"):
        await disk.requests.wait()
    await disk.requests.wait()
    assert inode(tmp_path) in synced
    segments.end()
    disk.close()


async def test_a_sync_that_fails_unexpectedly_keeps_nobody_waiting() -> None:
    def slips() -> None:
        raise RuntimeError("a slip")

    disk = Disk(Path("/nowhere"), True, lambda _: None)
    commit = GroupCommit(slips, disk.thread, lambda _: None)
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="a slip"):
            await commit.wait()
    disk.close()


def fail_to_sync_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing open a directory any more, as when there are too many open files."""
    opened = os.open

    def fails(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", fails)


def test_a_log_of_cuts_that_was_written_anew_goes_on_in_its_new_file_though_its_name_may_not_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was cut from then on would be in a file without a name, and be sent again under other names after a restart."""
    log = CutLog.create(tmp_path, "clickhouse", 0, {})
    with monkeypatch.context() as patched:
        fail_to_sync_directories(patched)
        written, stop = 0, 0
        while written <= 1 << 20:
            cut = log.cut(stop, stop + 1, list(range(stop, stop + 20_000)))
            written, stop = written + 2 * 100_000, stop + 1
            log.complete(cut, Delivery())
        with pytest.raises(OSError, match="Too many open files"):
            log.sync()
    last = log.cut(stop, stop + 1, [stop, stop + 1])
    log.sync()
    log.close()
    again = CutLog.load(log.path)
    assert again.cuts == {last.name: last}
    assert again.next_span == stop + 1
    again.close()
