"""The files of the journal: append to the newest, read any, delete what is done with.

A file is named `FIRST_SPAN-SEED.journal`: its first position, so that names sort in the order of the journal, and the seed of its
checksums. It is never changed, except that a torn end is cut off.
"""

from __future__ import annotations

import os
import re
import secrets
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from collector.journal import records
from collector.journal.records import Damage, Record

_NAME: Final = re.compile(r"(\d{20})-([0-9a-f]{16})\.journal")
_CHUNK_BYTES: Final = 4 << 20


@dataclass(slots=True, eq=False)
class Segment:
    """One file.

    Attributes:
        path: where it is.
        first_span: position of its first span.
        seed: of its checksums.
        size: bytes in it that are records.
        first_ns, last_ns: when its first and its last request came.
    """

    path: Path
    first_span: int
    seed: int
    size: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def read(self, offset: int = 0) -> Iterator[Record | Damage]:
        """Its records from `offset` on, and what is damaged between them.

        Raises:
            OSError: the file cannot be read.
        """
        with self.path.open("rb", buffering=0) as file:
            data, base, at = memoryview(b""), offset, 0
            while base + at < self.size:
                wanted = records.needed(data, at, self.seed)
                if len(data) - at < wanted and base + len(data) < self.size:
                    base, at = base + at, 0
                    data = memoryview(_pread(file.fileno(), min(max(wanted, _CHUNK_BYTES), self.size - base), base))
                    if not data:
                        return
                    continue
                record = records.read(data, at, self.seed, base)
                if record is None:
                    rest = memoryview(_pread(file.fileno(), self.size - base - at, base + at))
                    yield from records.scan(rest, self.seed, base + at)
                    return
                yield record
                at += record.size


class Segments:
    """All files of a journal, in order.

    Args:
        directory: where they are.
        segment_bytes: a new file is begun rather than let one grow beyond this, unless by a single record.
        close: what to do with the descriptor of a file that is full.
    """

    def __init__(self, directory: Path, segment_bytes: int, close: Callable[[int], None] = os.close) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._close = close
        self._file = -1
        self.all: list[Segment] = []
        self.current: Segment | None = None
        """The file that is appended to; None when the next record begins a new one."""
        for path in sorted(directory.iterdir()):
            name = _NAME.fullmatch(path.name)
            if name:
                seed, status = int(name[2], 16), path.stat()
                begun_ns = _received_ns(path, seed) or status.st_mtime_ns
                self.all.append(Segment(path, int(name[1]), seed, status.st_size, begun_ns, status.st_mtime_ns))
        self.nbytes = sum(segment.size for segment in self.all)

    @property
    def file(self) -> int:
        """Descriptor of the file that is appended to; -1 when there is none."""
        return self._file

    def room_for(self, size: int) -> Segment | None:
        """The current file if so many bytes more may go into it."""
        current = self.current
        return current if current is not None and current.size + size <= self._segment_bytes else None

    def begin(self, first_span: int, received_ns: int) -> Segment:
        """Begin a new file.

        Raises:
            OSError: it cannot be made.
        """
        seed = secrets.randbits(64)
        path = self._directory / f"{first_span:020d}-{seed:016x}.journal"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.end()
        self._file = file
        self.current = Segment(path, first_span, seed, first_ns=received_ns)
        self.all.append(self.current)
        return self.current

    def end(self) -> None:
        """Append nothing more to the current file."""
        if self._file >= 0:
            self._close(self._file)
        self._file, self.current = -1, None

    def append(self, segment: Segment, buffers: Sequence[Any]) -> int:
        """Append to the current file, all or nothing; returns the offset.

        Raises:
            OSError: it could not be written. What was written of it is cut off, or will be overwritten.
        """
        views = [memoryview(buffer) for buffer in buffers]
        offset = at = segment.size
        try:
            while views:
                written = os.pwritev(self._file, views, at)
                at += written
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if views and written:
                    views[0] = views[0][written:]
        except OSError:
            if at > offset:
                os.ftruncate(self._file, offset)
            raise
        segment.size = at
        self.nbytes += at - offset
        return offset

    def truncate(self, segment: Segment, size: int) -> None:
        """Cut off the end of a file. Raises OSError."""
        os.truncate(segment.path, size)
        self.nbytes -= segment.size - size
        segment.size = size

    def delete(self, segment: Segment) -> None:
        """Delete a file. Raises OSError."""
        if segment is self.current:
            self.end()
        segment.path.unlink(missing_ok=True)
        self.all.remove(segment)
        self.nbytes -= segment.size

    def stop_span(self, segment: Segment, end_span: int) -> int:
        """Position behind a file: where the next begins, or the end of the journal."""
        following = self.all.index(segment) + 1
        return self.all[following].first_span if following < len(self.all) else end_span

    def at(self, span: int) -> int:
        """Index of the file in which a position lies; 0 when it lies before all of them."""
        return max(0, bisect_right(self.all, span, key=lambda segment: segment.first_span) - 1)


def _received_ns(path: Path, seed: int) -> int:
    """When the first request of a file came, as far as its first bytes tell; 0 when they do not."""
    with path.open("rb", buffering=0) as file:
        return records.received_ns(file.read(records.HEADER.size), seed)


def _pread(file: int, size: int, offset: int) -> bytes:
    """So many bytes, fewer only at the end of the file."""
    data = os.pread(file, size, offset)
    while 0 < len(data) < size:
        more = os.pread(file, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
