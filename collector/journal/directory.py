"""The directory of a journal: made, locked against a second daemon, and with names that last."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from collector.directories import in_use, unusable


class JournalError(Exception):
    """The journal cannot be used; `str(error)` is a sentence for the operator."""


def lock(directory: Path, key: str) -> int:
    """Make the directory, for its owner alone, and hold it until the descriptor that is returned is closed.

    Args:
        directory: which.
        key: the key of the configuration that names it, for messages.

    Raises:
        JournalError: it cannot be made or written, or another process holds it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(unusable(key, directory, error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise JournalError(in_use(key, directory, holder)) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError:
        # A full disk: who holds the directory is for messages alone.
        return descriptor
    return descriptor
