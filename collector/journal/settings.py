"""How a journal is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Sync = Literal["interval", "always", "never"]
OnFull = Literal["reject_new", "drop_oldest"]


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How a journal is kept.

    Attributes:
        directory: where it is; made if it is not there.
        sync: what a power cut may take. A crash of the process alone takes nothing whatever stands here.
            `interval`: what came within the last interval. `always`: nothing. `never`: what the system had not written by itself.
        sync_interval_s: in seconds.
        max_bytes: how much the files may take.
        segment_bytes: how large one file becomes; small parts of the journal go only with their file.
        memory_bytes: how much of it is kept in memory as well.
        max_age_s: what has waited for longer is dropped and counted, in seconds; 0 drops nothing.
        key: of `directory` in the configuration, for messages.
        on_full: at `max_bytes`, whether clients are told to come back later, or what has waited longest is dropped and counted.
    """

    directory: Path
    sync: Sync = "interval"
    sync_interval_s: float = 1.0
    max_bytes: int = 4 << 30
    segment_bytes: int = 64 << 20
    memory_bytes: int = 128 << 20
    max_age_s: float = 0.0
    on_full: OnFull = "reject_new"
    key: str = "extensions.journal.directory"
