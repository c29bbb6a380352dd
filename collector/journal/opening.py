"""Opens a journal: locks it, recovers what is in it, and finds each exporter's place."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from collector.clock import Clock
from collector.directories import unusable
from collector.journal.cuts import SUFFIX, CutLog
from collector.journal.decisions import SUFFIX as DECISIONS
from collector.journal.decisions import DecisionLog
from collector.journal.directory import JournalError, lock
from collector.journal.reading import Reader
from collector.journal.recovery import Recovered, recover
from collector.journal.segments import Segments
from collector.journal.settings import JournalSettings
from collector.journal.store import Store
from collector.ledger import know
from exporters.directories import file_name
from exporters.divisions import Divisions

_log = structlog.get_logger(__name__)

_DIVISIONS = ".divided"
_FEWEST_SEGMENTS = 8
"""A file is never larger than this part of the journal, so that there is always one that can go."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a journal is made of.

    Attributes:
        lock: descriptor that holds the directory until it is closed.
        store: the requests.
        reader: reads them back.
        logs: of the cuts of each exporter, by its id.
        decisions: of each exporter, about spans that are held back.
        divisions: which spans of each exporter were sent in parts.
        damaged_bytes: what was cut off or set aside.
    """

    lock: int
    store: Store
    reader: Reader
    logs: dict[str, CutLog]
    decisions: dict[str, DecisionLog]
    divisions: dict[str, Divisions]
    damaged_bytes: int


def open_journal(settings: JournalSettings, exporters: Sequence[str], close: Callable[[int], None], clock: Clock) -> Opened:
    """Lock and recover the journal of a directory, which is made if it is not there.

    Args:
        settings: how it is kept.
        exporters: ids of those that must store every span.
        close: what to do with the descriptor of a file that is full.
        clock: the time.

    Raises:
        JournalError: the directory cannot be used, or another process uses it.
    """
    held = lock(settings.directory, settings.key)
    try:
        return _open(settings, exporters, close, clock, held)
    except OSError as error:
        os.close(held)
        raise JournalError(unusable(settings.key, settings.directory, error)) from error


def _open(settings: JournalSettings, exporters: Sequence[str], close: Callable[[int], None], clock: Clock, held: int) -> Opened:
    segments = Segments(settings.directory, min(settings.segment_bytes, settings.max_bytes // _FEWEST_SEGMENTS), close)
    reader = Reader(settings.directory / "corrupt")
    found = recover(segments, reader)
    logs = {path: CutLog.load(path) for path in sorted(settings.directory.glob(f"*{SUFFIX}"))}
    for log in logs.values():
        _catch_up(found, log)
    # Whoever was counted as an owner before is so again.
    know(set(found.accepted).union(*(log.before.keys() | log.settled.came().keys() for log in logs.values())), found.accepted)
    placed = _place(settings.directory, exporters, list(logs.values()), found)
    store = Store(segments, found.end_span, found.accepted, settings.max_bytes, settings.memory_bytes, clock)
    decisions = {name: DecisionLog(log.path.with_suffix(DECISIONS), settings.sync != "never") for name, log in placed.items()}
    damaged_decisions = sum(log.damaged_bytes for log in decisions.values())
    if damaged_decisions:
        _log.error("journal_decisions_damaged", bytes=damaged_decisions, consequence="spans may be stored twice")
    damaged_lines = sum(log.damaged for log in logs.values())
    if damaged_lines:
        _log.error("journal_log_damaged", lines=damaged_lines)
    waiting = {name: found.end_span - log.next_span for name, log in placed.items()}
    room = shutil.disk_usage(settings.directory).free + segments.nbytes
    if room < settings.max_bytes:
        _log.warning("journal_larger_than_disk", max_bytes=settings.max_bytes, available_bytes=room)
    _log.info(
        "journal_opened",
        directory=str(settings.directory),
        bytes=segments.nbytes,
        waiting=waiting,
        unfinished={name: len(log.cuts) for name, log in placed.items()},
    )
    divisions = {name: _divisions(log) for name, log in placed.items()}
    return Opened(held, store, reader, placed, decisions, divisions, found.damaged_bytes + damaged_decisions)


def _divisions(log: CutLog) -> Divisions:
    directory = log.path.with_suffix(_DIVISIONS)
    if not log.cuts:
        # Nothing that was sent comes again.
        shutil.rmtree(directory, ignore_errors=True)
    return Divisions(directory)


def _catch_up(found: Recovered, log: CutLog) -> None:
    """A log may know of spans whose files are deleted, or damaged at their end: their positions are not given again."""
    if log.next_span > found.end_span:
        found.end_span = log.next_span
        found.accepted = log.before + log.settled.came()
        found.account_for_all()


def _place(directory: Path, exporters: Sequence[str], logs: list[CutLog], found: Recovered) -> dict[str, CutLog]:
    """The log of each exporter: its own, else a new one that begins at the end of the journal.

    If none of them has been here before, one takes over the place of an exporter that is gone: it has been renamed or replaced,
    and what waited for the other would be lost.
    """
    by_name = {log.path.stem: log for log in logs}
    placed = {name: by_name.pop(file_name(name)) for name in exporters if file_name(name) in by_name}
    gone = sorted(by_name.items(), key=lambda item: item[1].next_span, reverse=True)
    if not placed and gone:
        former, log = gone.pop()
        heir = exporters[0]
        place = log.path.with_name(f"{file_name(heir)}{SUFFIX}")
        # The log last: a start after a crash amid this goes on with it.
        for beside in (DECISIONS, _DIVISIONS):
            if log.path.with_suffix(beside).is_dir():
                log.path.with_suffix(beside).rename(place.with_suffix(beside))
        log.rename(heir)
        placed[heir] = log
        _log.warning("journal_exporter_replaced", former=former, exporter=heir)
    for former, log in gone:
        spans = found.end_span - log.next_span + sum(cut.stop - cut.start for cut in log.cuts.values())
        _log.warning("journal_exporter_forgotten", exporter=former, spans_not_stored=spans)
        log.close()
        log.path.unlink()
        for suffix in (DECISIONS, _DIVISIONS):
            shutil.rmtree(log.path.with_suffix(suffix), ignore_errors=True)
    for name in exporters:
        if name not in placed:
            placed[name] = CutLog.create(directory, name, found.end_span, Counter(found.accepted))
    return placed
