"""Clears the journal: deletes files that nobody needs any more, and gives up what waits in others where a rule says so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from collector.journal.cursor import Cursor
from collector.journal.disk import Disk
from collector.journal.reading import Reader
from collector.journal.segments import Segment
from collector.journal.settings import JournalSettings
from collector.journal.store import Store
from collector.telemetry import Telemetry

_log = structlog.get_logger(__name__)

FULL: Final = "journal_full"
"""Why spans were dropped that waited while newer ones came, with `on_full: drop_oldest`."""
EXPIRED: Final = "journal_max_age"
"""Why spans were dropped that waited for longer than `max_age`."""

_AGES: Final = 8
"""With `max_age`, a file holds what came within an eighth of it."""


class Clearing:
    """What takes files away. Belongs to the event loop of the journal.

    Args:
        settings: of the journal.
        store: the files.
        reader: reads them.
        disk: where they are.
        cursors: of the exporters, by their ids.
        telemetry: where to count what is dropped.
    """

    def __init__(
        self,
        settings: JournalSettings,
        store: Store,
        reader: Reader,
        disk: Disk,
        cursors: Mapping[str, Cursor],
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._store = store
        self._reader = reader
        self._disk = disk
        self._cursors = cursors
        self._telemetry = telemetry
        self._deleting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Delete nothing more."""
        if self._deleting is not None:
            self._deleting.cancel()
            await asyncio.wait({self._deleting})

    def end_old_file(self) -> None:
        """With `max_age`, let no file hold what came over a long time, as it goes as a whole."""
        current, max_age_s = self._store.segments.current, self._settings.max_age_s
        if max_age_s and current is not None and self._store.age_s(current.first_ns) > max_age_s / _AGES:
            self._store.segments.end()

    async def make_room_for(self, size: int) -> None:
        """Find room for a request of so many bytes, if there is any."""
        current = self._store.segments.current
        if current is not None and not self._needed(current):
            # A file that is appended to cannot be deleted, though nothing in it may be wanted any more.
            self._store.segments.end()
        self.collect()
        await self._deleted()
        if self._settings.on_full == "drop_oldest":
            await self._drop_oldest(size)

    async def _drop_oldest(self, size: int) -> None:
        segments = self._store.segments
        for segment in segments.all.copy():
            if segments.nbytes + size <= self._settings.max_bytes:
                return
            await self._drop(segment, FULL)
            await self._deleted()

    async def drop_expired(self) -> None:
        """With `max_age`, give up what has waited for longer."""
        if not self._settings.max_age_s:
            return
        self.end_old_file()
        for segment in self._store.segments.all.copy():
            current = self._store.segments.current
            if segment is current or self._store.age_s(segment.last_ns) < self._settings.max_age_s:
                return
            await self._drop(segment, EXPIRED)

    async def _drop(self, segment: Segment, reason: str) -> None:
        """Give up what waits in a file, by rule."""
        segments = self._store.segments
        if segment not in segments.all:
            return  # deleted while those before it were dropped
        if segment is segments.current:
            segments.end()
        stop = segments.stop_span(segment, self._store.end_span)
        read = partial(self._reader.read, [segment], 0, segment.first_span, stop, math.inf, math.inf)
        reading = await self._disk.in_thread(read)
        for name, cursor in self._cursors.items():
            spans = await cursor.drop(reading.records, stop, reason)
            if spans:
                _log.error("spans_dropped", exporter=name, spans=spans, reason=reason)
                self._telemetry.exporter(name).dropped(spans, reason)

    def collect(self) -> None:
        """Delete, by and by, the files that nobody needs."""
        segments = self._store.segments
        if self._deleting is None and (
            any(each is not segments.current and not self._needed(each) for each in segments.all)
            or any(cursor.decisions.wasted(cursor.log.cuts) for cursor in self._cursors.values())
        ):
            self._deleting = asyncio.create_task(self._delete(), name="journal deletion")

    def _needed(self, segment: Segment) -> bool:
        stop = self._store.segments.stop_span(segment, self._store.end_span)
        return any(cursor.log.needs(segment.first_span, stop) for cursor in self._cursors.values())

    async def _deleted(self) -> None:
        """Return when nothing is being deleted."""
        if self._deleting is not None:
            await asyncio.wait({self._deleting})

    async def _delete(self) -> None:
        segments = self._store.segments
        done = [each for each in segments.all if each is not segments.current and not self._needed(each)]
        wasted = [(cursor.decisions, cursor.decisions.wasted(cursor.log.cuts)) for cursor in self._cursors.values()]
        try:
            # Else a power cut might leave a log that still asks for what is gone.
            if all(cursor.log.flush() and cursor.decisions.flush() for cursor in self._cursors.values()):
                if self._settings.sync != "never":
                    await self._disk.sync_logs()
                for segment in done:
                    segments.delete(segment)
                for decisions, files in wasted:
                    for file in files:
                        decisions.delete(file)
                self._disk.deleted()
        except OSError as error:
            _log.error("journal_not_deleted", error=str(error))
        finally:
            self._deleting = None
