"""The one way in which this package compiles its kernels, and where it keeps what it compiled."""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from numba import config, njit


def _cache_directory() -> Path:
    """A writable directory that belongs to exactly these sources in this place.

    Numba looks only at the file of the kernel it loads, not at those of the kernels that were compiled into it; so a change
    in one file would leave stale code of another in use. A directory named by a hash of all of them cannot be stale. Numba tells
    equal files in two places apart, so the place is part of the name: otherwise "compiled" would be said of the wrong one.
    """
    root = os.environ.get("SPANHOUSE_KERNEL_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "spanhouse", "kernels"
    )
    package = Path(__file__).resolve().parent
    sources = hashlib.sha256(bytes(package))
    for path in sorted(package.glob("*.py")):
        sources.update(path.read_bytes())
    directory = Path(root, sources.hexdigest()[:16])
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    return directory if writable else _private_copy(directory)


def _private_copy(directory: Path) -> Path:
    """A writable directory for this process alone, with what `directory` holds: Numba does not read a cache that it cannot write.

    A fresh one, for code from a well-known directory that anybody can write to must not be run.
    """
    copy = Path(tempfile.mkdtemp(prefix="spanhouse-kernels-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    if directory.is_dir():
        shutil.copytree(directory, copy, dirs_exist_ok=True)
    return copy


if not os.environ.get("NUMBA_CACHE_DIR"):
    config.CACHE_DIR = str(_cache_directory())  # type: ignore[attr-defined]  # numba makes its settings at run time

_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "boundscheck": True, "cache": True, "error_model": "numpy", "_nrt": False}


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**(_OPTIONS | options))(function)
        if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # as above
            _save_under_lock(dispatcher)
        return dispatcher

    return decorate


def _save_under_lock(dispatcher: Any) -> None:
    """Let several processes fill the cache at once.

    Numba reads a kernel's index, picks the next free file name and writes both back. Two processes that do so together give two
    signatures one file, and whoever loads the one runs the code of the other. Numba has no public way to prevent it.
    """
    cache_file = dispatcher._cache._cache_file
    save = cache_file.save

    def locked_save(key: Any, data: Any) -> None:
        directory = Path(config.CACHE_DIR)  # type: ignore[attr-defined]  # as above
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(key, data)

    cache_file.save = locked_save


kernel = _compiled()
"""Decorator of every function that touches outside bytes.

Without the GIL, so that a request is scanned while others are received; with bounds checks, so that a slip is an `IndexError`
and a refused request, never foreign memory; without Numba's reference counting, whose atomic increments cost more than the
scan itself, so a kernel allocates nothing; cached on disk, so that only the first start compiles. With `NUMBA_DISABLE_JIT=1`
a kernel is the plain Python that it reads as.
"""

inlined_kernel = _compiled(inline="always")
"""The same, for the few functions that are called so often that the call itself would be most of their cost."""

unchecked_kernel = _compiled(boundscheck=False)
"""The same for byte loops that check their whole range once, before they begin."""
