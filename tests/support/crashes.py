"""A crash before and half way through every single change that the journal makes to its directory.

Whenever the journal is about to write, create, rename or delete, and half way through every write, the directory is copied as a
crash would leave it, together with what had been acknowledged and what the store had by then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proto.spans import SpanBatch
from tests.support.journals import Deposit, crash_image

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
                for path in filter(Path.is_file, self.directory.rglob("*")):
                    kept = min(self.synced.get(path.stat().st_ino, 0), path.stat().st_size)
                    truncate(image / path.relative_to(self.directory), kept)
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
        self.deposit.before = self.before_storing

    def _before(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def crashing(*args: Any, **keywords: Any) -> Any:
            self.crash(f"before {name}")
            return work(*args, **keywords)

        return crashing

    async def before_storing(self, batch: SpanBatch) -> None:
        """What the store is asked to do first with every batch."""
        self.crash("insert in flight")
