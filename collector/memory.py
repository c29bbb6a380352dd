"""How much memory there is and how much the process takes; and what the daemon asks of those who manage it.

They are glibc, which gives back too little, Python, which looks too often, and Linux, which keeps code that was needed once.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Names and numbers of <malloc.h>.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_SETTINGS: Final = {
    _M_ARENA_MAX: 1,
    # Set by hand, they no longer grow with what was freed last. The buffers of a usual block are reused, for to map them anew
    # each time costs a fifth of encoding; what is larger is mapped on its own and goes at once.
    _M_MMAP_THRESHOLD: 32 << 20,
    _M_TRIM_THRESHOLD: 32 << 20,
}

_CODE: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-xp .*/([^/\n]+)\n")
"""A line of /proc/self/maps that is about a file's machine code: from where, up to where, and the file's name."""

_PAUSING: Final = threading.Lock()
_pausing = 0
"""How many have paused the garbage collector."""

_CONTROL_GROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def keep_little() -> None:
    """Tell the allocator to return what is free, and to keep what the next block will need."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        # Another C library, with ways of its own.
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)


def forget_code(library: str) -> None:
    """Have the process let go of the machine code of a library that nothing calls. It comes from its file once something does.

    Without /proc, or where the library is not loaded, nothing happens.

    Args:
        library: what the name of its file begins with.
    """
    try:
        lines = Path("/proc/self/maps").read_text()
    except OSError:
        return
    libc = ctypes.CDLL(None)
    for start, end, file in _CODE.findall(lines):
        if file.startswith(library):
            # Code is never written, so nothing is lost that is not in the file.
            address = int(start, 16)
            libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(int(end, 16) - address), mmap.MADV_DONTNEED)


def spare_the_collector() -> None:
    """Have the garbage collector leave alone what exists now: modules, kernels and rooms, half a million objects that stay."""
    gc.collect()
    gc.freeze()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from looking, again and again, through a hundred thousand objects that are being made.

    For work of less than seconds that leaves no cycles of objects behind. On any thread; the collector goes on when the last of
    those who have paused it has ended.
    """
    global _pausing
    with _PAUSING:
        _pausing += 1
        gc.disable()
    try:
        yield
    finally:
        with _PAUSING:
            _pausing -= 1
            if not _pausing:
                gc.enable()


def resident_bytes() -> int:
    """What the process takes of the machine's memory."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        # Without /proc only the peak can be told, in KiB.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def total_memory_bytes() -> int:
    """What the machine has, or the control group may take where that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _CONTROL_GROUP_LIMITS:
        try:
            total = min(total, int(Path(file).read_text()))
        except (OSError, ValueError):
            # No control group of this kind, or none that has a limit.
            continue
    return total
