"""Values that are made from files, and made anew when the files change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")
Fingerprint = tuple[int, int, int]
"""What `fingerprint` gives."""

_log = structlog.get_logger(__name__)

_Look = tuple[tuple[int, int, int] | None, ...]


class Reloading(Generic[T]):
    """The value that `make` makes of some files; looked after whenever it is asked for, so that it needs no task of its own.

    Looking at a file costs a microsecond or two, and is done once in `interval_s` at most. Links are followed, which is how
    mounted secrets change. Any thread may ask.

    Args:
        files: what `make` reads.
        interval_s: seconds between two looks; 0 never looks again.
        make: makes the value. When it fails later on, the value before it stays, a line of the log says why, and the next look
            tries again.
        monotonic: seconds of a clock that never goes back.

    Raises:
        OSError: from `make`, the first time.
    """

    def __init__(
        self,
        files: Iterable[str],
        interval_s: float,
        make: Callable[[], T],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = tuple(map(Path, files))
        self._interval_s = interval_s
        self._make = make
        self._monotonic = monotonic
        # Before reading: a change in between is then seen at the next look.
        self._seen = self._look()
        self._is_passing = False
        self._value = make()
        self._look_at_s = monotonic() + interval_s

    def current(self) -> T:
        """The value of the files as they are now, or were a short while ago."""
        if self._files and self._interval_s and self._monotonic() >= self._look_at_s:
            self._look_at_s = self._monotonic() + self._interval_s
            seen = self._look()
            if seen != self._seen or self._is_passing:
                self._remake(seen)
        return self._value

    def make_again(self, within_s: float) -> None:
        """Have the value made anew in so many seconds at most, even if the files stay as they are.

        For `make` to call, but not the first time.
        """
        self._is_passing = True
        self._look_at_s = min(self._look_at_s, self._monotonic() + within_s)

    def _remake(self, seen: _Look) -> None:
        names = [str(file) for file in self._files]
        self._is_passing = False
        try:
            self._value = self._make()
        except OSError as error:
            _log.error("files_not_reloaded", files=names, error=str(error), consequence="what was read before stays in force")
            return
        self._seen = seen
        _log.info("files_reloaded", files=names)

    def _look(self) -> _Look:
        return tuple(map(fingerprint, self._files))


def fingerprint(file: Path) -> Fingerprint | None:
    """What tells a file from one that has taken its place, or from itself after a change; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
