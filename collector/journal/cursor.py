"""One exporter's way through the journal: the queue that its batcher takes from."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, Protocol

import structlog

from collector.journal.cuts import Cut, CutLog
from collector.journal.decisions import DecisionLog
from collector.journal.group_commit import GroupCommit
from collector.journal.held_back import HeldBack
from collector.journal.lasting import RETRY_S, until_lasting, until_written
from collector.journal.placement import spans_placed
from collector.journal.reading import Reader, Reading, decoded_bytes
from collector.journal.records import Record
from collector.journal.segments import Segment
from collector.journal.store import Kept, Store
from collector.journal.taken import JournalTaken
from collector.ledger import OTHERS, Account, folded_delivery
from collector.queues.contract import QueueStatistics, Waiting
from collector.queues.demand import Demand
from exporters.base import Delivery

_log = structlog.get_logger(__name__)

DAMAGED: Final = "journal_damaged"
"""Why spans were dropped that cannot be read back."""


class Keeper(Protocol):
    """Who must know how far a cursor is."""

    def taken(self) -> None:
        """Spans were taken: they may leave the memory."""

    def replayed(self, exporter: str, spans: int, damaged_bytes: int) -> None:
        """Spans were read back, and so many bytes turned out to be damaged."""

    def settled(self, exporter: str, lost: int) -> None:
        """Spans were stored or dropped: they may leave the disk. So many of them could not be read."""

    def make_room(self) -> None:
        """The disk is too full for a line of a log."""


class Cursor:
    """A queue that outlives the process: what was cut and not committed is handed out again by the next one.

    Args:
        name: id of the exporter.
        log: its cuts.
        decisions: what was decided about spans that are held back.
        store: the requests.
        reader: reads those that are not in memory.
        executor: threads for that.
        commit: makes both logs last.
        keeper: is told how far the cursor is.
        waits: whether cuts are sent only once they last.
    """

    def __init__(
        self,
        name: str,
        log: CutLog,
        decisions: DecisionLog,
        store: Store,
        reader: Reader,
        executor: Executor,
        commit: GroupCommit,
        keeper: Keeper,
        *,
        waits: bool,
    ) -> None:
        self.name = name
        self.log = log
        self.decisions = decisions
        self.holds_back = False
        """Whether what is taken from now on is held back until something is decided about it."""
        self.next_span = log.next_span
        """Position of the next span to be taken; `log.next_span` follows once the cut is written."""
        self._store = store
        self._reader = reader
        self._executor = executor
        self._commit = commit
        self._waits = waits
        self._keeper = keeper
        self._again = deque(log.cuts.values())
        self._taken: list[JournalTaken] = []
        self._uncut: deque[JournalTaken] = deque()
        self._turn = asyncio.Condition()
        self._demand = Demand()
        self._closed = False
        # When what is taken next came, or what was taken last; 0 when neither is known.
        self._since_ns = 0
        self._read_at: tuple[Segment, int] | None = None
        self.account = Account(store.accepted - log.before, log.settled)
        # Whether spans may have been lost of which nobody knew whose they were.
        self._lost_unknown = True

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unfinished(self) -> int:
        return len(self._again)

    def close(self) -> None:
        self._closed = True
        self._demand.wake()

    # What comes.

    def added(self, kept: Kept) -> None:
        """A request was appended to the journal."""
        self.account.accepted.update(kept.owners)
        if self.next_span == kept.first_span:
            self._since_ns = kept.received_ns
        waiting = self.waiting()
        self._demand.offer(waiting.spans, waiting.nbytes)

    def waiting(self) -> Waiting:
        spans = self._store.end_span - self.next_span
        if self._again:
            return Waiting(max(spans, 1), self._store.segments.nbytes, math.inf)
        if not spans:
            return Waiting(0, 0, 0.0)
        if self.next_span < self._store.kept_from:
            age_s = self._store.age_s(self._since_ns) if self._since_ns else math.inf
            return Waiting(spans, decoded_bytes(self._store.bytes_of(spans)), age_s)
        oldest = next(self._store.kept_at(self.next_span))
        return Waiting(spans, self._store.kept_bytes, self._store.age_s(oldest.received_ns))

    async def wait(self, spans: float, nbytes: float, timeout_s: float | None = None) -> None:
        waiting = self.waiting()
        if not self._closed and waiting.spans < spans and waiting.nbytes < nbytes:
            await self._demand.wait(spans, nbytes, timeout_s)

    def look_again(self) -> None:
        self._demand.wake()

    # What goes.

    async def take(self, max_spans: float, max_bytes: float) -> JournalTaken | None:
        if self._again:
            taken = await self._take_again(self._again.popleft())
        elif self.next_span >= self._store.end_span:
            return None
        elif self.next_span < self._store.kept_from:
            taken = await self._take_from_disk(max_spans, max_bytes)
        else:
            taken = self._take_from_memory(max_spans, max_bytes)
        taken.held = self.holds_back
        self._taken.append(taken)
        return taken

    def _take_from_memory(self, max_spans: float, max_bytes: float) -> JournalTaken:
        kept: list[Kept] = []
        spans = nbytes = 0
        for each in self._store.kept_at(self.next_span):
            if kept and (spans + each.spans > max_spans or nbytes + each.nbytes > max_bytes):
                break
            kept.append(each)
            spans += each.spans
            nbytes += each.nbytes
        taken = JournalTaken(
            batches=[each.batch for each in kept],
            count=len(kept),
            spans=spans,
            nbytes=nbytes,
            since=kept[0].received_ns / 1e9,
            start=self.next_span,
            stop=kept[-1].stop_span,
            firsts=[each.first_span for each in kept],
            counts=[each.spans for each in kept],
        )
        # Should what follows leave the memory before it is taken, this is where it is found.
        self._read_at = kept[-1].segment, kept[-1].offset
        self._since_ns = kept[-1].received_ns
        self._advance(taken)
        return taken

    async def _take_from_disk(self, max_spans: float, max_bytes: float) -> JournalTaken:
        while True:
            start, stop = self.next_span, self._store.kept_from
            reading = await self._read(start, stop, max_spans, max_bytes)
            if start == self.next_span:
                break
        # Where nothing can be read, nothing is there, and what is missing is accounted for as such.
        taken = JournalTaken.read(
            reading.records, start, reading.records[-1].stop_span if reading.records else stop, reading.nbytes
        )
        self._advance(taken)
        self._read_at = (reading.segment, reading.offset) if reading.segment is not None else None
        self._since_ns = reading.records[-1].received_ns if reading.records else 0
        return taken

    async def _take_again(self, cut: Cut) -> JournalTaken:
        reading = await self._read(cut.start, cut.stop, math.inf, math.inf)
        return JournalTaken.read(reading.records, cut.start, cut.stop, reading.nbytes, cut)

    async def _read(self, start: int, stop: int, max_spans: float, max_bytes: float) -> Reading:
        files = self._store.files_from(start)
        known = self._read_at
        offset = 0
        if known is not None and known[0] in files and start >= self.next_span:
            files, offset = files[files.index(known[0]) :], known[1]
        read = partial(self._reader.read, files, offset, start, stop, max_spans, max_bytes)
        while True:
            try:
                reading = await asyncio.get_running_loop().run_in_executor(self._executor, read)
            except (OSError, MemoryError) as error:
                _log.error("journal_not_read", error=str(error) or repr(error), consequence="what waits on disk is not sent")
            else:
                break
            await asyncio.sleep(RETRY_S)
        self._keeper.replayed(self.name, reading.spans, reading.damaged_bytes)
        return reading

    def _advance(self, taken: JournalTaken) -> None:
        self.next_span = taken.stop
        self._uncut.append(taken)
        self._keeper.taken()

    async def cut(self, taken: JournalTaken, cuts: Sequence[slice]) -> str:
        cut = taken.cut
        if cut is None:
            async with self._turn:
                # In order: a log that tells of spans has told of all before them.
                await self._turn.wait_for(lambda: self._uncut[0] is taken)
                cut = taken.cut = await self._write_cut(taken, cuts)
                self._uncut.popleft()
                self._turn.notify_all()
            if self._waits:
                await until_lasting(self._commit, self.log.path)
        return cut.name

    async def _write_cut(self, taken: JournalTaken, cuts: Sequence[slice]) -> Cut:
        write = partial(self.log.cut, taken.start, taken.stop, taken.bounds(cuts), held=taken.held)
        return await until_written(write, self.log.path, self._keeper.make_room)

    def held_back(self) -> HeldBack:
        """What outlives the process of spans that are held back."""
        return HeldBack(self.log, self.decisions, self._commit if self._waits else None, self._keeper.make_room)

    def commit(self, taken: JournalTaken, delivery: Delivery) -> None:
        self._taken.remove(taken)
        if taken.lost:
            delivery.drop(DAMAGED, taken.lost)
            self._lost_unknown = True
        delivery.renamed.update(taken.renamed)
        if taken.cut is not None:
            self.log.complete(taken.cut, folded_delivery(delivery, self._store.accepted))
            self._account_for_lost()
        self._keeper.settled(self.name, taken.lost.total())

    async def lasts(self) -> bool:
        if not (self.decisions.flush() and self.log.flush()):
            return False
        try:
            await self._commit.wait()
        except OSError as error:
            _log.error("journal_not_synced", file=self.log.path.name, error=str(error))
            return False
        return True

    async def drop(self, records: Sequence[Record], stop: int, reason: str) -> int:
        """Give up what waits before a position; returns the number of spans.

        Args:
            records: what the files hold before `stop`, from the cursor's on.
        """
        async with self._turn:
            await self._turn.wait_for(lambda: not self._uncut)
            start = self.next_span
            if start >= stop:
                return 0
            delivery = Delivery()
            for record in records:
                if record.first_span >= start:
                    delivery.drop(reason, spans_placed(record.placement, record.spans))
            spans = sum(owners.total() for owners in delivery.dropped.values())
            if spans < stop - start:
                delivery.drop(DAMAGED, {OTHERS: stop - start - spans})
                self._lost_unknown = True
            self.next_span = stop
            self.log.drop(start, stop, folded_delivery(delivery, self._store.accepted))
            self._account_for_lost()
            self._keeper.taken()
            self._keeper.settled(self.name, stop - start - spans)
            return spans

    def _account_for_lost(self) -> None:
        """Once nothing waits, what an account still misses tells whose the spans were that could not be read."""
        end = self._store.end_span
        if not self._lost_unknown or self.log.cuts or self.log.next_span < end:
            return
        missing = self.account.missing()
        # Where it is not even, lines of the log are lost, and nobody knows what they said.
        if missing and not missing.total():
            self.log.drop(end, end, Delivery(dropped={DAMAGED: missing}))
        self._lost_unknown = False

    # What is there.

    def statistics(self) -> QueueStatistics:
        on_their_way = sum(cut.stop - cut.start for cut in self.log.cuts.values())
        spans = self._store.end_span - self.log.next_span + on_their_way
        segments = self._store.segments
        return QueueStatistics(
            spans=spans,
            nbytes=segments.nbytes if spans else 0,
            batches=len(self.log.cuts) + len(self._uncut) + len(self._store.kept),
            capacity_bytes=self._store.max_bytes,
            peak_bytes=self._store.peak_bytes,
            oldest_age_s=self._store.age_s(self._oldest_ns()) if spans else 0.0,
            refused_spans=self._store.refused_spans,
        )

    def _oldest_ns(self) -> int:
        """When the oldest came that is not stored: exactly if it is or was in memory, else when its file was begun."""
        first = min((cut.start for cut in self.log.cuts.values()), default=self.log.next_span)
        for taken in self._taken:
            if taken.start == first and taken.since:
                return int(taken.since * 1e9)
        if self._store.kept_from <= first < self._store.end_span:
            return next(self._store.kept_at(first)).received_ns
        files = self._store.files_from(first)
        return files[0].first_ns if files else self._since_ns
