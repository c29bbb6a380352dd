"""Which spans were sent in parts, on disk for as long as they may be sent again.

Spans that are refused whole are sent in halves, each under a name of its own, by which the store tells what it has. Whoever
forgot that in a crash would send them whole again; should the store take them now, it would have them twice.

Spans of several workspaces, of which only some are refused, are sent by workspace instead; that is remembered by a name of its
own.

Each name is that of an empty file, so that none can be there by half.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exporters.directories import sync_directory
from exporters.workspaces import by_workspace
from proto.spans import SpanBatch


def halves(batch: SpanBatch, name: str) -> Iterator[tuple[SpanBatch, str]]:
    """The halves of spans of this name, and the name of each."""
    middle = len(batch) // 2
    for number, half in enumerate((slice(middle), slice(middle, None))):
        yield batch.select(half), f"{name}.{number}"


def by_workspace_of(name: str) -> str:
    """What is remembered where spans of this name are sent by workspace."""
    return f"{name}.w"


def workspaces(batch: SpanBatch, name: str) -> Iterator[tuple[SpanBatch, str]]:
    """The parts of spans of this name that are of one workspace each, and the name of each part."""
    for workspace, part in by_workspace(batch):
        yield part, f"{name}.w-{workspace}"


class Divisions:
    """Names of spans of one exporter that were divided. Blocks while it writes.

    Args:
        directory: where they are, and nothing else; made when the first is.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names = {path.name for path in directory.iterdir()} if directory.is_dir() else set()

    def __contains__(self, name: str) -> bool:
        """Whether spans of this name were divided, be it before a restart."""
        return name in self._names

    def add(self, name: str) -> None:
        """The spans of this name will be sent in parts, under other names, and never whole again.

        Raises:
            OSError: it could not be written down, so that must not be done.
        """
        if not self._directory.is_dir():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._directory.parent)
        os.close(os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_directory(self._directory)
        self._names.add(name)

    def made_from(self, name: str) -> list[str]:
        """This name, and those made from it, as far as spans of theirs were divided."""
        made = (f"{name}.", f"{name}-")
        # A copy, made at once: others are added in threads.
        return [each for each in tuple(self._names) if each == name or each.startswith(made)]

    def forget(self, name: str) -> None:
        """Nothing under this name, or under one that was made from it, will be sent again.

        Where a crash or the disk forestalls this, files stay that nobody asks for.
        """
        for each in self.made_from(name):
            self._names.discard(each)
            with suppress(OSError):
                (self._directory / each).unlink()
