"""The log of what was decided about spans that one exporter's pipeline holds back (`collector/queues/held.py`).

It is a directory, `EXPORTER.decisions`, of files like those with requests (`segments.py`), made when the first line is written. A
record is an emission, with what was decided as its body, or tells that all which an emission kept is stored or dropped. An
emission is there twice: without it spans would be stored twice. The oldest file goes when all pieces in it are committed, all
its emissions done, and as many decisions as shall be remembered are in younger files.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from collector.journal.cuts import delivery_entry, read_delivery
from collector.journal.records import Damage, Record, head
from collector.journal.segments import Segment, Segments
from collector.journal.unsynced import UnsyncedFiles
from collector.queues.held import Emission, Recorded
from exporters.base import Delivery

_log = structlog.get_logger(__name__)

EMISSION: Final = 2
DONE: Final = 3
"""Kinds of records, beside those in `records.py`."""
SUFFIX: Final = ".decisions"
_SEGMENT_BYTES: Final = 1 << 20
_MOST_TIMES: Final = 2
"""Where decisions of one kind are rare, or late spans many, decisions are looked for among this many times those that are to be
remembered, lest the log grow without bound."""


@dataclass(slots=True)
class _Content:
    """What one file is there for.

    Attributes:
        cuts: names of cuts whose pieces came since the emission before.
        open: names of emissions of which something is still to be stored.
        kept, dropped: number of traces about which something was decided for the first time.
        late: number of those about which something had been decided before.
    """

    cuts: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    kept: int = 0
    dropped: int = 0
    late: int = 0


class DecisionLog:
    """The log of one exporter. Raises OSError where files cannot be read.

    Args:
        directory: where it is; it need not exist.
        keeps_rolled: whether files that are full are synced before they are closed.

    Attributes:
        path: of the directory.
        next_piece: number of the next piece.
        damaged_bytes: bytes that could not be read.
    """

    def __init__(self, directory: Path, keeps_rolled: bool) -> None:
        self.path = directory
        self._files = UnsyncedFiles([directory, directory.parent], keeps_rolled=keeps_rolled)
        self._segments: Segments | None = None
        self._contents: dict[Segment, _Content] = {}
        self._past: dict[str, Recorded] = {}
        self._unwritten: list[bytes] = []
        self._position = 0
        self._remembered = (0, 0)
        self.next_piece = 1
        self.damaged_bytes = 0
        if directory.is_dir():
            self._load(self._open())

    def remember(self, kept: int, dropped: int) -> None:
        """Hold on to so many of the newest decisions of either kind, as far as they are not much older than the others."""
        self._remembered = kept, dropped

    def recorded(self) -> Iterator[Recorded]:
        """What was in it when it was loaded, the oldest first; once."""
        past, self._past = self._past, {}
        while past:
            yield past.pop(next(iter(past)))

    def append(self, emission: Emission) -> None:
        """Write an emission down.

        Raises:
            OSError: it could not be written, so there is no such emission.
        """
        facts = {
            "name": emission.name,
            "first": emission.first,
            "pieces": list(emission.pieces),
            "stops": list(emission.stops),
            "kept": emission.kept,
            "dropped": emission.dropped,
            "late": emission.late,
        }
        self._write_unwritten()
        self._write(EMISSION, orjson.dumps(facts), emission.decisions, emission.time_ns, 2)
        self.next_piece = emission.through + 1

    def done(self, name: str, shares: Mapping[str, Delivery]) -> None:
        """Write down that an emission is done; `flush` says whether that succeeded."""
        self._close(name)
        entries = {piece: delivery_entry(each) for piece, each in shares.items()}
        self._unwritten.append(orjson.dumps({"name": name, "shares": entries}))
        self.flush()

    def flush(self) -> bool:
        """Write what could not be written before; returns whether all is written."""
        try:
            self._write_unwritten()
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Make all that is written last; of use from any thread. Raises OSError."""
        self._files.sync(lambda: self._segments.file if self._segments is not None else -1)

    def close(self) -> None:
        """Let go of the files."""
        if self._segments is not None:
            self._segments.end()
        self._files.close()

    def wasted(self, cuts: Container[str]) -> list[Segment]:
        """Files that nobody needs.

        Args:
            cuts: names of those that are not committed.
        """
        kept = sum(content.kept for content in self._contents.values())
        dropped = sum(content.dropped for content in self._contents.values())
        late = sum(content.late for content in self._contents.values())
        wasted: list[Segment] = []
        for segment, content in self._contents.items():
            kept -= content.kept
            dropped -= content.dropped
            late -= content.late
            in_use = self._segments is not None and segment is self._segments.current
            is_needed = in_use or bool(content.open) or any(cut in cuts for cut in content.cuts)
            if is_needed or self._to_remember(content, kept, dropped, late):
                break
            wasted.append(segment)
        return wasted

    def _to_remember(self, content: _Content, kept: int, dropped: int, late: int) -> bool:
        """Whether decisions of a file are to be remembered; so many of each kind are in younger ones."""
        most_kept, most_dropped = self._remembered
        newest = (content.kept and kept < most_kept) or (content.dropped and dropped < most_dropped)
        return bool(newest) and kept + dropped + late < _MOST_TIMES * (most_kept + most_dropped)

    def delete(self, segment: Segment) -> None:
        """Delete a file. Raises OSError."""
        assert self._segments is not None  # noqa: S101 - a file of it is there
        self._segments.delete(segment)
        del self._contents[segment]
        self._files.names.changed = True

    def _write_unwritten(self) -> None:
        while self._unwritten:
            self._write(DONE, self._unwritten[0], b"", 0, 1)
            del self._unwritten[0]

    def _write(self, kind: int, facts: bytes, body: bytes, time_ns: int, times: int) -> None:
        segments = self._segments or self._open()
        segment = segments.room_for((len(facts) + len(body)) * times)
        begun = segment is None
        if segment is None:
            segment = segments.begin(self._position, time_ns)
            self._files.names.changed = True
        record = [head(segment.seed, kind, self._position, 1, time_ns, facts, body), body]
        try:
            segments.append(segment, record * times)
        except OSError:
            if begun:
                segments.delete(segment)
            raise
        self._position += 1
        self._take_in(segment, kind, orjson.loads(facts))

    def _open(self) -> Segments:
        self.path.mkdir(mode=0o700, exist_ok=True)
        self._segments = Segments(self.path, _SEGMENT_BYTES, self._files.roll)
        return self._segments

    def _load(self, segments: Segments) -> None:
        for segment in segments.all.copy():
            for item in segment.read():
                if isinstance(item, Damage):
                    if segment is segments.all[-1] and item.stop == segment.size:
                        # The end of a line that was being written, of which nothing was sent.
                        segments.truncate(segment, item.offset)
                    else:
                        self.damaged_bytes += item.stop - item.offset
                    continue
                facts = orjson.loads(item.placement)
                if item.stop_span > self._position:  # else it is there for the second time
                    self._position = item.stop_span
                    self._take_in(segment, item.kind, facts)
                    self._recall(item, facts)
            self._contents.setdefault(segment, _Content())
            # Where nothing of a file can be read, its name is taken all the same.
            self._position = max(self._position, segment.first_span + 1)

    def _take_in(self, segment: Segment, kind: int, facts: Mapping[str, Any]) -> None:
        """Take note of what a file says."""
        content = self._contents.setdefault(segment, _Content())
        if kind == DONE:
            self._close(facts["name"])
            return
        if facts["stops"]:
            content.open.add(facts["name"])
        content.cuts.update(cut_of(piece) for piece in facts["pieces"])
        content.kept += facts["kept"]
        content.dropped += facts["dropped"]
        content.late += facts.get("late", 0)  # which earlier versions counted among the others

    def _close(self, name: str) -> None:
        for content in self._contents.values():
            content.open.discard(name)

    def _recall(self, record: Record, facts: Mapping[str, Any]) -> None:
        """Keep what a former process wrote down for `recorded`."""
        name = facts["name"]
        if record.kind == DONE:
            if name in self._past:
                shares = {piece: read_delivery(entry) for piece, entry in facts["shares"].items()}
                self._past[name] = Recorded(self._past[name].emission, shares)
            return
        emission = Emission(
            name=name,
            first=facts["first"],
            pieces=facts["pieces"],
            stops=facts["stops"],
            kept=facts["kept"],
            dropped=facts["dropped"],
            late=facts.get("late", 0),
            decisions=bytes(record.body),
            time_ns=record.received_ns,
        )
        self._past[name] = Recorded(emission, None)
        self.next_piece = max(self.next_piece, emission.through + 1)


def cut_of(piece: str) -> str:
    """The name of the cut that a piece is of."""
    return piece.rpartition("-")[0]
