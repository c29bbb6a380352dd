"""Spans that the store refuses for what they hold, set aside on disk until somebody looks at them.

An entry is a file: one line of JSON that says what happened, then the spans as the bytes of an ExportTraceServiceRequest. The
file is there whole or not at all, and the same spans under the same name are set aside once.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import orjson

from exporters.base import ExportError
from exporters.directories import file_name, sync_directory
from exporters.workspaces import by_workspace
from proto.otlp_encode import encode_request
from proto.spans import SpanBatch

_ENTRY: Final = ".otlp"
_UNFINISHED: Final = ".unfinished"


class DeadLettersFull(Exception):
    """Setting more spans aside would take more room than is allowed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of spans that were set aside.

    Attributes:
        id: names the entry.
        time_unix_nano: when they were set aside.
        exporter: id of the exporter that could not store them.
        workspace: whose they are.
        spans: how many.
        reason: as in metrics: `type_mismatch`, ...
        error: what the store said.
    """

    id: str
    time_unix_nano: int
    exporter: str
    workspace: str
    spans: int
    reason: str
    error: str


class DeadLetters:
    """The entries of one exporter. Blocks while it reads and writes.

    Args:
        directory: where they are; made when the first is.
        exporter: id of the exporter.
        max_bytes: the most that all of them take.
        now: nanoseconds since 1970.

    Attributes:
        directory: of this exporter.
    """

    def __init__(self, directory: Path, exporter: str, max_bytes: int, now: Callable[[], int] = time.time_ns) -> None:
        self.directory = directory / file_name(exporter)
        # Its name before each exporter had one of its own: entries of others may be there, too.
        self._former = directory / re.sub(r"[^\w.-]", "_", exporter)
        self._exporter = exporter
        self._max_bytes = max_bytes
        self._now = now
        self._bytes: int | None = None
        self._adding = Lock()
        """Held by whoever counts what there is and adds to it: batches are set aside in several threads at once."""

    def add(self, batch: SpanBatch, name: str, error: ExportError) -> None:
        """Set the spans of a batch aside, an entry for each workspace: all of them or none.

        Raises:
            DeadLettersFull: there is no room.
            OSError: they could not be written.
        """
        with self._adding:
            contents = dict(self._contents(batch, name, error))
            self._make_sure_of_room(sum(map(len, contents.values())))
            try:
                for path, content in contents.items():
                    self._write(path, content)
            except OSError:
                for path in contents:
                    path.unlink(missing_ok=True)
                    _unfinished(path).unlink(missing_ok=True)
                raise

    def _contents(self, batch: SpanBatch, name: str, error: ExportError) -> Iterator[tuple[Path, bytes]]:
        """The entries that are to be made of a batch, where each goes and what is in it; none for what was set aside before."""
        for workspace, spans in by_workspace(batch):
            entry = Entry(f"{name}-{workspace}", self._now(), self._exporter, workspace, len(spans), error.reason, str(error))
            path = self.directory / _file(entry.id)
            if not path.exists() and self._former_entry(entry.id) is None:
                yield path, orjson.dumps(asdict(entry)) + b"\n" + encode_request(spans)

    def _make_sure_of_room(self, size: int) -> None:
        """Count `size` more bytes; what others have removed is noticed only when there seems to be no room."""
        if self._bytes is None or self._bytes + size > self._max_bytes:
            self._bytes = sum(map(_size, self._paths()))
        if self._bytes + size > self._max_bytes:
            raise DeadLettersFull(f"dead letters may take {self._max_bytes} bytes: look at them with `spanhouse dead-letter`")
        self._bytes += size

    def entries(self) -> Iterator[Entry]:
        """All entries, the oldest first. A file that is none is passed over.

        Raises:
            OSError: what there is cannot be read, as by another user than the daemon's.
        """
        found = filter(None, map(_read, self._paths()))
        yield from sorted(found, key=lambda entry: (entry.time_unix_nano, entry.id))

    def request(self, entry: Entry) -> bytes:
        """The spans of an entry, as an ExportTraceServiceRequest. Raises OSError."""
        return self._path(entry.id).read_bytes().partition(b"\n")[2]

    @contextmanager
    def claimed(self, entry: Entry) -> Iterator[bytes | None]:
        """As `request`, for whoever sends the spans and then removes the entry; None where somebody else does, or has removed it.

        Nobody else may claim it before the context is left. Raises OSError.
        """
        try:
            file = self._path(entry.id).open("rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            # Who had it before may have removed it since it was opened.
            yield file.read().partition(b"\n")[2] if os.fstat(file.fileno()).st_nlink else None

    def remove(self, entry: Entry) -> None:
        """Delete an entry."""
        self._path(entry.id).unlink(missing_ok=True)

    def _path(self, entry_id: str) -> Path:
        """Where an entry is, or would be."""
        return self._former_entry(entry_id) or self.directory / _file(entry_id)

    def _former_entry(self, entry_id: str) -> Path | None:
        """Where an entry of this exporter is under its directory's former name; None where it is not there."""
        path = self._former / _file(entry_id)
        return path if self._former != self.directory and self._is_own(path) else None

    def _is_own(self, path: Path) -> bool:
        try:
            entry = _read(path)
        except OSError:
            # Somebody else's, or nobody's: it keeps no spans of ours from being set aside.
            return False
        return entry is not None and entry.exporter == self._exporter

    def _paths(self) -> Iterator[Path]:
        yield from _entries_in(self.directory)
        if self._former != self.directory:
            yield from filter(self._is_own, _entries_in(self._former))

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that outlasts a power cut, under its name only once it is whole."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = _unfinished(path)
        with open(unfinished, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_directory(self.directory)


def _file(entry_id: str) -> str:
    """What the file of an entry is called."""
    return f"{entry_id}{_ENTRY}"


def _entries_in(directory: Path) -> Iterator[Path]:
    """Files of entries; none where there is no directory yet. Raises OSError."""
    with suppress(FileNotFoundError):
        # A pattern would find nothing, too, in a directory that may not be read.
        yield from (path for path in directory.iterdir() if path.name.endswith(_ENTRY))


def _read(path: Path) -> Entry | None:
    """What a file says of its spans; None where it is no entry, or is gone. Raises OSError."""
    try:
        with path.open("rb") as file:
            return Entry(**orjson.loads(file.readline()))
    except (FileNotFoundError, IsADirectoryError, ValueError, TypeError):
        return None


def _unfinished(path: Path) -> Path:
    """What a file is called while it is written."""
    return path.with_name(path.name + _UNFINISHED)


def _size(path: Path) -> int:
    """Bytes that a file takes: none where it is gone, as when somebody drops entries meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
