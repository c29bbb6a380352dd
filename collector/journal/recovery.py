"""What a journal holds after whatever ended the process that wrote it: the files are checked from the newest backwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import orjson
import structlog

from collector.journal.placement import spans_placed
from collector.journal.reading import Reader
from collector.journal.records import ACCOUNT, REQUEST, Damage, Record
from collector.journal.segments import Segment, Segments
from collector.ledger import OTHERS

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Recovered:
    """The state of the files.

    Attributes:
        end_span: position behind the last span.
        accepted: owner → spans before it.
        damaged_bytes: bytes that were cut off or set aside.
    """

    end_span: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    damaged_bytes: int = 0

    def account_for_all(self) -> None:
        """Count spans of which nothing is known."""
        unknown = self.end_span - self.accepted.total()
        if unknown:
            self.accepted[OTHERS] += unknown


def recover(segments: Segments, reader: Reader) -> Recovered:
    """Check the files of a journal, and cut off a torn end.

    Raises:
        OSError: a file cannot be read, or a torn one not be cut.
    """
    _delete_attempts(segments)
    found = Recovered()
    for segment in reversed(segments.all.copy()):
        before = _check(segment, segments, reader, found, newest=segment is segments.all[-1])
        if before is not None:
            found.accepted.update(before)
            break
    found.account_for_all()
    return found


def _delete_attempts(segments: Segments) -> None:
    """Delete what is left of files that could neither be begun nor, in the same trouble, deleted: others begin where they do."""
    files = Counter(segment.first_span for segment in segments.all)
    for segment in segments.all.copy():
        if files[segment.first_span] > 1 and not any(
            isinstance(item, Record) and item.kind == REQUEST for item in segment.read()
        ):
            segments.delete(segment)
            files[segment.first_span] -= 1


def _check(segment: Segment, segments: Segments, reader: Reader, found: Recovered, *, newest: bool) -> Counter[str] | None:
    """Count what one file holds; returns what was accepted before it, if it tells."""
    before: Counter[str] | None = None
    holds_requests = False
    found.end_span = max(found.end_span, segment.first_span)
    for item in segment.read():
        if isinstance(item, Damage):
            if newest and item.stop == segment.size:
                _log.warning("journal_end_cut_off", file=segment.path.name, offset=item.offset, bytes=item.stop - item.offset)
                found.damaged_bytes += item.stop - item.offset
                segments.truncate(segment, item.offset)
            else:
                found.damaged_bytes += reader.set_aside(segment, item)
        elif item.kind == ACCOUNT:
            before = Counter(orjson.loads(item.body))
        else:
            holds_requests = True
            found.end_span = max(found.end_span, item.stop_span)
            found.accepted.update(spans_placed(item.placement, item.spans))
    if newest and not holds_requests:
        # The next file begins at the same position, and no two may.
        segments.delete(segment)
        return None
    return before
