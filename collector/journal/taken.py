"""Spans that a cursor has handed out: from memory, or read back and decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.journal.cuts import Cut
from collector.journal.placement import placed, spans_placed
from collector.journal.records import Record
from collector.ledger import OTHERS
from collector.queues.contract import Loaded, Taken
from exporters.tally import spans_by_owner
from proto.errors import MalformedRequest
from proto.otlp_decode import decode
from proto.spans import SpanBatch

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class JournalTaken(Taken):
    """A range of the journal.

    Attributes:
        start, stop: positions in the journal.
        firsts, counts: position of the first span of each batch, and its number of spans.
        records: what `load` decodes; empty when the batches were still in memory.
        cut: as which it is known already.
        held: whether it is to be held back, if it is not cut yet.
        lost: owner → spans in the range that cannot be read.
        renamed: as in `Delivery`, for records from before services were told apart.
    """

    start: int
    stop: int
    firsts: list[int]
    counts: list[int]
    records: list[Record] = field(default_factory=list)
    cut: Cut | None = None
    held: bool = False
    lost: Counter[str] = field(default_factory=Counter)
    renamed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, records: list[Record], start: int, stop: int, nbytes: int, cut: Cut | None = None) -> JournalTaken:
        """What was read of a range."""
        spans = sum(record.spans for record in records)
        missing = stop - start - spans
        return cls(
            batches=[],
            count=len(records),
            spans=spans,
            nbytes=nbytes,
            since=records[0].received_ns / 1e9 if records else 0.0,
            start=start,
            stop=stop,
            firsts=[record.first_span for record in records],
            counts=[record.spans for record in records],
            records=records,
            cut=cut,
            lost=Counter({OTHERS: missing} if missing else {}),
        )

    def load(self) -> Loaded:
        if self.records:
            self._decode()
        if self.cut is None:
            return Loaded(self.batches)
        bounds = self._in_batch(self.cut.bounds)
        return Loaded(self.batches, [slice(start, stop) for start, stop in pairwise(bounds.tolist())])

    def _decode(self) -> None:
        """Make batches of the records; nothing is counted before there was memory for all of them."""
        decoded = [_decoded(record) for record in self.records]
        owners = [Counter() if batch is None else Counter(spans_by_owner(batch)) for batch in decoded]
        for record, batch, found in zip(self.records, decoded, owners, strict=True):
            if batch is None:
                self.lost.update(spans_placed(record.placement, record.spans))
            else:
                self._compare(record, len(batch), found)
        self.counts = [0 if batch is None else len(batch) for batch in decoded]
        self.batches = [batch for batch in decoded if batch is not None]
        self.records = []

    def bounds(self, cuts: Sequence[slice]) -> list[int]:
        """Positions in the journal where pieces of the joined batch begin, and where the last one ends."""
        starts = np.array([cut.start for cut in cuts], np.int64)
        ends = np.cumsum(self.counts, dtype=np.int64)
        batch = np.searchsorted(ends, starts, side="right")
        firsts = np.array(self.firsts, np.int64)
        positions: list[int] = (firsts[batch] + starts - (ends - self.counts)[batch]).tolist()
        return [*positions, self.stop]

    def _in_batch(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """Indices of spans of the joined batch that lie at these positions of the journal, or next behind them."""
        before = np.array(positions, np.int64)[:, None] - np.array(self.firsts, np.int64)[None, :]
        indices: NDArray[np.int64] = np.clip(before, 0, np.array(self.counts, np.int64)[None, :]).sum(axis=1)
        return indices

    def _compare(self, record: Record, spans: int, found: Counter[str]) -> None:
        """Count what is not as it was when the spans were accepted.

        Args:
            record: as they were accepted.
            spans, found: how many there are now, and whose.
        """
        accepted = spans_placed(record.placement, record.spans)
        if found == accepted:
            return
        if spans < record.spans:
            found[OTHERS] += record.spans - spans
            self.lost[OTHERS] += record.spans - spans
        self.renamed.update(found)
        self.renamed.subtract(accepted)


def _decoded(record: Record) -> SpanBatch | None:
    """The spans of a record; None when none can be read any more."""
    try:
        # The body is whole, so this is the request that was acknowledged, and the same spans come out of it again.
        return placed(decode(record.body).batch, record.placement)  # type: ignore[arg-type]  # any buffer does
    except MalformedRequest as error:
        _log.error("journal_request_unreadable", spans=record.spans, error=str(error))
        return None
