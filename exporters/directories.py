"""Names of files and directories: what exporters are called there, and how names outlast a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

import xxhash

_LONGEST_NAME: Final = 160


def file_name(identifier: str) -> str:
    """An id, as of an exporter, as a part of a file's name: of a length that file systems take, and another one for each id."""
    quoted = quote(identifier, safe="")
    return quoted if len(quoted) <= _LONGEST_NAME else f"{quoted[:_LONGEST_NAME]}~{xxhash.xxh3_64_hexdigest(identifier.encode())}"


def sync_directory(directory: Path) -> None:
    """Let names that were made, changed or deleted outlast a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
