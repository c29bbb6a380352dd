"""The requests of a journal: all of them on disk, the newest in memory as well."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import orjson

from collector.clock import Clock
from collector.journal.placement import placement
from collector.journal.records import ACCOUNT, HEADER, REQUEST, head
from collector.journal.segments import Segment, Segments
from collector.ledger import folded
from exporters.tally import spans_by_owner
from proto.spans import SpanBatch

_NS: Final = 1_000_000_000


class Kept(NamedTuple):
    """A request that is in memory, and where it lies on disk."""

    first_span: int
    spans: int
    nbytes: int
    received_ns: int
    batch: SpanBatch
    owners: Mapping[str, int]
    segment: Segment
    offset: int

    @property
    def stop_span(self) -> int:
        """Position behind its spans."""
        return self.first_span + self.spans


class Placed(NamedTuple):
    """A request that is to be appended.

    Attributes:
        batch: its spans.
        owners: owner → spans, as they are accepted.
        placement: the same for the record.
        size: how many bytes it takes on disk, at most.
    """

    batch: SpanBatch
    owners: Mapping[str, int]
    placement: bytes
    size: int


class Store:
    """Appends requests.

    Args:
        segments: the files.
        end_span: position of the next span.
        accepted: owner → spans accepted so far.
        max_bytes: how much the files may take.
        memory_bytes: how much the requests that are kept in memory may take, as `SpanBatch.nbytes` counts.
        clock: the time.
    """

    def __init__(
        self, segments: Segments, end_span: int, accepted: Counter[str], max_bytes: int, memory_bytes: int, clock: Clock
    ) -> None:
        self.segments = segments
        self.end_span = end_span
        self.accepted = accepted
        self.max_bytes = max_bytes
        self.peak_bytes = segments.nbytes
        self.refused_spans = 0
        self._memory_bytes = memory_bytes
        self.kept: deque[Kept] = deque()
        self.kept_bytes = 0
        self._monotonic = clock.monotonic
        # A clock that is set while the daemon runs must not make requests older or younger than they are.
        self._epoch_s = clock.now() / _NS - clock.monotonic()

    def now_s(self) -> float:
        """Seconds since 1970 by the clock as it was at the start."""
        return self._epoch_s + self._monotonic()

    def age_s(self, received_ns: int) -> float:
        """Seconds since a time; 0 for one that is yet to come, as after a clock was set back between two runs."""
        return max(0.0, self.now_s() - received_ns / _NS)

    def place(self, batch: SpanBatch) -> Placed:
        """What a request will be on disk."""
        owners = folded(spans_by_owner(batch), self.accepted)
        described = placement(batch, owners)
        size = HEADER.size + len(described) + len(batch.request)
        if self.segments.room_for(size) is None:
            size += HEADER.size + len(self._account())
        return Placed(batch, owners, described, size)

    def _account(self) -> bytes:
        """What stands at the head of a file that is begun now."""
        return orjson.dumps(self.accepted)

    def bytes_of(self, spans: int) -> int:
        """About how many bytes so many of the spans on disk take there."""
        files = self.segments.all
        return self.segments.nbytes * spans // max(spans, self.end_span - files[0].first_span) if files else 0

    def append(self, placed: Placed) -> Kept:
        """Write a request, and keep it in memory until `forget` or `shrink`.

        Raises:
            OSError: it could not be written; nothing has changed.
        """
        batch = placed.batch
        spans, received_ns = len(batch), int(self.now_s() * _NS)
        body = batch.request
        segment, opening = self.segments.room_for(placed.size), []
        if segment is None:
            segment = self.segments.begin(self.end_span, received_ns)
            account = self._account()
            opening = [head(segment.seed, ACCOUNT, self.end_span, 0, received_ns, b"", account), account]
        header = head(segment.seed, REQUEST, self.end_span, spans, received_ns, placed.placement, body)
        try:
            offset = self.segments.append(segment, [*opening, header, body])
        except OSError:
            if opening:
                self.segments.delete(segment)
            raise
        segment.last_ns = received_ns
        self.peak_bytes = max(self.peak_bytes, self.segments.nbytes)
        offset += sum(map(len, opening))
        kept = Kept(self.end_span, spans, batch.nbytes, received_ns, batch, placed.owners, segment, offset)
        self.kept.append(kept)
        self.kept_bytes += kept.nbytes
        self.end_span += spans
        self.accepted.update(kept.owners)
        return kept

    @property
    def kept_from(self) -> int:
        """Position from which on everything is in memory."""
        return self.kept[0].first_span if self.kept else self.end_span

    def kept_at(self, span: int) -> Iterator[Kept]:
        """What is kept from a position on."""
        first = bisect_left(self.kept, span, key=lambda kept: kept.first_span) if span > self.kept_from else 0
        return islice(self.kept, first, None)

    def forget(self, before: int) -> None:
        """Keep nothing in memory that lies before a position."""
        while self.kept and self.kept[0].first_span < before:
            self.kept_bytes -= self.kept.popleft().nbytes

    def shrink(self) -> None:
        """Drop the oldest from memory until the bound is kept."""
        while self.kept_bytes > self._memory_bytes:
            self.kept_bytes -= self.kept.popleft().nbytes

    def files_from(self, span: int) -> list[Segment]:
        """The file in which a position lies, and those behind it."""
        return self.segments.all[self.segments.at(span) :]
