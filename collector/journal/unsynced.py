"""What a power cut might still take: names in directories, and files that are appended to one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from exporters.directories import sync_directory


class UnsyncedNames:
    """Names are changed by one thread, and synced by another.

    Args:
        directories: where they are.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self.changed = False
        """Whether any was changed since the last sync."""
        self._directories = directories

    def sync(self) -> None:
        """Make all changes last that were made before this call. Raises OSError, and then tries again the next time."""
        if self.changed:
            # Before, so that a change meanwhile is not taken for one of those that are synced.
            self.changed = False
            try:
                for directory in self._directories:
                    sync_directory(directory)
            except OSError:
                self.changed = True
                raise


class UnsyncedFiles:
    """Files are begun, ended and deleted by one thread, and synced by another.

    Args:
        directories: those in which names change with the files.
        keeps_rolled: whether files that are full are synced before they are closed.
    """

    def __init__(self, directories: Sequence[Path], *, keeps_rolled: bool) -> None:
        self.names = UnsyncedNames(directories)
        """To be told when files are begun or deleted."""
        self._keeps_rolled = keeps_rolled
        self._rolled: list[int] = []

    def roll(self, descriptor: int) -> None:
        """A file is full."""
        if self._keeps_rolled:
            self._rolled.append(descriptor)
        else:
            os.close(descriptor)

    def sync(self, current: Callable[[], int]) -> None:
        """Make all last that was written before this call.

        Args:
            current: gives the descriptor of the file that is appended to; -1 when there is none.

        Raises:
            OSError: it may not last.
        """
        # In this order: a file that is full from one moment to the next is found here or there, or in both.
        newest = current()
        rolled = self._rolled[:]
        for descriptor in rolled:
            os.fdatasync(descriptor)
        if newest >= 0 and newest not in rolled:
            os.fdatasync(newest)
        self.names.sync()
        for descriptor in rolled:
            self._rolled.remove(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the files that are full."""
        for descriptor in self._rolled:
            os.close(descriptor)
        self._rolled.clear()
