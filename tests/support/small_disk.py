"""A file system of its own, which a test may fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, options: str) -> Iterator[Path]:
    """A file system in memory, mounted in a directory that is made; the test is skipped where that is not allowed.

    Args:
        options: of the mount, such as `size=48m`.
    """
    point = directory / "disk"
    point.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system can be mounted by root alone: {mounted.stderr.decode().strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


def take_bytes(rest: Path) -> None:
    """Leave 64 KiB of the file system that a directory is on."""
    free = os.statvfs(rest)
    (rest / "large").write_bytes(b"x" * (free.f_bavail * free.f_bsize - (1 << 16)))


def take_files(rest: Path) -> None:
    """Leave room for one more file, which is the directory of a part of a table."""
    for number in range(os.statvfs(rest).f_favail - 1):
        (rest / str(number)).touch()
