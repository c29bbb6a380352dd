"""The directory of a journal: made, locked against a second daemon, and with names that last."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class JournalError(Exception):
    """The journal cannot be used; `str(error)` is a sentence for the operator."""


def lock(directory: Path) -> int:
    """Make the directory, for its owner alone, and hold it until the descriptor that is returned is closed.

    Raises:
        JournalError: it cannot be made or written, or another process holds it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"the journal's directory {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalError(
            f"the journal in {directory} is in use by another process; give each collector a directory of its own"
        ) from error
    return descriptor
