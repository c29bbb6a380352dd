"""Lines of the journal's logs that must be written before anything is sent: tried again until they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from collector.journal.group_commit import GroupCommit

_log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5

T = TypeVar("T")


async def until_written(write: Callable[[], T], path: Path, make_room: Callable[[], None]) -> T:
    """What `write` returns once it raises no OSError.

    Args:
        write: writes to the log.
        path: of the log.
        make_room: is called before it is tried again, as the disk may be full.
    """
    failed = False
    while True:
        try:
            return write()
        except OSError as error:
            if not failed:
                _log.error("journal_not_written", file=path.name, error=str(error), consequence="nothing is sent")
            failed = True
            await asyncio.sleep(RETRY_S)
            # Directly before the next attempt, for others would take the room, too.
            make_room()


async def until_lasting(commit: GroupCommit, path: Path) -> None:
    """Return when all that was written to a log outlasts a power cut."""
    while True:
        try:
            await commit.wait()
        except OSError as error:
            _log.error("journal_not_synced", file=path.name, error=str(error), consequence="nothing is sent")
            await asyncio.sleep(RETRY_S)
        else:
            return
