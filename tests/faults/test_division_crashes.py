"""A crash at every change on disk while a batch is divided, stored in parts, and forgotten.

When the next process sends the batch again, the store may have been made to take what it refused: then it must not get whole
what it has in parts.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.pipeline.batcher import Batcher
from exporters.dead_letters import DeadLetters
from exporters.retrying import RetryPolicy
from exporters.send import Sender
from tests.support.accounts import Account
from tests.support.batches import numbered
from tests.support.journals import SMALL, crash_image, journal_in
from tests.support.picky import PickyStore, divided_in, set_aside_in
from tests.support.waiting import until

SPANS = 20
BAD = frozenset({3, 11})


class Crash(NamedTuple):
    """What a crash at one moment leaves, here and in the store."""

    moment: str
    directory: Path
    acknowledged: bool
    stored: dict[str, list[int]]


@dataclass
class Crashes:
    """Copies the directory whenever it is about to change."""

    directory: Path
    copies: Path
    store: PickyStore
    acknowledged: bool = False
    seen: list[Crash] = field(default_factory=list)
    _copying: threading.RLock = field(default_factory=threading.RLock)
    _is_copying: bool = False

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, and a crash before it."""

        def crashing(*args: Any, **keywords: Any) -> Any:
            with self._copying:
                if not self._is_copying:
                    self._is_copying = True
                    image = crash_image(self.directory, self.copies / str(len(self.seen)))
                    stored = {name: list(numbers) for name, numbers in self.store.stored.items()}
                    self.seen.append(Crash(f"before {work.__name__}", image, self.acknowledged, stored))
                    self._is_copying = False
                return work(*args, **keywords)

        return crashing


async def send_all(directory: Path, store: PickyStore, crashes: Crashes | None = None, *, sets_aside: bool = True) -> None:
    """One process: it sends what waits in the journal, and ends when nothing does. The first one takes the spans before that."""
    letters = DeadLetters(directory / "dead-letters", "picky", 1 << 30) if sets_aside else None
    retry = RetryPolicy(initial_s=0.001, max_s=0.002)
    with ThreadPoolExecutor(2) as executor:
        async with journal_in(directory / "journal", ["picky"], sync="always") as journal, asyncio.TaskGroup() as tasks:
            divisions = journal.divisions["picky"]
            sender = Sender(store, "picky", Account(), retry, 1.0, dead_letters=letters, divisions=divisions)
            if crashes is not None:
                await journal.put(numbered(0, SPANS))
                crashes.acknowledged = True
            batcher = Batcher(journal.cursors["picky"], SMALL, sender, 2, executor)
            tasks.create_task(batcher.run())
            await until(lambda: journal.cursors["picky"].statistics().spans == 0)
            journal.close()
            await batcher.drain(10.0)


@pytest.mark.parametrize("sets_aside", [True, False], ids=["dead letters", "no dead letters"])
@pytest.mark.parametrize("cured", [True, False], ids=["cured meanwhile", "not cured"])
async def test_no_crash_around_a_division_loses_or_doubles_a_span(tmp_path: Path, cured: bool, sets_aside: bool) -> None:
    directory = tmp_path / "spanhouse"
    directory.mkdir()
    store = PickyStore(BAD)
    crashes = Crashes(directory, tmp_path, store)
    with pytest.MonkeyPatch.context() as patched:
        for owner, name in (
            (os, "pwrite"),
            (os, "pwritev"),
            (os, "open"),
            (Path, "mkdir"),
            (os, "fdatasync"),
            (os, "fsync"),
            (Path, "rename"),
            (Path, "unlink"),
        ):
            patched.setattr(owner, name, crashes.before(getattr(owner, name)))
        await send_all(directory, store, crashes, sets_aside=sets_aside)
    aside = sorted(BAD) if sets_aside else []
    assert (store.numbers, set_aside_in(directory / "dead-letters")) == (sorted(set(range(SPANS)) - BAD), aside)
    assert not divided_in(directory)
    assert any(divided_in(crash.directory) for crash in crashes.seen)
    for crash in crashes.seen:
        later = PickyStore(frozenset() if cured else BAD, stored=crash.stored)
        await send_all(crash.directory, later, sets_aside=sets_aside)
        found = later.numbers
        assert len(found) == len(set(found)), f"doubled after a crash {crash.moment}"
        if crash.acknowledged:
            kept = {*found, *(set_aside_in(crash.directory / "dead-letters") if sets_aside else BAD)}
            assert kept == set(range(SPANS)), f"lost after a crash {crash.moment}"


@pytest.mark.parametrize("fails", ["write", "sync"])
async def test_while_it_is_not_on_disk_that_all_is_stored_the_division_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    store = PickyStore(BAD)
    crashes = Crashes(tmp_path, tmp_path, store)
    pwrite, fdatasync, is_done = os.pwrite, os.fdatasync, threading.Event()

    def write(descriptor: int, data: bytes, offset: int) -> int:
        if b'"done"' in data:
            is_done.set()
            if fails == "write":
                raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, data, offset)

    def sync(descriptor: int) -> None:
        if is_done.is_set():
            raise OSError(errno.EIO, "Input/output error")
        fdatasync(descriptor)

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(os, "fdatasync", sync)
    await send_all(tmp_path, store, crashes)
    assert is_done.is_set()
    assert divided_in(tmp_path)
    monkeypatch.undo()
    store.bad = frozenset()
    await send_all(tmp_path, store)
    assert len(store.numbers) == len(set(store.numbers))
    assert set(store.numbers) | set(set_aside_in(tmp_path / "dead-letters")) == set(range(SPANS))
