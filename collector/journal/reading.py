"""Reads requests back from the files of the journal, in a thread, and sets aside what is damaged."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from collector.journal.records import REQUEST, Damage, Record
from collector.journal.segments import Segment

_log = structlog.get_logger(__name__)

_GONE_FOR_GOOD: Final = frozenset({errno.ENOENT, errno.EIO})
_DECODED_SHARE: Final = 3


def decoded_bytes(nbytes: int) -> int:
    """Bytes of memory that so many bytes of requests take once they are decoded, estimated."""
    return nbytes * _DECODED_SHARE


@dataclass(slots=True)
class Reading:
    """What was read.

    Attributes:
        records: requests, in order.
        spans: of them.
        nbytes: estimated bytes of memory that they take when decoded.
        damaged_bytes: bytes of the files that could not be read and were not known of before.
        segment: the file that the last of them is in; None without any.
        offset: where reading goes on in it.
    """

    records: list[Record] = field(default_factory=list)
    spans: int = 0
    nbytes: int = 0
    damaged_bytes: int = 0
    segment: Segment | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads requests by their position.

    Attributes:
        aside: the directory for what is damaged; it need not exist.
    """

    aside: Path

    def read(
        self, segments: Sequence[Segment], offset: int, start: int, stop: int, max_spans: float, max_bytes: float
    ) -> Reading:
        """Requests between two positions that keep within both limits, at least one if there is one.

        Args:
            segments: the file that `start` is in, and those behind it.
            offset: in the first of them, from where to look.

        Raises:
            OSError: they cannot be read now, as when there are too many open files. Files that are gone, or that the disk has
                lost, are passed over.
        """
        reading = Reading()
        for segment in segments:
            try:
                for item in segment.read(offset):
                    if isinstance(item, Damage):
                        reading.damaged_bytes += self.set_aside(segment, item)
                    elif item.kind == REQUEST and item.first_span >= start:
                        if item.stop_span > stop or not self._take(reading, segment, item, max_spans, max_bytes):
                            return reading
                        start = item.stop_span
            except OSError as error:
                if error.errno not in _GONE_FOR_GOOD:
                    raise
                # The gap that it leaves is counted by whoever asked.
                _log.error("journal_file_unreadable", file=segment.path.name, error=str(error))
            offset = 0
        return reading

    def _take(self, reading: Reading, segment: Segment, record: Record, max_spans: float, max_bytes: float) -> bool:
        nbytes = decoded_bytes(record.size)
        if reading.records and (reading.spans + record.spans > max_spans or reading.nbytes + nbytes > max_bytes):
            return False
        reading.records.append(record)
        reading.spans += record.spans
        reading.nbytes += nbytes
        reading.segment, reading.offset = segment, record.offset + record.size
        return True

    def set_aside(self, segment: Segment, damage: Damage) -> int:
        """Copy what is damaged, and log it; returns how many bytes are newly so."""
        size = damage.stop - damage.offset
        copy = self.aside / f"{segment.path.stem}-{damage.offset}.damaged"
        if copy.exists():
            return 0
        _log.error("journal_damaged", file=segment.path.name, offset=damage.offset, bytes=size, copy=str(copy))
        try:
            self.aside.mkdir(mode=0o700, exist_ok=True)
            with segment.path.open("rb") as file:
                file.seek(damage.offset)
                content = file.read(size)
            copy.touch(mode=0o600)
            copy.write_bytes(content)
        except OSError as error:
            _log.error("journal_damage_not_copied", error=str(error))
        return size
