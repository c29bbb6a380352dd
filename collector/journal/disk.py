"""Makes what the journal writes outlast a power cut, holds room for its logs, and finds out whether a disk works again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog

from collector.journal.group_commit import GroupCommit
from collector.journal.segments import Segment, Segments
from collector.journal.unsynced import UnsyncedFiles

_log = structlog.get_logger(__name__)

_PROBE_BYTES: Final = 1 << 20

T = TypeVar("T")


class Disk:
    """The directory of a journal, as far as it is about the disk below. Belongs to one event loop.

    Args:
        directory: of the journal.
        keeps_rolled: whether files that are full are synced before they are closed.
        observe: is told how long each sync took, in seconds.
    """

    def __init__(self, directory: Path, keeps_rolled: bool, observe: Callable[[float], None]) -> None:
        self.thread = ThreadPoolExecutor(1, "journal")
        """For work that waits for the disk."""
        self.dirty = False
        """Whether something was written since the last sync began."""
        self._directory = directory
        self._observe = observe
        self._files = UnsyncedFiles([directory], keeps_rolled=keeps_rolled)
        self._newest: Segment | None = None
        self._segments: Segments | None = None
        self.requests = GroupCommit(self._sync, self.thread, observe)
        """Makes requests last."""
        self.logs: Mapping[str, GroupCommit] = {}
        """Makes the logs of each exporter last."""

    def watch(self, segments: Segments, logs: Mapping[str, Callable[[], None]]) -> None:
        """Tell what there is to sync, and how that is done with the logs of each exporter."""
        self._segments = segments
        self.logs = {name: GroupCommit(sync, self.thread, self._observe) for name, sync in logs.items()}

    def roll(self, descriptor: int) -> None:
        """A file is full."""
        self._files.roll(descriptor)

    def written(self, segment: Segment) -> None:
        """Something was appended to a file."""
        if segment is not self._newest:
            self._newest, self._files.names.changed = segment, True
        self.dirty = True

    def deleted(self) -> None:
        """Files were deleted."""
        self._files.names.changed = True

    async def sync_logs(self) -> None:
        """Make what became of spans last. Raises OSError."""
        await asyncio.gather(*(commit.wait() for commit in self.logs.values()))

    async def sync_all(self) -> None:
        """Make all last that is written; what fails is logged, and tried again next time."""
        self.dirty = False
        try:
            await asyncio.gather(self.requests.wait(), self.sync_logs())
        except OSError as error:
            self.dirty = True
            _log.error("journal_not_synced", error=str(error))

    def _sync(self) -> None:
        """Make all requests last that were appended before. Runs in the thread."""
        self._files.sync(lambda: self._segments.file if self._segments is not None else -1)

    def reserve(self, nbytes: int) -> None:
        """Hold room for the logs, if there is any: without their lines nothing could ever be deleted from a full disk."""
        with suppress(OSError):
            file = os.open(self._directory / "reserve", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, nbytes)
            finally:
                os.close(file)

    def release_reserve(self) -> None:
        """Give the room to the logs."""
        with suppress(OSError):
            (self._directory / "reserve").unlink(missing_ok=True)

    async def works(self) -> bool:
        """Whether something can be written and synced now."""
        return await self.in_thread(self._probe)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    def _probe(self) -> bool:
        path = self._directory / "probe"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                whole = os.write(file, bytes(_PROBE_BYTES)) == _PROBE_BYTES
                os.fdatasync(file)
            finally:
                os.close(file)
                path.unlink()
        except OSError:
            return False
        return whole

    def close(self) -> None:
        """Let go of everything."""
        self.thread.shutdown()
        self._files.close()
