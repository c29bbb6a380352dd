"""The journal: requests are on disk before they are acknowledged, and stay there until every exporter has stored them.

It is a directory:

    lock                      held by the process that uses it
    FIRST_SPAN-SEED.journal   requests, in files of limited size (`records.py`, `segments.py`)
    EXPORTER.cuts             one exporter's way through them (`cuts.py`)
    EXPORTER.decisions/       what was decided about spans that its pipeline holds back (`decisions.py`)
    EXPORTER.divided/         which spans it has sent in parts (`exporters/divisions.py`)
    reserve                   room on a full disk for lines of these logs, without which nothing could ever be deleted
    refused.json              what was not accepted, for the account (`refusals.py`)
    corrupt/                  copies of what was damaged

A position in the journal is a number of spans: how many had been accepted before.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from collector import metrics
from collector.clock import Clock
from collector.errors import Refused, Retryable, Unconfirmed
from collector.journal import refusals
from collector.journal.clearing import Clearing
from collector.journal.cursor import DAMAGED, Cursor
from collector.journal.cuts import CutLog
from collector.journal.decisions import DecisionLog
from collector.journal.disk import Disk
from collector.journal.opening import open_journal
from collector.journal.segments import Segment
from collector.journal.settings import JournalSettings
from collector.ledger import Ledger
from collector.queues.contract import CLOSED
from collector.spaced_log import SpacedLog
from collector.telemetry import Telemetry
from exporters.divisions import Divisions
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)

_RESERVED_BYTES: Final = 1 << 20
"""What is reserved for lines of logs."""
_RESERVED_FOR_DECISIONS: Final = 6 << 20
"""The same for each exporter whose pipeline holds spans back: what can be decided at one time, twice."""
_TICK_S: Final = 1.0
_PAUSE_S: Final = 1.0
"""How long requests are refused unread after one did not fit, or could not be written."""
_LITTLE: Final = 16
_MOST_LITTLE: Final = 1 << 20
"""There is little room where less is left than that part of the journal, or so many bytes if that is less."""


class Journal:
    """Where receivers put spans and exporters find them. Belongs to one event loop; enter it (`async with`) to use it.

    Args:
        settings: how it is kept.
        exporters: ids of those that must store every span.
        executor: threads that read.
        telemetry: where to count.
        clock: the time.

    Raises:
        JournalError: the directory cannot be used, or another process uses it.
    """

    def __init__(
        self, settings: JournalSettings, exporters: Sequence[str], executor: Executor, telemetry: Telemetry, clock: Clock
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._clock = clock
        observe = telemetry.histogram(metrics.JOURNAL_SYNC_SECONDS, ()).observe
        self._disk = Disk(settings.directory, settings.sync != "never", observe)
        opened = open_journal(settings, exporters, self._disk.roll, clock)
        self._lock, self._store = opened.lock, opened.store
        begun_at = self._store.end_span
        telemetry.count(metrics.JOURNAL_DAMAGED_BYTES, (), opened.damaged_bytes)
        self._disk.watch(
            self._store.segments,
            {name: partial(_sync_both, log, opened.decisions[name]) for name, log in opened.logs.items()},
        )
        self.cursors: Mapping[str, Cursor] = {
            name: Cursor(
                name,
                log,
                opened.decisions[name],
                self._store,
                opened.reader,
                executor,
                self._disk.logs[name],
                self,
                waits=settings.sync == "always",
            )
            for name, log in opened.logs.items()
        }
        self._clearing = Clearing(settings, self._store, opened.reader, self._disk, self.cursors, telemetry)
        self.divisions: Mapping[str, Divisions] = opened.divisions
        """Which spans each exporter has sent in parts, by its id."""
        telemetry.read(metrics.JOURNAL_BYTES, (), lambda: self._store.segments.nbytes)
        telemetry.read(metrics.JOURNAL_CAPACITY, (), lambda: settings.max_bytes)
        telemetry.read(metrics.JOURNAL_MEMORY_BYTES, (), lambda: self._store.kept_bytes)
        telemetry.read(metrics.JOURNAL_APPENDED_SPANS, (), lambda: self._store.end_span - begun_at)
        self.ledger = Ledger(refused=refusals.load(settings.directory), lasting=True)
        self._saved = refusals.content(self.ledger.refused)
        self._closed = False
        self._full = False
        """Whether the last request that came did not fit, and nothing has gone since."""
        self._failure = ""
        self._refused_until_s = 0.0
        self._complaints = SpacedLog(_log, clock.monotonic)
        self._room = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reserve()
        self._ticking = asyncio.create_task(self._tick_on(), name="journal")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait({self._ticking})
        await self._clearing.close()
        if self._settings.sync != "never":
            await self._disk.sync_all()
        self._save_refusals()
        self._store.segments.end()
        self._disk.close()
        os.close(self._lock)
        for cursor in self.cursors.values():
            cursor.log.close()
            cursor.decisions.close()

    # The way in.

    def close(self) -> None:
        """Let nothing more in."""
        self._closed = True

    def check_open(self) -> None:
        if self._closed:
            raise Retryable(CLOSED)
        if self._clock.monotonic() < self._refused_until_s:
            raise Retryable(self.trouble)

    async def put(self, batch: SpanBatch) -> None:
        if self._closed:
            raise Retryable(CLOSED)
        placed = self._store.place(batch)
        size = placed.size
        if size > self._settings.max_bytes:
            self._store.refused_spans += len(batch)
            raise Refused(
                f"the request takes {size} bytes, more than the whole journal ({self._settings.max_bytes})", "too_large"
            )
        if self._store.segments.nbytes + size > self._settings.max_bytes:
            await self._make_room_for(size, len(batch))
        self._clearing.end_old_file()
        try:
            kept = self._store.append(placed)
        except OSError as error:
            self._store.refused_spans += len(batch)
            self._not_written(error)
            raise Retryable(self.trouble) from error
        self._written(kept.segment)
        self._store.shrink()
        for cursor in self.cursors.values():
            cursor.added(kept)
        if self._settings.sync == "always":
            try:
                await self._disk.requests.wait()
            except OSError as error:
                # What is in the file's pages now may never reach the disk, though the next sync will say so.
                self._store.segments.end()
                self._not_written(error)
                raise Unconfirmed(self.trouble) from error

    async def check(self) -> str:
        """`trouble`, for who asks whether the daemon is ready."""
        return self.trouble

    @property
    def trouble(self) -> str:
        """Why nothing can be let in at the moment, as a sentence; empty when it can."""
        if self._failure:
            return self._failure
        if self._full:
            held = self._store.segments.nbytes
            return f"the journal is full: {held} of {self._settings.max_bytes} bytes wait to be stored"
        return ""

    def _written(self, segment: Segment) -> None:
        self._disk.written(segment)
        self._full = False
        if self._failure:
            self._recovered()

    def _recovered(self) -> None:
        _log.info("journal_writable_again", after=self._failure)
        self._failure = ""
        self._refused_until_s = 0.0

    def _not_written(self, error: OSError) -> None:
        trouble = f"the journal cannot be written: {error.strerror}"
        if self._failure != trouble:
            _log.error("journal_not_written", error=str(error), consequence="requests are refused")
        self._failure = trouble
        self._pause()

    def _pause(self) -> None:
        """Refuse requests unread for a while."""
        self._refused_until_s = self._clock.monotonic() + _PAUSE_S

    async def _make_room_for(self, size: int, spans: int) -> None:
        """Find room for a request. Raises Retryable."""
        async with self._room:
            await self._clearing.make_room_for(size)
        held, most = self._store.segments.nbytes, self._settings.max_bytes
        if held + size > most:
            if not self._full:
                self._complaints.error("journal_full", bytes=held, max_bytes=most, request_bytes=size)
            self._full = True
            self._store.refused_spans += spans
            # One that did not fit says nothing of smaller ones, as long as there is room for many of those.
            if most - held < min(most // _LITTLE, _MOST_LITTLE):
                self._pause()
            raise Retryable(self.trouble)

    # What cursors tell.

    def taken(self) -> None:
        self._store.forget(min(cursor.next_span for cursor in self.cursors.values()))

    def replayed(self, exporter: str, spans: int, damaged_bytes: int) -> None:
        self._telemetry.count(metrics.JOURNAL_REPLAYED_SPANS, (exporter,), spans)
        self._telemetry.count(metrics.JOURNAL_DAMAGED_BYTES, (), damaged_bytes)

    def settled(self, exporter: str, lost: int) -> None:
        if lost:
            _log.error("spans_dropped", exporter=exporter, spans=lost, reason=DAMAGED)
            self._telemetry.exporter(exporter).dropped(lost, DAMAGED)
        self._disk.dirty = True
        self._full = False
        self._refused_until_s = 0.0
        self._clearing.collect()

    def make_room(self) -> None:
        self._disk.release_reserve()

    # Upkeep.

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sync_interval_s if self._settings.sync == "interval" else _TICK_S)
            try:
                await self._tick()
            except Exception:  # noqa: BLE001 - whatever it is, what comes must be synced all the same
                _log.exception("journal_upkeep_failed")

    async def _tick(self) -> None:
        if self._settings.sync == "interval" and self._disk.dirty:
            await self._disk.sync_all()
        if self._failure and self._clock.monotonic() >= self._refused_until_s and await self._disk.works():
            # Nobody may be sending any more, as long as the daemon says that it is not ready.
            self._recovered()
        await self._clearing.drop_expired()
        self._reserve()
        self._save_refusals()
        self._clearing.collect()

    def _reserve(self) -> None:
        holding = sum(cursor.holds_back for cursor in self.cursors.values())
        self._disk.reserve(_RESERVED_BYTES + holding * _RESERVED_FOR_DECISIONS)

    def _save_refusals(self) -> None:
        """Write down what was refused, when that has changed: what a crash takes of it is missing from what was received, too."""
        content = refusals.content(self.ledger.refused)
        if content != self._saved:
            with suppress(OSError):
                refusals.save(self._settings.directory, content)
                self._saved = content


def _sync_both(cuts: CutLog, decisions: DecisionLog) -> None:
    """Make an exporter's logs last; decisions first, as without them cuts that are done say too little. Raises OSError."""
    decisions.sync()
    cuts.sync()
