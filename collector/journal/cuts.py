"""The log of one exporter's cuts: which spans of the journal made which batch, and what became of them.

Each line is a checksum and a JSON object. A cut is written before any of its spans are sent, and once more when all of them are
stored or dropped by rule. A cut that was written and not completed is made again after a restart, exactly as it was, so that the
store recognises what it has already. The first line tells all that earlier lines told, for the log is written anew when it has
become long. Lines without which spans would be stored twice are there twice.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import xxhash

from collector.journal.unsynced import UnsyncedNames
from exporters.base import Delivery
from exporters.directories import file_name

_REWRITTEN_BYTES: Final = 1 << 20
_DIGITS: Final = 16
SUFFIX: Final = ".cuts"


class Cut(NamedTuple):
    """The spans of one batch.

    Attributes:
        name: of the cut; none is used twice.
        start, stop: positions in the journal.
        bounds: where its pieces begin, and where the last one ends, as positions in the journal.
        held: its spans are held back until something is decided about them, so they are not sent as they were cut.
    """

    name: str
    start: int
    stop: int
    bounds: Sequence[int]
    held: bool = False


class CutLog:
    """What is known of one exporter's way through the journal. Make one with `create` or `load`.

    Attributes:
        path: the file, `EXPORTER.cuts`.
        next_span: position behind everything that was cut or dropped.
        cuts: those that are not completed, by name.
        before: owner → spans that the journal had accepted when the exporter came.
        settled: what became of the spans since.
        damaged: lines that could not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.next_span = 0
        self.cuts: dict[str, Cut] = {}
        self.before: Counter[str] = Counter()
        self.settled = Delivery()
        self.damaged = 0
        self._file = -1
        self._size = 0
        self._unwritten = b""
        self._shorten_at = _REWRITTEN_BYTES
        self._names = UnsyncedNames([path.parent])

    @classmethod
    def create(cls, directory: Path, exporter: str, next_span: int, before: Mapping[str, int]) -> CutLog:
        """A new log, for an exporter that begins at a position of the journal. Raises OSError."""
        log = cls(directory / f"{file_name(exporter)}{SUFFIX}")
        log.next_span = next_span
        log.before = Counter(before)
        log._rewrite()
        return log

    @classmethod
    def load(cls, path: Path) -> CutLog:
        """The log as it was left. What cannot be read of it is left out and counted. Raises OSError."""
        log = cls(path)
        content = path.read_bytes()
        for line in content.splitlines(keepends=True):
            entry = _read(line)
            if entry is None:
                log.damaged += 1
            else:
                log._apply(entry)
        log._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        log._size = len(content)
        if not content.endswith(b"\n"):
            # What is written next must not continue a torn line.
            log._unwritten = b"\n"
        return log

    def rename(self, exporter: str) -> None:
        """Give the log to another exporter, with all its cuts. Raises OSError."""
        self.path = self.path.rename(self.path.with_name(f"{file_name(exporter)}{SUFFIX}"))

    def sync(self) -> None:
        """Make all that is written last; of use from any thread. Raises OSError."""
        file = self._file
        try:
            os.fdatasync(file)
        except OSError:
            # If the log was written anew meanwhile, that has made it last.
            if file == self._file:
                raise
        self._names.sync()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def cut(self, start: int, stop: int, bounds: Sequence[int], *, held: bool = False) -> Cut:
        """Write down a cut; whether it is `held` is the same for it ever after.

        Raises:
            OSError: it could not be written, so there is no such cut.
        """
        # Not counted: were a line lost with the power, a number would come back for other spans, and the store would take them
        # for those that it has.
        name = secrets.token_hex(12)
        entry = {"cut": name, "start": start, "stop": stop, "bounds": list(bounds), "held": held}
        self._write(_line(entry) * 2)
        self._apply(entry)
        self._shorten()
        return self.cuts[name]

    def complete(self, cut: Cut, delivery: Delivery) -> None:
        """Write down that all of a cut is stored or dropped; `flush` says whether that succeeded."""
        self._tell({"done": cut.name, "start": cut.start, "stop": cut.stop} | delivery_entry(delivery))

    def drop(self, start: int, stop: int, delivery: Delivery) -> None:
        """Write down that spans were dropped, or are missing, without a cut; `flush` says whether that succeeded."""
        self._tell({"start": start, "stop": stop} | delivery_entry(delivery))

    def flush(self) -> bool:
        """Write what could not be written before; returns whether all is written."""
        try:
            self._write(b"")
        except OSError:
            return False
        self._shorten()
        return True

    def needs(self, start: int, stop: int) -> bool:
        """Whether any of these positions is still to be sent, or on its way."""
        return stop > self.next_span or any(cut.start < stop and start < cut.stop for cut in self.cuts.values())

    def _tell(self, entry: Mapping[str, Any]) -> None:
        self._apply(entry)
        self._unwritten += _line(entry)
        self.flush()

    def _apply(self, entry: Mapping[str, Any]) -> None:
        """Take note of one line. A line that completes a cut suffices, should the one that began it be lost."""
        if "before" in entry:
            self.before = Counter(entry["before"])
            self.cuts = {cut.name: cut for cut in (Cut(*fields) for fields in entry["cuts"])}
            self.settled, self.next_span = Delivery(), entry["stop"]
        if "cut" in entry:
            cut = Cut(entry["cut"], entry["start"], entry["stop"], entry["bounds"], entry.get("held", False))
            self.cuts[cut.name] = cut
        if "done" in entry:
            self.cuts.pop(entry["done"], None)
        self.next_span = max(self.next_span, entry["stop"])
        if "stored" in entry:
            self.settled.add(read_delivery(entry))

    def _write(self, line: bytes) -> None:
        data = self._unwritten + line
        written = 0
        while written < len(data):
            # At an offset, so that a line of which only a part was written is overwritten by the next attempt.
            written += os.pwrite(self._file, data[written:], self._size + written)
        self._unwritten = b""
        self._size += len(data)

    def _shorten(self) -> None:
        if self._size > self._shorten_at:
            try:
                self._rewrite()
            except OSError:
                # The long log is as good as a short one.
                self._shorten_at = self._size + _REWRITTEN_BYTES

    def _rewrite(self) -> None:
        state = {
            "stop": self.next_span,
            "before": self.before,
            "cuts": [list(cut) for cut in self.cuts.values()],
        } | delivery_entry(self.settled)
        data = _line(state) * 2
        fresh = self.path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])
            os.fsync(file)
            fresh.rename(self.path)
        except OSError:
            os.close(file)
            raise
        # From here on nobody finds the file before it by its name: what is written now belongs in this one, come what may.
        replaced, self._file = self._file, file
        if replaced >= 0:
            os.close(replaced)
        self._size, self._unwritten = len(data), b""
        self._shorten_at = len(data) + _REWRITTEN_BYTES
        self._names.changed = True
        self._names.sync()


def delivery_entry(delivery: Delivery) -> dict[str, Any]:
    """What became of spans, as it stands in a log."""
    entry = {"stored": delivery.stored, "dropped": delivery.dropped}
    # Rare, and unknown to logs from before services were told apart.
    return entry | {"renamed": delivery.renamed} if delivery.renamed else entry


def read_delivery(entry: Mapping[str, Any]) -> Delivery:
    """What became of spans, from what `delivery_entry` gave."""
    dropped = {reason: Counter(owners) for reason, owners in entry["dropped"].items()}
    return Delivery(Counter(entry["stored"]), dropped, Counter(entry.get("renamed")))


def _line(entry: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(entry)
    return f"{xxhash.xxh3_64_intdigest(text):0{_DIGITS}x} ".encode() + text + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    digits, _, text = line.rstrip(b"\n").partition(b" ")
    if digits != f"{xxhash.xxh3_64_intdigest(text):0{_DIGITS}x}".encode():
        return None
    entry: dict[str, Any] = orjson.loads(text)
    return entry
