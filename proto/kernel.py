"""The one way in which this package compiles its kernels, and where it keeps what it compiled."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from numba import config, njit


def _cache_directory() -> Path:
    """A writable directory that belongs to exactly these sources.

    Numba looks only at the file of the kernel it loads, not at those of the kernels that were compiled into it; so a change
    in one file would leave stale code of another in use. A directory named by a hash of all of them cannot be stale.
    """
    root = os.environ.get("SPANHOUSE_KERNEL_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "spanhouse", "kernels"
    )
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    return Path(root, sources.hexdigest()[:16])


if not os.environ.get("NUMBA_CACHE_DIR"):
    config.CACHE_DIR = str(_cache_directory())

_options = {"nogil": True, "boundscheck": True, "cache": True, "error_model": "numpy", "_nrt": False}

kernel = njit(**_options)
"""Decorator of every function that touches outside bytes.

Without the GIL, so that a request is scanned while others are received; with bounds checks, so that a slip is an `IndexError`
and a refused request, never foreign memory; without Numba's reference counting, whose atomic increments cost more than the
scan itself, so a kernel allocates nothing; cached on disk, so that only the first start compiles. With `NUMBA_DISABLE_JIT=1`
a kernel is the plain Python that it reads as.
"""

inlined_kernel = njit(inline="always", **_options)
"""The same, for the few functions that are called so often that the call itself would be most of their cost."""

unchecked_kernel = njit(**(_options | {"boundscheck": False}))
"""The same for byte loops that check their whole range once, before they begin."""
